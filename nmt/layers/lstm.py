"""Long short-term memory, as a cell and over a sequence."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.gated import GatedCell, GatedRecurrent, normalize_gates, normalize_gates_gradient
from nmt.layers.normalization import Normalized
from nmt.layers.recurrence import BackStep, Step, Tensors, over_all_steps, visible_state


@keras.saving.register_keras_serializable("nmt")
class LSTMCell(GatedCell):
    """One step of a long short-term memory with a forget gate (Gers et al. 2000).

        i = sigmoid(x W_i + h U_i + b_i)        f = sigmoid(x W_f + h U_f + b_f)
        g = tanh(x W_g + h U_g + b_g)           o = sigmoid(x W_o + h U_o + b_o)
        c' = f * c + i * g                      h' = o * tanh(c')

    It is `keras.layers.LSTMCell`. The forget gate's bias begins at 1 (Jozefowicz et al. 2015), the others as
    `bias_initializer` says, unless there is a `longest_memory`.

    Args:
        units: width of each of the two states, h and c.
        layer_normalization: whether each gate's sum is normalised over the units and multiplied by a learnt scale
            before its bias is added (Ba et al. 2016).
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the bias.
        longest_memory: steps that the state is kept at most before training; see `GatedCell`.

    Call arguments:
        inputs: `[batch, features]`.
        states: h and c, `[batch, units]` each, in a list, as `keras.layers.RNN` gives them.

    Returns:
        The new h, and a list of the new h and c.

    Example:

    >>> output, (h, c) = LSTMCell(3)(tf.ones((2, 5)), [tf.zeros((2, 3)), tf.zeros((2, 3))])
    >>> tuple(output.shape), tuple(c.shape)
    ((2, 3), (2, 3))

    Reference:
        [Hochreiter and Schmidhuber 1997](https://doi.org/10.1162/neco.1997.9.8.1735),
        [Gers et al. 2000](https://doi.org/10.1162/089976600300015015).
    """

    gates: ClassVar[int] = 4
    keeps: ClassVar[tuple[int, ...]] = (-1, 1, 0, 0)
    states: ClassVar[int] = 2

    def initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """That of i, f, g and o, side by side."""
        biases = super().initial_bias(shape, dtype)
        if self.longest_memory is not None:
            return biases
        of_input, _, others = tf.split(biases, [self.units, self.units, 2 * self.units])
        return tf.concat([of_input, tf.ones((self.units,), dtype), others], 0)

    @property
    def equations(self) -> "MemoryStep":
        """One step."""
        return MemoryStep(self.units, self.layer_normalization, self.compute_dtype)


@keras.saving.register_keras_serializable("nmt")
class LSTM(GatedRecurrent):
    """`LSTMCell` over a sequence; see `Recurrent` for how it is called and what it returns.

    Args:
        units: width of each of the two states.
        **kwargs: those of `LSTMCell`: `layer_normalization`, the initializers and `longest_memory`; and those of
            `Recurrent`: `return_sequences`, `return_state`, `go_backwards`, `dropout`, `recurrent_dropout`,
            `variational_dropout`, `compile_loops`, `seed`.

    Example:

    >>> states, h, c = LSTM(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(h.shape), tuple(c.shape)
    ((2, 7, 4), (2, 4), (2, 4))
    """

    cell_class: ClassVar[type[GatedCell]] = LSTMCell
    cell: LSTMCell


@dataclass(frozen=True)
class MemoryStep:
    """The step of `LSTMCell`, with `a` the input products and `d` the dropout mask of the state:

        s = a + (d h) U,    i, f, o = sigmoid(s_i), sigmoid(s_f), sigmoid(s_o),    g = tanh(s_g)

    With layer normalisation each of the four sums is normalised, scaled and shifted before its activation. The weights
    are the kernel, `[units, 4 * units]` as i, f, g, o, and with layer normalisation scale and bias, `[4 * units]`.

    Args:
        units: width of the states.
        layer_normalization: see above.
        product_dtype: precision of the products after the loop that make the weights' gradients.
    """

    units: int
    layer_normalization: bool = False
    product_dtype: str = "float32"

    @property
    def saved_widths(self) -> list[int]:
        """Those of i, f, g, o, tanh(c') and, with layer normalisation, of values and inverse deviations."""
        return [self.units] * 5 + ([4 * self.units, 4] if self.layer_normalization else [])

    @property
    def sum_widths(self) -> list[int]:
        """All four sums side by side; with layer normalisation, before and after it."""
        return [4 * self.units] * (2 if self.layer_normalization else 1)

    def advance(self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None) -> Step:
        """See `Equations.advance`."""
        (h, c), (kernel, *normalization) = states, weights
        values = projected + tf.matmul(visible_state(h, dropout_mask), kernel)
        kept: Tensors = ()
        if self.layer_normalization:
            kept = normalize_gates(values, 4)
            values = kept[0] * normalization[0] + normalization[1]
        of_input, of_forget, of_candidate, of_output = tf.split(values, 4, 1)
        i, f, o = tf.sigmoid(of_input), tf.sigmoid(of_forget), tf.sigmoid(of_output)
        g = tf.tanh(of_candidate)
        new_c = f * c + i * g
        activated = tf.tanh(new_c)
        return Step((o * activated, new_c), (i, f, g, o, activated, *kept))

    def transposed(self, weights: Tensors) -> Tensors:
        """The kernel, and the scale as it is."""
        return tf.transpose(weights[0]), *weights[1:2]

    def retreat(
        self, d_states: Tensors, states: Tensors, saved: Tensors, transposed: Tensors, dropout_mask: tf.Tensor | None
    ) -> BackStep:
        """See `DifferentiatedEquations.retreat`."""
        (d_h, d_c), (_, c), (kernel_t, *scale) = d_states, states, transposed
        i, f, g, o, activated, *kept = saved
        d_c += d_h * o * (1 - activated * activated)
        of_gates = d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g * g), d_h * activated * o * (1 - o)
        d_values = tf.concat(of_gates, 1)
        d_sums = normalize_gates_gradient(d_values * scale[0], Normalized(*kept)) if kept else d_values
        d_before = visible_state(tf.matmul(d_sums, kernel_t), dropout_mask)
        return BackStep((d_before, d_c * f), (d_sums, d_values) if kept else (d_sums,))

    def weight_gradients(
        self, sums: Tensors, states: Tensors, saved: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> list[tf.Tensor]:
        """See `DifferentiatedEquations.weight_gradients`."""
        gradients = [over_all_steps(visible_state(states[0], dropout_mask), sums[0], self.product_dtype)]
        if self.layer_normalization:
            gradients += [tf.reduce_sum(sums[1] * saved[5], (0, 1)), tf.reduce_sum(sums[1], (0, 1))]
        return gradients
