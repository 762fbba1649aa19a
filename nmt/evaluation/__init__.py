"""Quality measures: metrics with signatures and significance tests, preservation of placeholders, perplexity."""
