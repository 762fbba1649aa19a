"""The simple recurrent network of Elman (1990): the cell, the layer over a sequence, and the equations of one step."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.normalization import Normalized, normalize_gates, normalize_gates_gradient
from nmt.layers.recurrence import StepGradient, StepResult, Tensors, apply_dropout_mask, kernel_gradient
from nmt.layers.recurrent import Recurrent, RecurrentCell
from nmt.layers.seeds import Initializer, derive_seed


@keras.saving.register_keras_serializable("nmt")
class SimpleRNNCell(RecurrentCell):
    """One step of a simple recurrent network (Elman 1990), which has no gates.

        h' = tanh(x W + h U + b)

    It is `keras.layers.SimpleRNNCell`. Its gradient shrinks or grows from step to step by the same matrix, so that it
    vanishes or explodes over long distances (Bengio et al. 1994); `nmt.analysis.gradients` measures that.

    Args:
        units: int, width of the state.
        layer_normalization: bool, whether the pre-activation is normalised over the units and multiplied by a learnt
            scale before the bias is added (Ba et al. 2016).
        kernel_initializer: initializer of the weights that multiply the inputs.
        recurrent_initializer: initializer of the weights that multiply the state.
        bias_initializer: initializer of the biases.
        longest_memory: only None, as there are no gates; all cells have this argument.
        seed: int or None, from which initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float `[batch, features]`.
        states: the state, float `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The new state, float `[batch, units]`, and a list that contains it.

    Example:

    >>> state, _ = SimpleRNNCell(3)(tf.ones((2, 5)), [tf.zeros((2, 3))])
    >>> tuple(state.shape)
    (2, 3)

    Reference:
        [Elman 1990](https://doi.org/10.1207/s15516709cog1402_1).
    """

    num_gates: ClassVar[int] = 1
    retention_signs: ClassVar[tuple[int, ...]] = (0,)

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
    def equations(self) -> "SimpleRNNEquations":
        """The equations of one step."""
        return SimpleRNNEquations(self.units, self.layer_normalization, self.compute_dtype)


@keras.saving.register_keras_serializable("nmt")
class SimpleRNN(Recurrent):
    """`SimpleRNNCell` over a sequence (Elman 1990).

        h_t = tanh(x_t W + h_(t-1) U + b)

    Args:
        units: int, width of the state.
        return_sequences: bool, whether the outputs of all steps are returned, or only the last one.
        return_state: bool, whether the last state is returned too.
        go_backwards: bool, whether the sequence is read from its end; outputs are then returned in that order.
        dropout: float, share of the inputs dropped, drawn anew at each step.
        recurrent_dropout: float, share of the state hidden from the products, the same units at all steps of a sequence
            (Gal and Ghahramani 2016).
        variational_dropout: bool, whether `dropout` is drawn once for all steps of a sequence.
        layer_normalization: bool, whether each gate's pre-activation is normalised; see `SimpleRNNCell`.
        kernel_initializer: initializer of the weights that multiply the inputs.
        recurrent_initializer: initializer of the weights that multiply the state.
        bias_initializer: initializer of the biases.
        longest_memory: only None, as there are no gates; all recurrent layers have this argument.
        compile_loops: bool, whether in training XLA compiles the loop over time; see `Recurrent`.
        seed: int or None, from which dropout and the initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        sequence: float `[batch, time, features]`.
        initial_state: float `[batch, units]`, alone or in a list; zeros by default.
        mask: boolean `[batch, time]`, True where a step is real; a padded step leaves the state as it was.
        training: bool, whether dropout is applied.

    Returns:
        Outputs, float `[batch, time, units]` or `[batch, units]`; with `return_state`, followed by the last state.

    Example:

    >>> states, last = SimpleRNN(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))

    Reference:
        [Elman 1990](https://doi.org/10.1207/s15516709cog1402_1).
    """

    cell_class: ClassVar[type[RecurrentCell]] = SimpleRNNCell
    cell: SimpleRNNCell

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
        cell = SimpleRNNCell(
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
class SimpleRNNEquations:
    """h' = tanh(a + (d h) U), with `a` the input products and `d` the dropout mask of the state.

    With layer normalisation the pre-activation is normalised, scaled and shifted. The weights are the kernel,
    `[units, units]`, and with layer normalisation scale and bias, `[units]`.

    Args:
        units: int, width of the state.
        layer_normalization: bool, whether the pre-activation is normalised.
        product_dtype: precision of the products after the loop that make the weights' gradients.

    Example:

    >>> equations, state = SimpleRNNEquations(2), tf.ones((1, 2))
    >>> equations.step(tf.zeros((1, 2)), (state,), (tf.zeros((2, 2)),), None).states[0].numpy().tolist()
    [[0.0, 0.0]]
    """

    units: int
    layer_normalization: bool = False
    product_dtype: str = "float32"

    @property
    def residual_widths(self) -> list[int]:
        """That of the new state and, with layer normalisation, of values and inverse deviation."""
        return [self.units] + ([self.units, 1] if self.layer_normalization else [])

    @property
    def pre_activation_widths(self) -> list[int]:
        """That of the pre-activation; with layer normalisation, before it and after it."""
        return [self.units] * (2 if self.layer_normalization else 1)

    def step(
        self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> StepResult:
        """See `Equations.step`."""
        kernel, *normalization = weights
        values = projected + tf.matmul(apply_dropout_mask(states[0], dropout_mask), kernel)
        normalized: Tensors = ()
        if self.layer_normalization:
            normalized = normalize_gates(values, 1)
            values = normalized[0] * normalization[0] + normalization[1]
        new = tf.tanh(values)
        return StepResult((new,), (new, *normalized))

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
        (new, *normalized), (kernel_t, *scale) = residuals, backward_weights
        d_shifted = d_states[0] * (1 - new * new)
        d_sums = d_shifted
        if normalized:
            d_sums = normalize_gates_gradient(d_shifted * scale[0], Normalized(*normalized))
        d_before = apply_dropout_mask(tf.matmul(d_sums, kernel_t), dropout_mask)
        return StepGradient((d_before,), (d_sums, d_shifted) if normalized else (d_sums,))

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
            d_shifted, normalized = d_pre_activations[1], residuals[1]
            gradients += [tf.reduce_sum(d_shifted * normalized, (0, 1)), tf.reduce_sum(d_shifted, (0, 1))]
        return gradients
