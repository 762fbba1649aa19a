"""The model together with what trains it: the loss and the optimizer, for `keras.Model.fit`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from nmt.config import TrainingSettings
from nmt.models.seq2seq import Seq2Seq
from nmt.training.loss import token_losses
from nmt.training.schedule import LearningRate


class Trainee(keras.Model):
    """Wraps a `Seq2Seq` with its loss, averaged over the real tokens of a batch.

    Args:
        model: what learns.
        schedule: of the learning rate.
        smoothing: of the loss.
    """

    def __init__(self, model: Seq2Seq, schedule: LearningRate, smoothing: float) -> None:
        super().__init__(name="trainee")
        self.model = model
        self.schedule = schedule
        self.smoothing = smoothing
        self.plain_loss = keras.metrics.Mean(name="plain_loss")
        self.tokens = keras.metrics.Sum(name="tokens")
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Output vectors; see `Seq2Seq`."""
        return self.model(inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The label-smoothed loss of a batch, from its output vectors `y_pred`."""
        targets = tf.reshape(x["target"], (-1,))
        outputs = tf.reshape(y_pred, (-1, y_pred.shape[-1]))
        table = tf.cast(self.model.output_embedding.table, outputs.dtype)
        losses = token_losses(outputs, table, targets, self.smoothing)
        real = tf.cast(targets != 0, losses.smoothed.dtype)
        self.plain_loss.update_state(losses.plain, sample_weight=real)
        self.tokens.update_state(real)
        return tf.reduce_sum(losses.smoothed * real) / tf.maximum(tf.reduce_sum(real), 1.0)


@keras.saving.register_keras_serializable("nmt")
class Adam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015) that leaves the weights as they are at the end of `fit`.

    Keras would put their moving averages in their place, and training could not go on from there.
    """

    def finalize_variable_values(self, var_list: Any) -> None:
        """Does nothing; see the class."""


@contextmanager
def averaged_weights(trainee: Trainee) -> Iterator[None]:
    """Within, the model has the moving averages of its weights, if it keeps them; afterwards its own again."""
    optimizer: Any = getattr(
        trainee.optimizer, "inner_optimizer", trainee.optimizer
    )  # of half precision's loss scaling
    if not optimizer.use_ema:
        yield
        return
    weights = optimizer._trainable_variables
    own = [weight.numpy() for weight in weights]
    for weight, average in zip(weights, optimizer._model_variables_moving_average, strict=True):
        weight.assign(average)
    try:
        yield
    finally:
        for weight, value in zip(weights, own, strict=True):
            weight.assign(value)


def make_trainee(model: Seq2Seq, settings: TrainingSettings) -> Trainee:
    """Compiles `model` with Adam, its schedule, clipping, averaging and accumulation, ready for `fit`."""
    schedule = LearningRate(settings)
    optimizer = Adam(
        schedule,
        beta_2=0.98,  # as Vaswani et al. 2017, section 5.3: forgets the large gradients of the first steps sooner
        epsilon=1e-9,
        global_clipnorm=settings.clip_norm,
        use_ema=settings.average_decay > 0,
        ema_momentum=settings.average_decay or 0.99,
        gradient_accumulation_steps=settings.accumulate if settings.accumulate > 1 else None,
    )
    trainee = Trainee(model, schedule, settings.label_smoothing)
    trainee.compile(optimizer=optimizer, jit_compile=settings.jit_compile)
    trainee.optimizer.build(trainee.trainable_variables)
    return trainee
