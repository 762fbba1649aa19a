"""Datasets that this project builds for TensorFlow Datasets."""
