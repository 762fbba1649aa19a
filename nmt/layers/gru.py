"""The gated recurrent unit to the equations of the article, as a cell and over a sequence."""

from typing import Any

import keras
import tensorflow as tf

from nmt.layers.dropout import dropout as drop
from nmt.layers.recurrence import gru_sequence, normalize, product


@keras.saving.register_keras_serializable("nmt")
class GRUCell(keras.layers.Layer):
    """One step of a gated recurrent unit (Cho et al. 2014), the reset gate applied before the product.

        z  = sigmoid(x W_z + h U_z + b_z)
        r  = sigmoid(x W_r + h U_r + b_r)
        h~ = tanh(x W_h + (r * h) U_h + b_h)
        h' = (1 - z) * h + z * h~

    It is `keras.layers.GRUCell(reset_after=False)` with z and 1 - z exchanged: negating the weights of z maps one
    onto the other. With `layer_normalization`, each of the three sums is normalised over the units and multiplied
    by a learnt scale before its bias is added (Ba et al. 2016).

    Args:
        units: width of the state.
        layer_normalization: whether each gate's pre-activation is normalised.
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the bias.

    Call arguments:
        inputs: `[batch, features]`.
        states: the state `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The new state, and a list that holds it.

    Example:

    >>> cell = GRUCell(3)
    >>> state, _ = cell(tf.ones((2, 5)), [tf.zeros((2, 3))])
    >>> tuple(state.shape)
    (2, 3)
    >>> tuple(keras.layers.RNN(cell, return_sequences=True)(tf.ones((2, 7, 5))).shape)
    (2, 7, 3)

    Reference:
        [Cho et al. 2014](https://arxiv.org/abs/1406.1078), section 2.3.
    """

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"GRUCell: expected `units` to be a positive integer, got {units!r}")
        super().__init__(**kwargs)
        self.units = units
        self.layer_normalization = layer_normalization
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.state_size = units
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights; the gates lie side by side as z, r, h."""
        units = self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], 3 * units), initializer=self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(units, 3 * units), initializer=self.recurrent_initializer, name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(3 * units,), initializer=self.bias_initializer, name="bias")
        self.scale = (
            self.add_weight(shape=(3 * units,), initializer="ones", name="scale") if self.layer_normalization else None
        )

    def get_initial_state(self, batch_size: int | tf.Tensor | None = None) -> list[tf.Tensor]:
        """Zeros, `[batch, units]`, in a list."""
        return [tf.zeros((batch_size, self.units), self.state_dtype)]

    @property
    def state_dtype(self) -> str:
        """States stay in the variables' precision: in half precision, small updates would be lost over time."""
        return self.variable_dtype

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """The input products of any number of steps, `[..., features]` to `[..., 3 * units]`.

        The bias is added here unless layer normalisation comes between.
        """
        flat = tf.reshape(inputs, (-1, inputs.shape[-1]))
        projected = tf.matmul(tf.cast(flat, self.compute_dtype), tf.cast(self.kernel, self.compute_dtype))
        if not self.layer_normalization:
            projected += tf.cast(self.bias, self.compute_dtype)
        return tf.reshape(projected, tf.concat([tf.shape(inputs)[:-1], [3 * self.units]], 0))

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor] | tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Makes one step; see the class."""
        state = tf.cast(states[0] if isinstance(states, list | tuple) else states, self.state_dtype)
        kernel = tf.cast(self.recurrent_kernel, self.compute_dtype)
        projected = tf.cast(self.project(inputs), self.state_dtype)
        units = self.units

        gates = projected[:, : 2 * units] + product(state, kernel[:, : 2 * units])
        z = tf.sigmoid(self._activation(gates[:, :units], 0))
        r = tf.sigmoid(self._activation(gates[:, units:], 1))
        candidate = projected[:, 2 * units :] + product(r * state, kernel[:, 2 * units :])
        candidate = tf.tanh(self._activation(candidate, 2))
        state += z * (candidate - state)
        return state, [state]

    def _activation(self, values: tf.Tensor, gate: int) -> tf.Tensor:
        if self.scale is None:
            return values
        part = slice(gate * self.units, (gate + 1) * self.units)
        scale, bias = (tf.cast(weight, self.state_dtype)[part] for weight in (self.scale, self.bias))
        return normalize(values).values * scale + bias

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "units": self.units,
            "layer_normalization": self.layer_normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@keras.saving.register_keras_serializable("nmt")
class GRU(keras.layers.Layer):
    """`GRUCell` over a sequence: the same numbers as stepping the cell, by the faster way of `nmt.layers.recurrence`.

    Works inside `keras.layers.Bidirectional`.

    Args:
        units: width of the state.
        return_sequences: whether the states of all steps are returned, or only the last one.
        return_state: whether the last state is returned besides.
        go_backwards: whether the sequence is read from its end; the states are then returned in that order.
        dropout: share of the inputs dropped, drawn anew for each step.
        recurrent_dropout: share of the state hidden from the products, the same for all steps of a sequence
            (Gal and Ghahramani 2016); what the state carries on is never dropped.
        layer_normalization: see `GRUCell`.
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the bias.
        seed: of the dropout.

    Call arguments:
        sequence: `[batch, time, features]`.
        initial_state: `[batch, units]`, alone or in a list; zeros if absent.
        mask: boolean `[batch, time]`, True where a step is real. A padded step leaves the state as it was.
        training: whether dropout is applied.

    Returns:
        States, `[batch, time, units]` or `[batch, units]`; with `return_state`, the last state `[batch, units]` too.

    Example:

    >>> states, last = GRU(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))
    """

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        layer_normalization: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate < 1:
                raise ValueError(f"GRU: expected `{name}` to be at least 0 and below 1, got {rate!r}")
        super().__init__(**kwargs)
        self.cell = GRUCell(
            units,
            layer_normalization=layer_normalization,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            dtype=self.dtype_policy,
            name="cell",
        )
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout or recurrent_dropout else None
        self.stateful, self.states = False, None  # keras.layers.Bidirectional asks
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the cell's weights."""
        self.cell.build(input_shape)

    def call(
        self,
        sequence: tf.Tensor,
        initial_state: list[tf.Tensor] | tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> Any:
        """Runs the cell over the sequence; see the class."""
        cell, batch = self.cell, tf.shape(sequence)[0]
        if isinstance(initial_state, list | tuple):
            initial_state = initial_state[0]
        if initial_state is None:
            (initial_state,) = cell.get_initial_state(batch)
        initial_state = tf.ensure_shape(tf.cast(initial_state, cell.state_dtype), (None, cell.units))
        dropout_mask = None
        if training and self.dropout:
            sequence = drop(sequence, self.dropout, self.seed_generator)
        if training and self.recurrent_dropout:
            dropout_mask = drop(tf.ones_like(initial_state), self.recurrent_dropout, self.seed_generator)

        # Time-major only in here: each step of the loop then reads one contiguous block.
        projected = tf.transpose(cell.project(sequence), (1, 0, 2))
        mask = None if mask is None else tf.transpose(mask)
        if self.go_backwards:
            projected = tf.reverse(projected, (0,))
            mask = None if mask is None else tf.reverse(mask, (0,))
        states, last = gru_sequence(
            projected,
            initial_state,
            tf.cast(cell.recurrent_kernel, self.compute_dtype),
            mask=mask,
            dropout_mask=dropout_mask,
            scale=None if cell.scale is None else tf.convert_to_tensor(cell.scale),
            bias=None if cell.scale is None else tf.convert_to_tensor(cell.bias),
        )
        outputs = tf.transpose(states, (1, 0, 2)) if self.return_sequences else last
        outputs = tf.cast(outputs, self.compute_dtype)
        return (outputs, last) if self.return_state else outputs

    def compute_mask(self, _: tf.Tensor, mask: Any = None) -> Any:
        """The mask goes on with the states of all steps; the last state has none."""
        mask = mask[0] if isinstance(mask, list) else mask
        outputs = mask if self.return_sequences else None
        return [outputs, None] if self.return_state else outputs

    def compute_output_shape(self, sequence_shape: tuple[int | None, ...], initial_state_shape: Any = None) -> Any:
        """`[batch, time, units]` or `[batch, units]`; with `return_state`, that of the last state too."""
        batch, time = sequence_shape[0], sequence_shape[1]
        last = (batch, self.cell.units)
        outputs = (batch, time, self.cell.units) if self.return_sequences else last
        return (outputs, last) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        cell = self.cell.get_config()
        names = ("units", "layer_normalization", "kernel_initializer", "recurrent_initializer", "bias_initializer")
        return (
            super().get_config()
            | {name: cell[name] for name in names}
            | {
                "return_sequences": self.return_sequences,
                "return_state": self.return_state,
                "go_backwards": self.go_backwards,
                "dropout": self.dropout,
                "recurrent_dropout": self.recurrent_dropout,
                "seed": self.seed,
            }
        )
