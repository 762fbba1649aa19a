"""From training settings to the trainer of a model, with its optimizer, on one device or several."""

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
    """Makes and compiles the trainer of a model, ready for `fit`.

    Args:
        model: the model to train, made within the strategy's scope.
        settings: the training settings: learning rate, loss, accumulation, and what XLA compiles; `auto` compiles
            nothing yet.
        strategy: the strategy of the replicas; None for one device.

    Returns:
        A `Trainer`; a `DistributedTrainer` with a strategy.

    Example:

    >>> from nmt.models.seq2seq import Seq2Seq
    >>> trainer = make_trainer(Seq2Seq(20, units=8, num_layers=1, seed=1), TrainingSettings(xla="none"))
    >>> ids = tf.constant([[5, 6, 3]])
    >>> history = trainer.fit(tf.data.Dataset.from_tensors((ids, ids)), verbose=0)
    >>> round(history.history["plain_loss"][0])  # about log(20)
    3
    """
    with strategy.scope() if strategy else nullcontext():
        schedule = LearningRate(settings)
        optimizer = make_optimizer(settings, schedule, replicated=strategy is not None)
        optimizer.build(model.trainable_variables)
    loss = {"label_smoothing": settings.label_smoothing, "consistency": settings.consistency}
    if strategy is None:
        trainer = Trainer(model, schedule, **loss)
    else:
        trainer = DistributedTrainer(model, schedule, strategy, **loss)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    trainer.compile_extent("none" if settings.xla == "auto" else settings.xla)
    return trainer
