"""More training data: back-translation, self-training, distillation, selection."""
