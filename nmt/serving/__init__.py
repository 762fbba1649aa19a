"""Models leave training: a SavedModel, a LiteRT pair, a client, and a page for people."""
