"""The decoder: over whole target sentences in training, and step by step in search, with the same weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.layers.attention import AdditiveAttention, Attention, DotAttention, MultiHeadAttention
from nmt.layers.cells import CELLS
from nmt.layers.dropout import Dropout
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import multiply
from nmt.models.dropouts import EmbeddingDropout, over_time
from nmt.models.encoder import Encoded


class Memory(NamedTuple):
    """What the decoder reads of the source, made once for a sentence."""

    keys: tf.Tensor  # [batch, source time, units]
    values: tf.Tensor  # [batch, source time, width], of which contexts are made; see `Decoder.begin`
    mask: tf.Tensor  # [batch, source time], True where real


States = tuple[tf.Tensor, ...]
Nothing = tuple[()]  # a language model's memory and attention weights

# A step of several hypotheses for each sentence, from
#   the last token of each, int32 [batch, hypotheses],
#   the memory of the source, which the hypotheses of a sentence share,
#   and the states of all layers, [batch, hypotheses, units] each, to
#   output vectors, [batch, hypotheses, embedding], attention weights, [batch, hypotheses, source time], and new states.
Step = Callable[[tf.Tensor, Memory | Nothing, States], tuple[tf.Tensor, tf.Tensor | Nothing, States]]


class Decoder(keras.layers.Layer):
    """Stacked recurrent layers of which the first layer's states ask the attention.

    The context goes to the layers above and to the output, and does not feed back into the first layer's inputs
    (as in GNMT, Wu et al. 2016, section 3, and RNMT+, Chen et al. 2018): in training, each layer so runs over all
    steps at once. Layers from the second on have residual connections. The output vector is
    tanh(W [state; context]) (Luong et al. 2015, equation 5). Without attention there is no context.

    Args:
        settings: the model's shape.
        embedding: of the target language.
        attends: whether there is a source to attend to; a language model has none. Memory and attention weights are
            then empty tuples.

    Call arguments:
        ids: the target shifted right by one, its begin mark first, int32 `[batch, target time]`.
        memory: of the source.
        states: of each layer before the first step, `[batch, units]` each; of an LSTM two.

    Returns:
        Output vectors, `[batch, target time, embedding]`, and attention weights, `[batch, target time, source time]`.
    """

    def __init__(self, settings: ModelSettings, embedding: TiedEmbedding, attends: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding = embedding
        self.units = settings.units
        self.context_only_in_output = attends and settings.decoder_layers == 1 and settings.attention != "multi_head"
        self.embedding_dropout = EmbeddingDropout(settings, name="embedding_dropout")
        self.recurrent = [
            CELLS[settings.cell](
                settings.units,
                return_sequences=True,
                dropout=settings.dropout if index else 0.0,
                variational_dropout=settings.variational_dropout,
                recurrent_dropout=settings.recurrent_dropout,
                layer_normalization=settings.layer_normalization,
                longest_memory=settings.longest_memory,
                name=f"layer_{index}",
            )
            for index in range(settings.decoder_layers)
        ]
        self.bridges = [
            keras.layers.Dense(layer.cell.states * settings.units, activation="tanh", name=f"bridge_{index}")
            for index, layer in enumerate(self.recurrent if attends else ())
        ]
        self.attention = _attention(settings) if attends else None
        self.output_projection = keras.layers.Dense(settings.embedding, activation="tanh", name="output_projection")
        self.output_dropout = Dropout(settings.dropout, over_time(settings), name="output_dropout")

    @property
    def states_of_layer(self) -> int:
        """How many states a layer carries on."""
        return self.recurrent[0].cell.states

    def begin(self, encoded: Encoded) -> tuple[Memory, States]:
        """The memory that attention reads, and the state of each layer before the first step.

        With a single layer the context meets nothing but its part of W in the output vector. That product is then made
        here, of the values: once for a source position, whatever number of hypotheses and steps reads it.
        """
        assert self.attention is not None
        keys, values = self.attention.remember(encoded.states)
        if self.context_only_in_output:
            values = tf.matmul(values, tf.cast(self._output_kernel(values.shape[-1])[self.units :], values.dtype))
        of_layers = (tf.cast(bridge(encoded.last), self.variable_dtype) for bridge in self.bridges)
        states = tuple(state for of_layer in of_layers for state in tf.split(of_layer, self.states_of_layer, -1))
        return Memory(keys, values, encoded.mask), states

    def zeros(self, batch: tf.Tensor | int) -> States:
        """The states before the first step where no source tells them."""
        return tuple(zero for layer in self.recurrent for zero in layer.cell.get_initial_state(batch))

    def call(
        self, ids: tf.Tensor, memory: Memory | Nothing, states: States, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | Nothing]:
        """Decodes whole sentences; see the class."""

        def over_time(index: int, inputs: tf.Tensor) -> tf.Tensor:
            initial = list(self._of_layer(index, states))
            return self.recurrent[index](inputs, initial_state=initial, training=training)

        return self._compose(ids, over_time, lambda queries: self._attend(queries, memory), training)

    def stepper(self) -> Step:
        """A function that makes one step of several hypotheses for each sentence; see `Step`.

        What it needs of the weights is made here, once for all steps. But for the attention, hypotheses are rows, no
        matter of which sentence.
        """
        recurrent_weights = [layer.cell.recurrent_weights() for layer in self.recurrent]

        def step(
            ids: tf.Tensor, memory: Memory | Nothing, states: States
        ) -> tuple[tf.Tensor, tf.Tensor | Nothing, States]:
            hypotheses = ids.shape[1]
            new_states: list[tf.Tensor] = []

            def grouped(rows: tf.Tensor) -> tf.Tensor:
                return tf.reshape(rows, (-1, hypotheses, rows.shape[-1]))

            def rows(values: tf.Tensor) -> tf.Tensor:
                return tf.reshape(values, (-1, values.shape[-1]))

            def one_step(index: int, inputs: tf.Tensor) -> tf.Tensor:
                cell, before = self.recurrent[index].cell, map(rows, self._of_layer(index, states))
                new = cell.advance(inputs, tuple(before), recurrent_weights[index])
                new_states.extend(map(grouped, new))
                return tf.cast(cell.output(new[0]), self.compute_dtype)

            def attend(queries: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor | Nothing]:
                context, weights = self._attend(grouped(queries), memory)
                return [rows(one) for one in context], weights

            outputs, weights = self._compose(tf.reshape(ids, (-1,)), one_step, attend, training=False)
            return grouped(outputs), weights, tuple(new_states)

        return step

    def _attend(self, queries: tf.Tensor, memory: Memory | Nothing) -> tuple[list[tf.Tensor], tf.Tensor | Nothing]:
        """The context, in a list that is empty without attention, and the attention weights."""
        if self.attention is None:
            return [], ()
        context, weights = self.attention(queries, *memory)
        return [context], weights

    def _of_layer(self, index: int, states: States) -> States:
        return states[index * self.states_of_layer : (index + 1) * self.states_of_layer]

    def _compose(
        self,
        ids: tf.Tensor,
        run: Callable[[int, tf.Tensor], tf.Tensor],
        attend: Callable[[tf.Tensor], tuple[list[tf.Tensor], tf.Tensor | Nothing]],
        training: bool | None,
    ) -> tuple[tf.Tensor, tf.Tensor | Nothing]:
        """The wiring, the same for whole sentences and for single steps."""
        embedded = self.embedding_dropout(self.embedding(ids), training=training)
        hidden = run(0, embedded)
        context, weights = attend(hidden)
        for index in range(1, len(self.recurrent)):
            hidden += run(index, tf.concat([hidden, *context], -1))
        outputs = self._output(hidden, context)
        return self.output_dropout(outputs, training=training), weights

    def _output(self, hidden: tf.Tensor, context: list[tf.Tensor]) -> tf.Tensor:
        """tanh(W [hidden; context] + b), where `begin` may have multiplied the context."""
        dense = self.output_projection
        if not self.context_only_in_output:
            return dense(tf.concat([hidden, *context], -1))
        of_hidden = multiply(hidden, dense.kernel[: self.units], self.compute_dtype)
        return tf.tanh(of_hidden + context[0] + tf.cast(dense.bias, of_hidden.dtype))

    def _output_kernel(self, context: int) -> tf.Tensor:
        if not self.output_projection.built:
            with keras.name_scope(self.name):  # as if the layer's call had built it
                self.output_projection.build((None, self.units + context))
        return self.output_projection.kernel


def _attention(settings: ModelSettings) -> Attention:
    match settings.attention:
        case "additive":
            return AdditiveAttention(settings.units, name="attention")
        case "dot":
            return DotAttention(settings.units, name="attention")
        case "multi_head":
            return MultiHeadAttention(settings.units, settings.attention_heads, name="attention")
