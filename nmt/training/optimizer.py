"""The optimizer: Adam with moving averages of the weights, clipping, accumulation and loss scaling."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from nmt.config import TrainingSettings
from nmt.training.schedule import LearningRate


@keras.saving.register_keras_serializable("nmt")
class Adam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015) whose moving averages of the weights leave the weights as they are.

    At the end of `fit`, Keras's Adam replaces the weights by their averages, and training cannot go on from there.
    The decay of these averages grows with the number t of updates, so that they soon forget the first weights:

        average = d * average + (1 - d) * weight,    d = min(ema_momentum, t / (9 + t))

    Args:
        *args: as for `keras.optimizers.Adam`.
        **kwargs: as for `keras.optimizers.Adam`.

    Attributes:
        jit_compile: bool, whether XLA compiles the update by itself, which makes its many passes over the weights one.
            False at first.

    Example:

    >>> weight = keras.Variable([1.0])
    >>> optimizer = Adam(learning_rate=0.5, use_ema=True)
    >>> optimizer.apply([tf.constant([2.0])], [weight])
    >>> optimizer.finalize_variable_values([weight])
    >>> weight.numpy().round(3).tolist()
    [0.5]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.jit_compile = False
        self._compiled = tf.function(super().apply, jit_compile=True, autograph=False)

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """Makes an update; see `keras.Optimizer`."""
        if not self.jit_compile:
            return super().apply(grads, trainable_variables)
        # The variables are those of `build`. They are not passed on: a function's arguments would be read as tensors.
        assert self.built
        return self._compiled([tf.convert_to_tensor(gradient) for gradient in grads])

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        if not self.use_ema:
            return
        update = tf.cast(self.iterations, tf.float32)
        decay = tf.minimum(self.ema_momentum, update / (9 + update))  # the averages begin as zeros
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            average.assign(decay * average + (1 - decay) * variable)

    def finalize_variable_values(self, var_list: Any) -> None:
        """Does nothing; see the class."""


@keras.saving.register_keras_serializable("nmt")
class ReplicaAdam(Adam):
    """`Adam` for gradients that are the same on all replicas: each replica updates its own copy of the variables.

    Keras's own Adam would clip the gradients first and then sum them over the replicas once more.
    """

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _backend_increment_gradient_accumulators(self, grads: Any, acc_grads: Any) -> None:
        for gradient, accumulator in zip(grads, acc_grads, strict=True):
            accumulator.assign(accumulator + gradient)


@contextmanager
def averaged_weights(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Gives the weights their moving averages while the block runs, and then their own values again, exactly.

    Keras's callback `SwapEMAWeights` swaps by adding and subtracting, which rounds the weights, and keeps only the
    averages after the last epoch; training could not go on from there to the same last bit.

    Args:
        optimizer: the optimizer of the weights. If it keeps no averages, nothing changes.
    """
    inner = inner_optimizer(optimizer)
    if not inner.use_ema:
        yield
        return
    weights = inner._trainable_variables
    own = [weight.numpy() for weight in weights]
    for weight, average in zip(weights, inner._model_variables_moving_average, strict=True):
        weight.assign(average)
    try:
        yield
    finally:
        for weight, value in zip(weights, own, strict=True):
            weight.assign(value)


def inner_optimizer(optimizer: keras.optimizers.Optimizer) -> Any:
    """Returns the optimizer itself, or the one inside the loss scaling of half precision."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def make_optimizer(settings: TrainingSettings, schedule: LearningRate, replicated: bool = False) -> Any:
    """Makes Adam as the settings describe it.

    Args:
        settings: the training settings; `clip_norm`, `average_decay`, `accumulate` and `precision` matter.
        schedule: the learning rate.
        replicated: bool, whether each replica of a tf.distribute strategy applies the same summed gradients.

    Returns:
        A `keras.optimizers.Optimizer`, not built yet.

    Example:

    >>> settings = TrainingSettings(clip_norm=0.5)
    >>> make_optimizer(settings, LearningRate(settings)).global_clipnorm
    0.5
    """
    optimizer: Any = (ReplicaAdam if replicated else Adam)(
        schedule,
        beta_2=0.98,  # as Vaswani et al. 2017, section 5.3: forgets the large gradients of the first steps sooner
        epsilon=1e-9,
        global_clipnorm=settings.clip_norm,
        use_ema=settings.average_decay > 0,
        ema_momentum=settings.average_decay or 0.99,
        gradient_accumulation_steps=settings.accumulate if settings.accumulate > 1 else None,
    )
    return keras.optimizers.LossScaleOptimizer(optimizer) if settings.precision == "float16" else optimizer
