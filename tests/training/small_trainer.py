"""A small model with its trainer, and a batch."""

import numpy as np

from nmt.config import TrainingSettings
from nmt.models.seq2seq import Seq2Seq
from nmt.training.make_trainer import make_trainer
from nmt.training.trainer import Trainer

SOURCE, TARGET = np.array([[5, 6, 3], [7, 3, 0]], np.int32), np.array([[8, 9, 3], [4, 3, 0]], np.int32)


def small_trainer(dtype: str = "float32", **training: object) -> Trainer:
    model = Seq2Seq(20, units=8, num_layers=1, attention="dot", layer_normalization=False, seed=1, dtype=dtype)
    return make_trainer(
        model, TrainingSettings(**{"warmup_steps": 0, "schedule": "constant", "average_decay": 0.0} | training)
    )
