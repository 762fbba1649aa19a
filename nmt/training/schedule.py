"""The learning rate over the steps of a training."""

from typing import Any

import keras
import tensorflow as tf

from nmt.config import TrainingSettings


@keras.saving.register_keras_serializable("nmt")
class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly over the warm-up, then follows `settings.schedule`.

        constant:             highest
        inverse_square_root:  highest * sqrt(warmup / step)  (Vaswani et al. 2017, section 5.3)
        linear:               highest * (max_steps - step) / (max_steps - warmup)
        plateau:              highest * reduction

    `highest` is `settings.learning_rate`, and `reduction` a variable, at first 1, that validation lowers.

    Of Keras's own schedules only `CosineDecay` warms up, none has the inverse square root, and with gradient
    accumulation they count batches instead of updates. `ReduceLROnPlateau` cannot set a rate that a schedule computes.

    Args:
        settings: the training settings; `learning_rate`, `warmup_steps`, `schedule`, `max_steps` and `accumulate`
            matter.

    Example:

    >>> rate = LearningRate(TrainingSettings(learning_rate=1.0, warmup_steps=100, schedule="inverse_square_root"))
    >>> [round(float(rate(iteration)), 3) for iteration in (0, 49, 99, 399)]
    [0.01, 0.5, 1.0, 0.5]
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self.reduction = tf.Variable(1.0, trainable=False, name="plateau_reduction")

    def __call__(self, iteration: Any) -> tf.Tensor:
        """Computes the learning rate after some batches.

        Args:
            iteration: int scalar, the number of batches before this one.

        Returns:
            Float scalar.
        """
        settings = self.settings
        step = tf.cast(tf.convert_to_tensor(iteration) // settings.accumulate + 1, tf.float32)
        warmup = tf.constant(float(max(settings.warmup_steps, 1)))
        match settings.schedule:
            case "inverse_square_root":
                factor = tf.sqrt(warmup / tf.maximum(step, warmup))
            case "linear":
                last = float(settings.max_steps)
                # The last update still moves: the rate would reach zero one step later.
                factor = tf.minimum((last + 1 - step) / (last + 1 - warmup), 1.0)
            case _:
                factor = tf.convert_to_tensor(self.reduction)
        rising = step / warmup if settings.warmup_steps else 1.0
        return settings.learning_rate * tf.minimum(factor, rising)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, as plain values."""
        return {"settings": self.settings.model_dump(mode="json")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LearningRate":
        """Makes the schedule that `get_config` described."""
        return cls(TrainingSettings(**config["settings"]))
