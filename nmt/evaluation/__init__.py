"""How good translations and language models are: metrics with their signatures, what was preserved, perplexity."""
