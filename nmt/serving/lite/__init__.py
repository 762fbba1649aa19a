"""Models for small devices: LiteRT files, and what translates with them without TensorFlow."""
