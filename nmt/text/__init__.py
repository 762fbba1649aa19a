"""Text in and out of the model: normalisation, subwords, placeholders, sentence boundaries, most of it in the graph."""
