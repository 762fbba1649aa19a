"""Strings in, strings out: the translator, its graph, and word alignments."""
