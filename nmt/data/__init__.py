"""From files and datasets to batches of ids: readers, cleaning, tokenizer, batches."""
