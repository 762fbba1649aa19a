"""Training: the optimizer and its schedule, the trainers, their callbacks, and `train`."""
