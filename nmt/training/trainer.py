"""A model together with its objective, and how much of a training step XLA compiles."""

from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from nmt.layers.cross_entropy import summed_losses
from nmt.layers.xla import align_names
from nmt.models.token_model import TokenModel
from nmt.training.optimizer import inner_optimizer
from nmt.training.schedule import LearningRate

# How much of a training step XLA compiles: nothing; the parts, each by itself (the loops over time, the softmax of each
# chunk of logits, the update of the weights), while TensorFlow computes the large products; or the whole step.
Extent = Literal["none", "parts", "step"]


class LossSums(NamedTuple):
    """Sums over the real target tokens of a batch. With R-Drop, each is the mean of both passes.

    Attributes:
        objective: float scalar, what training minimises.
        plain: float scalar, the cross-entropy without smoothing.
        tokens: float scalar, the number of tokens.
    """

    objective: tf.Tensor
    plain: tf.Tensor
    tokens: tf.Tensor


class Trainer(keras.Model):
    """Trains a model by `fit`, minimising a loss averaged over the real tokens of a batch.

    The model by itself trains by Keras's own `compile` and `fit`. A trainer adds R-Drop, a choice of what XLA compiles,
    and metrics of the plain loss and the number of tokens. R-Drop (Liang et al. 2021) passes each batch through the
    model twice, with different dropout. The objective is half of the sum of both cross-entropies and of the divergence
    between both distributions p and q:

        (L_p + L_q + consistency / 2 * (KL(p || q) + KL(q || p))) / 2

    Args:
        model: the `TokenModel` to train.
        schedule: the learning rate of the optimizer that `compile` gets.
        label_smoothing: float, share of the target probability spread over the vocabulary (Szegedy et al. 2016).
        consistency: float, the weight of R-Drop; 0 passes each batch once.

    Call arguments:
        inputs: a pair of int32 tensors `[batch, source time]` and `[batch, target time]`, 0 is padding.
        training: bool, whether dropout is applied.

    Returns:
        The vectors before the logits, float `[batch, target time, embedding_dim]`. In training with R-Drop,
        `[2 * batch, target time, embedding_dim]`, the second pass after the first.

    Example:

    >>> from nmt.config import TrainingSettings
    >>> from nmt.models.seq2seq import Seq2Seq
    >>> model = Seq2Seq(vocabulary_size=20, units=8, num_layers=1, seed=1)
    >>> schedule = LearningRate(TrainingSettings())
    >>> trainer = Trainer(model, schedule)
    >>> trainer.compile(optimizer=keras.optimizers.Adam(schedule))
    >>> ids = tf.constant([[5, 6, 3]])
    >>> history = trainer.fit(tf.data.Dataset.from_tensors((ids, ids)), verbose=0)
    >>> sorted(history.history), history.history["tokens"]
    (['loss', 'plain_loss', 'tokens'], [3.0])
    """

    def __init__(
        self, model: TokenModel, schedule: LearningRate, label_smoothing: float = 0.0, consistency: float = 0.0
    ) -> None:
        super().__init__(name="trainer")
        self.model = model
        self.schedule = schedule
        self.label_smoothing = label_smoothing
        self.consistency = consistency
        self.extent: Extent = "none"
        self.plain_loss = keras.metrics.Mean(name="plain_loss")
        self.tokens = keras.metrics.Sum(name="tokens")
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Computes the vectors before the logits; see the class."""
        source, target = inputs
        if training and self.consistency:
            source, target = (tf.concat([ids, ids], 0) for ids in (source, target))
        return self.model.hidden(source, target, training)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Makes one update of the weights from a batch `(source, target)`."""
        if not tf.executing_eagerly():  # this is traced, once for all steps
            align_names()
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
        """Computes the objective of a batch from the vectors `y_pred` that `call` returned in training."""
        sums = self.loss_sums(y, y_pred)
        tokens = tf.maximum(sums.tokens, 1.0)
        self.plain_loss.update_state(sums.plain / tokens, sample_weight=sums.tokens)
        self.tokens.update_state(sums.tokens)
        return sums.objective / tokens

    def loss_sums(self, target: tf.Tensor, vectors: tf.Tensor) -> LossSums:
        """Computes the losses of a batch.

        Args:
            target: int32 `[batch, target time]`, 0 is padding.
            vectors: what `call` returned in training.

        Returns:
            The sums over the real target tokens.
        """
        targets = tf.reshape(target, (-1,))
        vectors = tf.reshape(vectors, (-1, vectors.shape[-1]))
        passes = 1
        if self.consistency:  # the two passes of a token next to each other
            passes, width = 2, vectors.shape[-1]
            vectors = tf.reshape(tf.transpose(tf.reshape(vectors, (passes, -1, width)), (1, 0, 2)), (-1, width))
            targets = tf.repeat(targets, passes)
        table = tf.cast(self.model.output_embedding.table, vectors.dtype)
        real = tf.cast(targets != 0, tf.float32)
        losses = summed_losses(
            vectors, table, targets, real, self.label_smoothing, self.consistency, jit_compile=self.extent == "parts"
        )
        return LossSums(*(values / passes for values in (*losses, tf.reduce_sum(real))))

    def compile_extent(self, extent: Extent) -> None:
        """Makes the training step anew, with this much of it compiled by XLA.

        Args:
            extent: `"none"`, `"parts"` or `"step"`.
        """
        self.extent = extent
        for layer in self.model.recurrent_layers():
            layer.compile_loops = extent == "parts"
        self._make_step()

    def _make_step(self) -> None:
        inner_optimizer(self.optimizer).jit_compile = self.extent == "parts"
        self.jit_compile = self.extent == "step"
        self.make_train_function(force=True)
