"""A model together with what trains it: the objective, the optimizer, and how much of a step XLA compiles."""

from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from nmt.config import TrainingSettings
from nmt.layers.cross_entropy import summed_losses
from nmt.models.token_model import TokenModel
from nmt.training.optimizer import inner_optimizer
from nmt.training.schedule import LearningRate

# How much of a step XLA compiles: nothing; the parts (the loops over time, the softmax of each chunk of logits, and the
# update of the weights, each by itself), while the library outside computes the large products; or the whole step.
Extent = Literal["none", "parts", "step"]


class Sums(NamedTuple):
    """Sums over a batch's real target tokens; the mean of both passes where the tokens pass through the model twice."""

    objective: tf.Tensor  # what training minimises
    plain: tf.Tensor  # the cross-entropy without smoothing
    tokens: tf.Tensor  # number of tokens


class Trainer(keras.Model):
    """Trains a model by `fit`, minimising a loss averaged over the real tokens of a batch.

    The model by itself trains by Keras's own `compile` and `fit`. A trainer adds R-Drop (Liang et al. 2021), which
    passes each batch twice, a choice of what XLA compiles, and the number of tokens among the metrics.

    Args:
        model: the `TokenModel` that learns.
        schedule: gives the learning rate.
        settings: of the training; those of the loss count here.

    Call arguments:
        inputs: a pair of int32 tensors, source and target ids.

    Returns:
        The vectors before the logits; with `settings.consistency` those of a second pass follow in training.
    """

    def __init__(self, model: TokenModel, schedule: LearningRate, settings: TrainingSettings) -> None:
        super().__init__(name="trainer")
        self.model = model
        self.schedule = schedule
        self.smoothing = settings.label_smoothing
        self.consistency = settings.consistency
        self.extent: Extent = "none"
        self.plain_loss = keras.metrics.Mean(name="plain_loss")
        self.tokens = keras.metrics.Sum(name="tokens")
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """The vectors before the logits; see the class."""
        source, target = inputs
        if training and self.consistency:
            source, target = (tf.concat([ids, ids], 0) for ids in (source, target))
        return self.model.hidden(source, target, training)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update of the weights from a batch `(source, target)`."""
        source, target = data
        return super().train_step(((source, target), target))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The objective of a batch, from its vectors `y_pred` in training."""
        sums = self.sums(y, y_pred)
        tokens = tf.maximum(sums.tokens, 1.0)
        self.plain_loss.update_state(sums.plain / tokens, sample_weight=sums.tokens)
        self.tokens.update_state(sums.tokens)
        return sums.objective / tokens

    def sums(self, target: tf.Tensor, vectors: tf.Tensor) -> Sums:
        """The losses of a batch.

        Args:
            target: int32 `[batch, target time]`.
            vectors: what `call` returned in training.
        """
        targets = tf.reshape(target, (-1,))
        vectors = tf.reshape(vectors, (-1, vectors.shape[-1]))
        passes = 1
        if self.consistency:  # both passes of a token side by side
            passes, width = 2, vectors.shape[-1]
            vectors = tf.reshape(tf.transpose(tf.reshape(vectors, (passes, -1, width)), (1, 0, 2)), (-1, width))
            targets = tf.repeat(targets, passes)
        table = tf.cast(self.model.output_embedding.table, vectors.dtype)
        real = tf.cast(targets != 0, tf.float32)
        losses = summed_losses(
            vectors, table, targets, real, self.smoothing, self.consistency, jit_compile=self.extent == "parts"
        )
        return Sums(*(values / passes for values in (*losses, tf.reduce_sum(real))))

    def compile_extent(self, extent: Extent) -> None:
        """Has XLA compile that much of a step from now on."""
        self.extent = extent
        for layer in self.model.recurrent_layers():
            layer.compile_loops = extent == "parts"
        self._make_step()

    def _make_step(self) -> None:
        inner_optimizer(self.optimizer).jit_compile = self.extent == "parts"
        self.jit_compile = self.extent == "step"
        self.make_train_function(force=True)
