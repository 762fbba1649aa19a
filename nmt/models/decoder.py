"""The decoder: over whole target sentences in training, and step by step in search, with the same weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from nmt.layers.attention import make_attention
from nmt.layers.cells import make_recurrent
from nmt.layers.dropout import Dropout
from nmt.layers.recurrent import multiply
from nmt.layers.seeds import derive_seed

States = tuple[tf.Tensor, ...]


class Memory(NamedTuple):
    """What the decoder reads of the source, computed once for a sentence and shared by all its hypotheses."""

    keys: tf.Tensor  # [batch, source time, units]
    values: tf.Tensor  # [batch, source time, width], summed up to contexts; see `Decoder.start`
    mask: tf.Tensor  # [batch, source time], True where a token is real


class DecoderState(NamedTuple):
    """Where decoding stands; scorers and constraints keep structures of their own in it."""

    memory: Any  # what the hypotheses of a sentence share: of a decoder a `Memory`, or () without attention
    states: Any  # what each hypothesis has: of a decoder `States`, in search [batch, hypotheses, units] each


@keras.saving.register_keras_serializable("nmt")
class Decoder(keras.layers.Layer):
    """Stacked recurrent layers; the states of the first one are the queries of the attention.

    The context goes to the layers above and to the output. It does not feed back into the first layer's inputs (as in
    GNMT, Wu et al. 2016, section 3, and RNMT+, Chen et al. 2018), so that in training each layer runs over all steps
    at once. Layers from the second on have residual connections:

        h_1 = RNN_1(x),    c = attention(h_1, memory),    h_l = h_(l-1) + RNN_l([h_(l-1); c])
        output = tanh(W [h_L; c] + b)                       (Luong et al. 2015, equation 5)

    Every layer's first state is a bridge from the encoder's last state: tanh(W_l s + b_l). Without attention there is
    neither context nor bridge: the decoder is a language model's.

    Args:
        units: int, width of the recurrent states, and of the attention.
        num_layers: int, number of recurrent layers.
        output_dim: int or None, width of the output vectors; by default `units`.
        cell: str, a key of `nmt.layers.cells.CELLS`.
        attention: `"multi_head"` (Vaswani et al. 2017), `"dot"` (Luong et al. 2015), `"additive"` (Bahdanau et al.
            2015), or None for a decoder without a source.
        num_heads: int, attention heads of `"multi_head"`; divides `units`.
        dropout: float, share dropped of the inputs from the second layer on, and of the outputs.
        recurrent_dropout: float, share of the state hidden from the recurrent products (Gal and Ghahramani 2016).
        variational_dropout: bool, whether one dropout mask serves all steps of a sentence.
        layer_normalization: bool, whether each gate's pre-activation is normalised (Ba et al. 2016).
        longest_memory: int or None, steps over which the gates begin to retain the state (Tallec and Ollivier 2018).
        seed: int or None, from which initial weights and dropout are drawn.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        sequence: float `[batch, target time, features]`, the embedded target tokens, shifted right by one.
        memory: float `[batch, source time, width]`, the encoder's outputs; None without attention.
        encoder_state: float `[batch, width]`, the encoder's last state; None without attention.
        memory_mask: boolean `[batch, source time]`, True where a source token is real; by default the mask that
            `memory` carries.
        training: bool, whether dropout is applied.

    Returns:
        Output vectors, `[batch, target time, output_dim]`, and attention weights, `[batch, target time, source time]`;
        without attention, the vectors alone.

    Example:

    >>> decoder = Decoder(units=8, attention="dot")
    >>> outputs, weights = decoder(tf.ones((2, 3, 4)), tf.ones((2, 5, 16)), tf.ones((2, 16)))
    >>> tuple(outputs.shape), tuple(weights.shape)
    ((2, 3, 8), (2, 3, 5))
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        output_dim: int | None = None,
        cell: str = "gru",
        attention: str | None = "multi_head",
        num_heads: int = 4,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        layer_normalization: bool = False,
        longest_memory: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.num_layers = num_layers
        self.output_dim = output_dim or units
        self.cell = cell
        self.attention_kind = attention
        self.num_heads = num_heads
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.variational_dropout = variational_dropout
        self.layer_normalization = layer_normalization
        self.longest_memory = longest_memory
        self.seed = seed
        self.supports_masking = True
        policy = self.dtype_policy
        self.recurrent = [
            make_recurrent(
                cell,
                units,
                return_sequences=True,
                dropout=dropout if index else 0.0,
                recurrent_dropout=recurrent_dropout,
                variational_dropout=variational_dropout,
                layer_normalization=layer_normalization,
                longest_memory=longest_memory,
                seed=derive_seed(seed, f"layer_{index}"),
                dtype=policy,
                name=f"layer_{index}",
            )
            for index in range(num_layers)
        ]
        self.num_states = self.recurrent[0].cell.num_states

        def dense(width: int, name: str) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
            return keras.layers.Dense(width, "tanh", kernel_initializer=initializer, dtype=policy, name=name)

        self.bridges = [dense(self.num_states * units, f"bridge_{i}") for i in range(num_layers) if attention]
        self.attention = (
            make_attention(attention, units, num_heads, seed=derive_seed(seed, "attention"), dtype=policy)
            if attention
            else None
        )
        self.output_projection = dense(self.output_dim, "output_projection")
        shared_axes = (1,) if variational_dropout else ()
        dropout_seed = derive_seed(seed, "output_dropout")
        self.output_dropout = Dropout(dropout, shared_axes, seed=dropout_seed, dtype=policy, name="output_dropout")

    def build(
        self,
        sequence_shape: tuple[int | None, ...],
        memory_shape: tuple[int | None, ...] | None = None,
        encoder_state_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        """Makes the weights of all parts."""
        context: Any = 0
        if self.attention is not None:
            if memory_shape is None or encoder_state_shape is None:
                raise ValueError("Decoder: expected `memory` and `encoder_state`, as it has attention, got None")
            context = self.units if self.attention_kind == "multi_head" else memory_shape[-1]
            self.attention.build((None, None, self.units), memory_shape)
            for bridge in self.bridges:
                bridge.build(encoder_state_shape)
        for index, layer in enumerate(self.recurrent):
            layer.build((*sequence_shape[:-1], self.units + context) if index else sequence_shape)
        self.output_projection.build((None, self.units + context))

    def call(
        self,
        sequence: tf.Tensor,
        memory: tf.Tensor | None = None,
        encoder_state: tf.Tensor | None = None,
        memory_mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> Any:
        """Decodes whole sentences; see the class."""
        if self.attention is None:
            read, states = DecoderState((), self.zero_states(tf.shape(sequence)[0]))
        else:
            if memory_mask is None:
                memory_mask = tf.ones(tf.shape(memory)[:2], tf.bool)
            read, states = self.start(memory, encoder_state, memory_mask)

        def over_time(index: int, inputs: tf.Tensor) -> tf.Tensor:
            return self.recurrent[index](inputs, initial_state=self._of_layer(index, states), training=training)

        outputs, weights = self._compose(sequence, over_time, lambda queries: self._attend(queries, read))
        outputs = self.output_dropout(outputs, training=training)
        return outputs if self.attention is None else (outputs, weights)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: the mask of the inputs, which are shifted, is not that of the tokens that the outputs predict."""
        return None

    def start(self, memory: tf.Tensor, encoder_state: tf.Tensor, memory_mask: tf.Tensor) -> DecoderState:
        """What attention reads, and the state of each layer before the first step.

        With a single layer the context is used only in its part of W in the output. That product is then made here,
        with the values: once for each source position, however many hypotheses and steps read it.

        Args:
            memory: float `[batch, source time, width]`, the encoder's outputs.
            encoder_state: float `[batch, width]`, the encoder's last state.
            memory_mask: boolean `[batch, source time]`, True where a source token is real.

        Returns:
            `DecoderState`, its states `[batch, units]`.
        """
        assert self.attention is not None
        keys, values = self.attention.project(memory)
        if self.projects_values:
            kernel = tf.convert_to_tensor(self.output_projection.kernel)[self.units :]
            values = tf.matmul(values, tf.cast(kernel, values.dtype))
        of_layers = (tf.cast(bridge(encoder_state), self.variable_dtype) for bridge in self.bridges)
        states = tuple(state for of_layer in of_layers for state in tf.split(of_layer, self.num_states, -1))
        return DecoderState(Memory(keys, values, memory_mask), states)

    def zero_states(self, batch_size: tf.Tensor | int) -> States:
        """The states before the first step where there is no source, `[batch, units]` each."""
        return tuple(zero for layer in self.recurrent for zero in layer.cell.get_initial_state(batch_size))

    def stepper(self) -> Callable[[tf.Tensor, DecoderState], tuple[tf.Tensor, tf.Tensor | tuple[()], DecoderState]]:
        """A function that makes one step of several hypotheses for each sentence.

        The weights are read here, once for all steps. Except in attention, hypotheses are rows, whatever sentence they
        belong to.

        Returns:
            A function from the embedded last tokens, `[batch, hypotheses, features]`, and a `DecoderState` to output
            vectors, `[batch, hypotheses, output_dim]`, attention weights, `[batch, hypotheses, source time]` (an empty
            tuple without attention), and the new `DecoderState`.
        """
        recurrent_weights = [layer.cell.recurrent_weights() for layer in self.recurrent]

        def step(embedded: tf.Tensor, state: DecoderState) -> tuple[tf.Tensor, tf.Tensor | tuple[()], DecoderState]:
            hypotheses = embedded.shape[1]
            new_states: list[tf.Tensor] = []

            def grouped(rows: tf.Tensor) -> tf.Tensor:
                return tf.reshape(rows, (-1, hypotheses, rows.shape[-1]))

            def rows(values: tf.Tensor) -> tf.Tensor:
                return tf.reshape(values, (-1, values.shape[-1]))

            def one_step(index: int, inputs: tf.Tensor) -> tf.Tensor:
                cell, before = self.recurrent[index].cell, map(rows, self._of_layer(index, state.states))
                new = cell.step(inputs, tuple(before), recurrent_weights[index])
                new_states.extend(map(grouped, new))
                return tf.cast(cell.output(new[0]), self.compute_dtype)

            def attend(queries: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor | tuple[()]]:
                context, weights = self._attend(grouped(queries), state.memory)
                return [rows(one) for one in context], weights

            outputs, weights = self._compose(rows(embedded), one_step, attend)
            return grouped(outputs), weights, DecoderState(state.memory, tuple(new_states))

        return step

    @property
    def projects_values(self) -> bool:
        """Whether `start` multiplies the values by the output's kernel; heads are merged by a product of their own."""
        return self.attention is not None and self.num_layers == 1 and self.attention_kind != "multi_head"

    def _attend(self, queries: tf.Tensor, memory: Memory | tuple[()]) -> tuple[list[tf.Tensor], tf.Tensor | tuple[()]]:
        """The context, in a list that is empty without attention, and the attention weights."""
        if self.attention is None:
            return [], ()
        context, weights = self.attention.attend(queries, *memory)
        return [context], weights

    def _of_layer(self, index: int, states: States) -> list[tf.Tensor]:
        return list(states[index * self.num_states : (index + 1) * self.num_states])

    def _compose(
        self,
        embedded: tf.Tensor,
        run: Callable[[int, tf.Tensor], tf.Tensor],
        attend: Callable[[tf.Tensor], tuple[list[tf.Tensor], tf.Tensor | tuple[()]]],
    ) -> tuple[tf.Tensor, tf.Tensor | tuple[()]]:
        """The wiring, the same for whole sentences and for single steps."""
        hidden = run(0, embedded)
        context, weights = attend(hidden)
        for index in range(1, self.num_layers):
            hidden += run(index, tf.concat([hidden, *context], -1))
        return self._output(hidden, context), weights

    def _output(self, hidden: tf.Tensor, context: list[tf.Tensor]) -> tf.Tensor:
        """tanh(W [hidden; context] + b), where `start` may have multiplied the context by its part of W."""
        dense = self.output_projection
        if not self.projects_values:
            return dense(tf.concat([hidden, *context], -1))
        of_hidden = multiply(hidden, dense.kernel[: self.units], self.compute_dtype)
        return tf.tanh(of_hidden + context[0] + tf.cast(dense.bias, of_hidden.dtype))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = (
            "units", "num_layers", "output_dim", "cell", "num_heads", "dropout", "recurrent_dropout",
            "variational_dropout", "layer_normalization", "longest_memory", "seed",
        )  # fmt: skip
        config = {name: getattr(self, name) for name in names}
        return super().get_config() | config | {"attention": self.attention_kind}
