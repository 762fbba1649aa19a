"""The decoder: over whole target sentences in training, and step by step in search, with the same weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.layers.attention import AdditiveAttention, Attention, DotAttention, MultiHeadAttention
from nmt.layers.dropout import Dropout
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.gru import GRU
from nmt.models.encoder import Encoded


class Memory(NamedTuple):
    """What the decoder reads of the source, made once for a sentence."""

    keys: tf.Tensor  # [batch, source time, units]
    values: tf.Tensor  # [batch, source time, width]
    mask: tf.Tensor  # [batch, source time], True where real


States = tuple[tf.Tensor, ...]

# A step of several hypotheses for each sentence, from
#   the last token of each, int32 [batch, hypotheses],
#   the memory of the source, which the hypotheses of a sentence share,
#   and the states of each layer, [batch, hypotheses, units], to
#   output vectors, [batch, hypotheses, embedding], attention weights, [batch, hypotheses, source time], and new states.
Step = Callable[[tf.Tensor, Memory, States], tuple[tf.Tensor, tf.Tensor, States]]


class Decoder(keras.layers.Layer):
    """Stacked GRU whose first layer's states ask the attention.

    The context goes to the layers above and to the output, and does not feed back into the first layer's inputs
    (as in GNMT, Wu et al. 2016, section 3, and RNMT+, Chen et al. 2018): in training, each layer so runs over all
    steps at once. Layers from the second on have residual connections. The output vector is
    tanh(W [state; context]) (Luong et al. 2015, equation 5).

    Args:
        settings: the model's shape.
        embedding: of the target language.

    Call arguments:
        ids: the target shifted right by one, its begin mark first, int32 `[batch, target time]`.
        memory: of the source.
        states: of each layer before the first step, `[batch, units]`.

    Returns:
        Output vectors, `[batch, target time, embedding]`, and attention weights, `[batch, target time, source time]`.
    """

    def __init__(self, settings: ModelSettings, embedding: TiedEmbedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding = embedding
        self.units = settings.units
        self.embedding_dropout = Dropout(settings.dropout, name="embedding_dropout")
        self.recurrent = [
            GRU(
                settings.units,
                return_sequences=True,
                dropout=settings.dropout if index else 0.0,
                recurrent_dropout=settings.recurrent_dropout,
                layer_normalization=settings.layer_normalization,
                name=f"layer_{index}",
            )
            for index in range(settings.decoder_layers)
        ]
        self.bridges = [
            keras.layers.Dense(settings.units, activation="tanh", name=f"bridge_{index}")
            for index in range(settings.decoder_layers)
        ]
        self.attention = _attention(settings)
        self.output_projection = keras.layers.Dense(settings.embedding, activation="tanh", name="output_projection")
        self.output_dropout = Dropout(settings.dropout, name="output_dropout")

    def begin(self, encoded: Encoded) -> tuple[Memory, States]:
        """The memory that attention reads, and the state of each layer before the first step."""
        keys, values = self.attention.remember(encoded.states)
        states = tuple(tf.cast(bridge(encoded.last), self.variable_dtype) for bridge in self.bridges)
        return Memory(keys, values, encoded.mask), states

    def call(
        self, ids: tf.Tensor, memory: Memory, states: States, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Decodes whole sentences; see the class."""

        def over_time(index: int, inputs: tf.Tensor) -> tf.Tensor:
            return self.recurrent[index](inputs, initial_state=states[index], training=training)

        return self._compose(ids, over_time, lambda queries: self.attention(queries, *memory), training)

    def stepper(self) -> Step:
        """A function that makes one step of several hypotheses for each sentence; see `Step`.

        What it needs of the weights is made here, once for all steps. But for the attention, hypotheses are rows, no
        matter of which sentence.
        """
        recurrent_weights = [layer.cell.recurrent_weights() for layer in self.recurrent]

        def step(ids: tf.Tensor, memory: Memory, states: States) -> tuple[tf.Tensor, tf.Tensor, States]:
            hypotheses, new_states = ids.shape[1], []

            def grouped(rows: tf.Tensor) -> tf.Tensor:
                return tf.reshape(rows, (-1, hypotheses, rows.shape[-1]))

            def rows(values: tf.Tensor) -> tf.Tensor:
                return tf.reshape(values, (-1, values.shape[-1]))

            def one_step(index: int, inputs: tf.Tensor) -> tf.Tensor:
                (new,) = self.recurrent[index].cell.advance(inputs, (rows(states[index]),), recurrent_weights[index])
                new_states.append(grouped(new))
                return tf.cast(new, self.compute_dtype)

            def attend(queries: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                context, weights = self.attention(grouped(queries), *memory)
                return rows(context), weights

            outputs, weights = self._compose(tf.reshape(ids, (-1,)), one_step, attend, training=False)
            return grouped(outputs), weights, tuple(new_states)

        return step

    def _compose(
        self,
        ids: tf.Tensor,
        run: Callable[[int, tf.Tensor], tf.Tensor],
        attend: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        training: bool | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The wiring, the same for whole sentences and for single steps."""
        embedded = self.embedding_dropout(self.embedding(ids), training=training)
        hidden = run(0, embedded)
        context, weights = attend(hidden)
        for index in range(1, len(self.recurrent)):
            hidden += run(index, tf.concat([hidden, context], -1))
        outputs = self.output_projection(tf.concat([hidden, context], -1))
        return self.output_dropout(outputs, training=training), weights


def _attention(settings: ModelSettings) -> Attention:
    match settings.attention:
        case "additive":
            return AdditiveAttention(settings.units, name="attention")
        case "dot":
            return DotAttention(settings.units, name="attention")
        case "multi_head":
            return MultiHeadAttention(settings.units, settings.attention_heads, name="attention")
