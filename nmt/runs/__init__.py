"""A run's folder: settings, checkpoints, provenance, and what can be loaded from it."""
