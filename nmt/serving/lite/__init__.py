"""Models for small devices: the export to LiteRT files, and a translator that runs them without TensorFlow."""
