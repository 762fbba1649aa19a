"""Exports, clients and services: SavedModel for TensorFlow Serving, LiteRT for small devices, a web page for people."""
