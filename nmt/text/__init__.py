"""Text before and after the model: normalisation, subwords, placeholders, boundaries of words and sentences."""
