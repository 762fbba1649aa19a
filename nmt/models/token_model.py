"""What a translation model and a language model share: vectors that predict the next token, and training by Keras."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from nmt.constants import PADDING, Side
from nmt.layers.cross_entropy import summed_losses
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import Recurrent
from nmt.models.decoder import DecoderState


class TokenModel(keras.Model):
    """The frame of a model that predicts target tokens, each from those before it.

    A subclass computes `hidden`, the vectors before the logits, and makes single steps by `start` and `step`. From that
    follow the logits, the losses, `compile`, `fit`, `evaluate`, and `generate`.

    `compile(loss="auto")`, the default, is the cross-entropy computed straight from the vectors: it never holds the
    logits of a whole batch (`nmt.layers.cross_entropy`). Any Keras loss on logits works too; padding carries no weight
    in either.
    """

    vocabulary_size: int  # ids below it are tokens
    begin_id: int
    end_id: int
    output_embedding: TiedEmbedding
    _label_smoothing: float
    _fused_loss: bool = False

    def hidden(self, source: tf.Tensor | None, target: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The vectors before the logits: position t predicts target token t from the tokens before it.

        Args:
            source: int32 `[batch, source time]`, token ids closed by the end token, then zeros; a language model
                ignores it.
            target: int32 `[batch, target time]`, token ids closed by the end token, then zeros.
            training: bool, whether dropout is applied.

        Returns:
            Float `[batch, target time, embedding_dim]`.
        """
        raise NotImplementedError

    def start(self, source: tf.Tensor) -> DecoderState:
        """Where decoding begins, with states `[batch, units]`."""
        raise NotImplementedError

    def stepper(self) -> Any:
        """A function that makes one step of several hypotheses; what it needs of the weights is read here, once.

        Returns:
            A function from the last tokens, int32 `[batch, hypotheses]`, and a `DecoderState` whose states are
            `[batch, hypotheses, units]`, to the vectors before the logits, `[batch, hypotheses, embedding_dim]`, the
            attention weights, `[batch, hypotheses, source time]`, and the new `DecoderState`.
        """
        raise NotImplementedError

    def embeddings(self) -> Iterator[tuple[Side, TiedEmbedding]]:
        """All embeddings, each with the side whose tokens it embeds; a shared one comes more than once."""
        raise NotImplementedError

    def recurrent_layers(self) -> Iterator[Recurrent]:
        """All layers over time, each direction by itself."""
        raise NotImplementedError

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """The logits of all target tokens, `[..., embedding_dim]` to `[..., vocabulary]`, in full precision."""
        return self.output_embedding(hidden, reverse=True)

    def output_weights(self) -> tf.Tensor:
        """The matrix that `logits` multiplies by, `[embedding_dim, vocabulary]`, in the precision of the products.

        Stored in this order, a search reads it faster.
        """
        return tf.cast(tf.transpose(self.output_embedding.table), self.compute_dtype)

    def step(self, tokens: tf.Tensor, state: DecoderState) -> tuple[tf.Tensor, tf.Tensor, DecoderState]:
        """Makes one step of several hypotheses for each sentence: the scorer's face of a model.

        Args:
            tokens: int32 `[batch, hypotheses]`, the last token of each.
            state: from `start`, its states repeated for the hypotheses, or from the step before.

        Returns:
            Log-probabilities of the next token, `[batch, hypotheses, vocabulary]`, attention weights, `[batch,
            hypotheses, source time]`, and the new state.
        """
        vectors, attention, state = self.stepper()(tokens, state)
        return tf.nn.log_softmax(self.logits(vectors)), attention, state

    def generate(self, source: tf.Tensor, max_length: int = 100) -> tf.Tensor:
        """Decodes greedily: each token is the most probable one after those before it.

        For beam search, constraints and ensembles see `nmt.beam_search`.

        Args:
            source: int32 `[batch, source time]`, closed by the end token, then zeros. A language model only takes its
                batch size from it.
            max_length: int, the most tokens of an output, its end token included.

        Returns:
            int32 `[batch, time]`, closed by the end token unless `max_length` cuts it off, then zeros.
        """
        source = tf.convert_to_tensor(source, tf.int32)
        step = self.stepper()
        first = self.start(source)
        state = first._replace(states=tuple(one[:, None] for one in first.states))
        batch = tf.shape(source)[0]

        def advance(t: tf.Tensor, last: tf.Tensor, open_: tf.Tensor, state: DecoderState, ids: tf.TensorArray) -> Any:
            vectors, _, state = step(last, state)
            best = tf.argmax(self.logits(vectors)[:, 0], -1, tf.int32)
            best = tf.where(open_, best, PADDING)
            return t + 1, best[:, None], open_ & (best != self.end_id), state, ids.write(t, best)

        ids = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=(None,))
        begin = tf.fill((batch, 1), self.begin_id)
        *_, ids = tf.while_loop(
            lambda t, last, open_, *_: (t < max_length) & tf.reduce_any(open_),
            advance,
            (tf.constant(0), begin, tf.fill((batch,), True), state, ids),
        )
        return tf.transpose(ids.stack())

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = "auto",
        label_smoothing: float = 0.0,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        """Configures the model for training.

        Args:
            optimizer: a name or a `keras.optimizers.Optimizer`.
            loss: `"auto"`, the fused cross-entropy, or a Keras loss on logits, as
                `keras.losses.SparseCategoricalCrossentropy(from_logits=True)`.
            label_smoothing: float, share of the target distribution spread over the vocabulary (Szegedy et al. 2016,
                section 7); only for `"auto"`.
            jit_compile: bool, whether XLA compiles the whole training step, once for each shape of a batch. On a CPU
                that is slower for most models; `nmt.train` measures what pays.
            **kwargs: further arguments of `keras.Model.compile`, such as `metrics` and `run_eagerly`.
        """
        self._fused_loss = loss is None or (isinstance(loss, str) and loss == "auto")
        if label_smoothing and not self._fused_loss:
            raise ValueError(
                "compile: expected `label_smoothing` 0 with a Keras loss, which has its own argument for it"
            )
        self._label_smoothing = label_smoothing
        super().compile(optimizer=optimizer, loss=None if self._fused_loss else loss, jit_compile=jit_compile, **kwargs)
        self.optimizer.build(self.trainable_variables)

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`, for saving."""
        config = super().get_compile_config()
        return config and config | {
            "loss": "auto" if self._fused_loss else config["loss"],
            "label_smoothing": self._label_smoothing,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One update of the weights, by teacher forcing; see `fit`."""
        source, target, sample_weight = self._unpack(data)
        if not self._fused_loss:
            return super().train_step((self._inputs(source, target), target, _by_token(sample_weight)))
        with tf.GradientTape() as tape:
            hidden = self.hidden(source, target, training=True)
            loss = self._track_loss(hidden, target, sample_weight)
            replicas = tf.distribute.get_strategy().num_replicas_in_sync  # whose gradients are summed
            scaled = self.optimizer.scale_loss(loss / replicas)
        weights = self.trainable_weights
        gradients = tape.gradient(scaled, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return self._update_metrics(source, target, hidden, sample_weight)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The loss and metrics of a batch; see `evaluate`."""
        source, target, sample_weight = self._unpack(data)
        if not self._fused_loss:
            return super().test_step((self._inputs(source, target), target, _by_token(sample_weight)))
        hidden = self.hidden(source, target, training=False)
        self._track_loss(hidden, target, sample_weight)
        return self._update_metrics(source, target, hidden, sample_weight)

    def _inputs(self, source: tf.Tensor, target: tf.Tensor) -> Any:
        """What the model is called with."""
        raise NotImplementedError

    def _unpack(self, data: Any) -> tuple[Any, tf.Tensor, tf.Tensor | None]:
        """Source, target and sample weights of a batch of `fit`."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if y is None and isinstance(x, tuple | list):  # ((source, target),)
            x, y = x
        elif isinstance(x, tuple | list):  # ((source, target), target)
            x = x[0]
        if y is None:
            raise ValueError(
                f"{type(self).__name__}: expected batches of (source, target), got batches without a target"
            )
        return x, tf.cast(y, tf.int32), sample_weight

    def _track_loss(self, hidden: tf.Tensor, target: tf.Tensor, sample_weight: tf.Tensor | None) -> tf.Tensor:
        """The mean cross-entropy of a batch's real tokens, each weighted by its sample's or its own weight."""
        real = tf.cast(target != PADDING, tf.float32)
        weights = real
        if sample_weight is not None:
            weights *= tf.cast(_by_token(sample_weight), tf.float32)
        flat = tf.reshape(hidden, (-1, hidden.shape[-1]))
        table = tf.cast(self.output_embedding.table, flat.dtype)
        sums = summed_losses(flat, table, tf.reshape(target, (-1,)), tf.reshape(weights, (-1,)), self._label_smoothing)
        loss = sums.objective / tf.maximum(tf.reduce_sum(real), 1.0)
        for additional in self.losses:  # of regularizers
            loss += additional
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(target)[0])
        return loss

    def _update_metrics(
        self, source: tf.Tensor, target: tf.Tensor, hidden: tf.Tensor, sample_weight: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """The metrics given to `compile`; only if there are any, the logits of the batch are computed for them."""
        logits = None
        if self._compile_metrics is not None:
            logits = tf.stop_gradient(self.logits(hidden))
            logits._keras_mask = target != PADDING
        return self.compute_metrics(self._inputs(source, target), target, logits, sample_weight)


def _by_token(sample_weight: tf.Tensor | None) -> tf.Tensor | None:
    """Weights of sentences, `[batch]`, as `[batch, 1]`; those of tokens stay `[batch, time]`."""
    if sample_weight is None or sample_weight.shape.rank == 2:
        return sample_weight
    return tf.reshape(sample_weight, (-1, 1))


def score_tokens(vectors: tf.Tensor, output_weights: tf.Tensor) -> tf.Tensor:
    """`TokenModel.logits` of vectors `[n, embedding_dim]`, by `TokenModel.output_weights`: in float32 at least."""
    values = tf.matmul(vectors, output_weights)
    if values.dtype.size >= tf.float32.size:
        return values
    # Otherwise TensorFlow would reshape the values before it casts them, and cast them twice, if both shapes are used.
    return tf.ensure_shape(tf.cast(values, tf.float32), values.shape)


def shift_right(target: tf.Tensor, begin_id: int) -> tf.Tensor:
    """What the decoder has seen before each token: the begin token, then the target without its last position.

    Example:

    >>> shift_right(tf.constant([[7, 8, 3]]), begin_id=2).numpy().tolist()
    [[2, 7, 8]]
    """
    return tf.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=begin_id)
