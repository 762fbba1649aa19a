"""Data augmentation and selection: back-translation, self-training, distillation, cross-entropy difference."""
