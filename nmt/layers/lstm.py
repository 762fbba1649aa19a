"""Long short-term memory: the cell, the layer over a sequence, and the equations of one step."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.normalization import Normalized, normalize_gates, normalize_gates_gradient
from nmt.layers.recurrence import StepGradient, StepResult, Tensors, apply_dropout_mask, kernel_gradient
from nmt.layers.recurrent import Recurrent, RecurrentCell
from nmt.layers.seeds import Initializer, derive_seed


@keras.saving.register_keras_serializable("nmt")
class LSTMCell(RecurrentCell):
    """One step of a long short-term memory with a forget gate (Gers et al. 2000).

        i  = sigmoid(x W_i + h U_i + b_i)
        f  = sigmoid(x W_f + h U_f + b_f)
        g  = tanh(x W_g + h U_g + b_g)
        o  = sigmoid(x W_o + h U_o + b_o)
        c' = f * c + i * g
        h' = o * tanh(c')

    It is `keras.layers.LSTMCell`. The forget gate's bias begins at 1 (Jozefowicz et al. 2015), the others as
    `bias_initializer` says, unless there is a `longest_memory`.

    Args:
        units: int, width of each of the two states, h and c.
        layer_normalization: bool, whether each gate's pre-activation is normalised over the units and multiplied by a
            learnt scale before its bias is added (Ba et al. 2016).
        kernel_initializer: initializer of the weights that multiply the inputs.
        recurrent_initializer: initializer of the weights that multiply the state.
        bias_initializer: initializer of the biases.
        longest_memory: int or None, the most steps that a unit retains its state before training (the chrono
            initialisation); see `RecurrentCell`.
        seed: int or None, from which initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float `[batch, features]`.
        states: h and c, float `[batch, units]` each, in a list, as `keras.layers.RNN` gives them.

    Returns:
        The new h, float `[batch, units]`, and a list of the new h and c.

    Example:

    >>> output, (h, c) = LSTMCell(3)(tf.ones((2, 5)), [tf.zeros((2, 3)), tf.zeros((2, 3))])
    >>> tuple(output.shape), tuple(c.shape)
    ((2, 3), (2, 3))

    Reference:
        [Hochreiter and Schmidhuber 1997](https://doi.org/10.1162/neco.1997.9.8.1735),
        [Gers et al. 2000](https://doi.org/10.1162/089976600300015015).
    """

    num_gates: ClassVar[int] = 4
    num_states: ClassVar[int] = 2
    retention_signs: ClassVar[tuple[int, ...]] = (-1, 1, 0, 0)

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        longest_memory: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            layer_normalization,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            longest_memory,
            seed,
            **kwargs,
        )

    @property
    def equations(self) -> "LSTMEquations":
        """The equations of one step."""
        return LSTMEquations(self.units, self.layer_normalization, self.compute_dtype)

    def initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
        """The biases of i, f, g and o before training, side by side."""
        biases = super().initial_bias(shape, dtype)
        if self.longest_memory is not None:
            return biases
        input_gate, _, others = tf.split(biases, [self.units, self.units, 2 * self.units])
        return tf.concat([input_gate, tf.ones((self.units,), dtype), others], 0)


@keras.saving.register_keras_serializable("nmt")
class LSTM(Recurrent):
    """`LSTMCell` over a sequence (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

        i_t, f_t, o_t = sigmoid(x_t W + h_(t-1) U + b), each with its own W, U and b
        c_t = f_t * c_(t-1) + i_t * tanh(x_t W_g + h_(t-1) U_g + b_g)
        h_t = o_t * tanh(c_t)

    Args:
        units: int, width of each of the two states.
        return_sequences: bool, whether the outputs of all steps are returned, or only the last one.
        return_state: bool, whether the last states are returned too.
        go_backwards: bool, whether the sequence is read from its end; outputs are then returned in that order.
        dropout: float, share of the inputs dropped, drawn anew at each step.
        recurrent_dropout: float, share of the state hidden from the products, the same units at all steps of a sequence
            (Gal and Ghahramani 2016).
        variational_dropout: bool, whether `dropout` is drawn once for all steps of a sequence.
        layer_normalization: bool, whether each gate's pre-activation is normalised; see `LSTMCell`.
        kernel_initializer: initializer of the weights that multiply the inputs.
        recurrent_initializer: initializer of the weights that multiply the state.
        bias_initializer: initializer of the biases.
        longest_memory: int or None, the most steps that a unit retains its state before training (the chrono
            initialisation); see `RecurrentCell`.
        compile_loops: bool, whether in training XLA compiles the loop over time; see `Recurrent`.
        seed: int or None, from which dropout and the initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        sequence: float `[batch, time, features]`.
        initial_state: float `[batch, units]`, h and c in a list; zeros by default.
        mask: boolean `[batch, time]`, True where a step is real; a padded step leaves the states as they were.
        training: bool, whether dropout is applied.

    Returns:
        Outputs, float `[batch, time, units]` or `[batch, units]`; with `return_state`, followed by the last h and c.

    Example:

    >>> states, h, c = LSTM(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(h.shape), tuple(c.shape)
    ((2, 7, 4), (2, 4), (2, 4))

    Reference:
        [Hochreiter and Schmidhuber 1997](https://doi.org/10.1162/neco.1997.9.8.1735),
        [Gers et al. 2000](https://doi.org/10.1162/089976600300015015).
    """

    cell_class: ClassVar[type[RecurrentCell]] = LSTMCell
    cell: LSTMCell

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        layer_normalization: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        longest_memory: int | None = None,
        compile_loops: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units,
            layer_normalization=layer_normalization,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            longest_memory=longest_memory,
            seed=derive_seed(seed, "cell", go_backwards),
            dtype=kwargs.get("dtype"),
            name="cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            variational_dropout=variational_dropout,
            compile_loops=compile_loops,
            seed=seed,
            **kwargs,
        )


@dataclass(frozen=True)
class LSTMEquations:
    """The step of `LSTMCell`, with `a` the input products and `d` the dropout mask of the state:

        s = a + (d h) U,    i, f, o = sigmoid(s_i), sigmoid(s_f), sigmoid(s_o),    g = tanh(s_g)

    With layer normalisation each of the four pre-activations is normalised, scaled and shifted. The weights are the
    kernel, `[units, 4 * units]` as i, f, g, o, and with layer normalisation scale and bias, `[4 * units]`.

    Args:
        units: int, width of each state.
        layer_normalization: bool, whether the pre-activations are normalised.
        product_dtype: precision of the products after the loop that make the weights' gradients.

    Example:

    >>> equations, state = LSTMEquations(2), tf.ones((1, 2))
    >>> equations.step(tf.zeros((1, 8)), (state, 0 * state), (tf.zeros((2, 8)),), None).states[0].numpy().tolist()
    [[0.0, 0.0]]
    """

    units: int
    layer_normalization: bool = False
    product_dtype: str = "float32"

    @property
    def residual_widths(self) -> list[int]:
        """Those of i, f, g, o, tanh(c') and, with layer normalisation, of values and inverse deviations."""
        return [self.units] * 5 + ([4 * self.units, 4] if self.layer_normalization else [])

    @property
    def pre_activation_widths(self) -> list[int]:
        """That of all four side by side; with layer normalisation, before it and after it."""
        return [4 * self.units] * (2 if self.layer_normalization else 1)

    def step(
        self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> StepResult:
        """See `Equations.step`."""
        (h, c), (kernel, *normalization) = states, weights
        values = projected + tf.matmul(apply_dropout_mask(h, dropout_mask), kernel)
        normalized: Tensors = ()
        if self.layer_normalization:
            normalized = normalize_gates(values, 4)
            values = normalized[0] * normalization[0] + normalization[1]
        input_gate, forget_gate, candidate, output_gate = tf.split(values, 4, 1)
        i, f, o = tf.sigmoid(input_gate), tf.sigmoid(forget_gate), tf.sigmoid(output_gate)
        g = tf.tanh(candidate)
        new_c = f * c + i * g
        activated = tf.tanh(new_c)
        return StepResult((o * activated, new_c), (i, f, g, o, activated, *normalized))

    def backward_weights(self, weights: Tensors) -> Tensors:
        """The kernel transposed, and the scale as it is."""
        return tf.transpose(weights[0]), *weights[1:2]

    def step_backward(
        self,
        d_states: Tensors,
        states: Tensors,
        residuals: Tensors,
        backward_weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> StepGradient:
        """See `DifferentiatedEquations.step_backward`."""
        (d_h, d_c), (_, c), (kernel_t, *scale) = d_states, states, backward_weights
        i, f, g, o, activated, *normalized = residuals
        d_c += d_h * o * (1 - activated * activated)
        d_gates = d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g * g), d_h * activated * o * (1 - o)
        d_shifted = tf.concat(d_gates, 1)
        d_sums = d_shifted
        if normalized:
            d_sums = normalize_gates_gradient(d_shifted * scale[0], Normalized(*normalized))
        d_before = apply_dropout_mask(tf.matmul(d_sums, kernel_t), dropout_mask)
        return StepGradient((d_before, d_c * f), (d_sums, d_shifted) if normalized else (d_sums,))

    def weight_gradients(
        self,
        d_pre_activations: Tensors,
        states: Tensors,
        residuals: Tensors,
        weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> list[tf.Tensor]:
        """See `DifferentiatedEquations.weight_gradients`."""
        visible = apply_dropout_mask(states[0], dropout_mask)
        gradients = [kernel_gradient(visible, d_pre_activations[0], self.product_dtype)]
        if self.layer_normalization:
            d_shifted, normalized = d_pre_activations[1], residuals[5]
            gradients += [tf.reduce_sum(d_shifted * normalized, (0, 1)), tf.reduce_sum(d_shifted, (0, 1))]
        return gradients
