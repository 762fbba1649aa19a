"""The trainer of a model, with its optimizer, for one device or several."""

from contextlib import nullcontext

import tensorflow as tf

from nmt.config import TrainingSettings
from nmt.models.token_model import TokenModel
from nmt.training.distributed_trainer import DistributedTrainer
from nmt.training.optimizer import make_optimizer
from nmt.training.schedule import LearningRate
from nmt.training.trainer import Trainer


def make_trainer(
    model: TokenModel, settings: TrainingSettings, strategy: tf.distribute.Strategy | None = None
) -> Trainer:
    """Compiles a trainer of a model, ready for `fit`.

    Args:
        model: what learns, made within the strategy's scope.
        settings: of the training.
        strategy: of the replicas; None for one device.
    """
    with strategy.scope() if strategy else nullcontext():
        schedule = LearningRate(settings)
        optimizer = make_optimizer(settings, schedule, replicated=strategy is not None)
        optimizer.build(model.trainable_variables)
    if strategy is None:
        trainer = Trainer(model, schedule, settings)
    else:
        trainer = DistributedTrainer(model, schedule, settings, strategy)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    trainer.compile_extent("none" if settings.xla == "auto" else settings.xla)
    return trainer
