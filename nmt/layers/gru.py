"""The gated recurrent unit as in the article: the cell, the layer over a sequence, and the equations of one step."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.cudnn import cudnn_gru, has_cudnn
from nmt.layers.normalization import Normalized, normalize, normalize_gradient
from nmt.layers.recurrence import (
    LoopOptions,
    StepGradient,
    StepResult,
    Tensors,
    apply_dropout_mask,
    kernel_gradient,
)
from nmt.layers.recurrent import Recurrent, RecurrentCell
from nmt.layers.seeds import Initializer, derive_seed, make_initializer


@keras.saving.register_keras_serializable("nmt")
class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit (Cho et al. 2014), the reset gate applied before the product.

        z  = sigmoid(x W_z + h U_z + b_z)
        r  = sigmoid(x W_r + h U_r + b_r)
        h~ = tanh(x W_h + (r * h) U_h + b_h)
        h' = (1 - z) * h + z * h~

    It is `keras.layers.GRUCell(reset_after=False)` with z and 1 - z exchanged: negating the weights of z maps one onto
    the other. With `layer_normalization`, each of the three pre-activations is normalised over the units and multiplied
    by a learnt scale before its bias is added (Ba et al. 2016). With `reset_after`,

        h~ = tanh(x W_h + b_h + r * (h U_h + c))

    Args:
        units: int, width of the state.
        layer_normalization: bool, whether each gate's pre-activation is normalised.
        reset_after: bool, whether the reset gate is applied after the product; not together with `layer_normalization`.
        kernel_initializer: initializer of the weights that multiply the inputs.
        recurrent_initializer: initializer of the weights that multiply the state.
        bias_initializer: initializer of the biases.
        longest_memory: int or None, the most steps that a unit retains its state before training (the chrono
            initialisation); see `RecurrentCell`.
        seed: int or None, from which initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float `[batch, features]`.
        states: the state, float `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The new state, float `[batch, units]`, and a list that contains it.

    Raises:
        ValueError: with both `layer_normalization` and `reset_after`.

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

    num_gates: ClassVar[int] = 3
    retention_signs: ClassVar[tuple[int, ...]] = (-1, 0, 0)

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        reset_after: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        longest_memory: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if layer_normalization and reset_after:
            raise ValueError("GRUCell: expected `layer_normalization` or `reset_after`, got both")
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
        self.reset_after = reset_after

    @property
    def equations(self) -> "ResetBeforeEquations | ResetAfterEquations":
        """The equations of one step."""
        if self.reset_after:
            return ResetAfterEquations(self.units, self.compute_dtype)
        return ResetBeforeEquations(self.units, self.layer_normalization, self.compute_dtype)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights; the gates lie side by side as z, r, h."""
        super().build(input_shape)
        if self.reset_after:
            initializer = make_initializer(self.bias_initializer, self.seed, "candidate_bias")
            self.candidate_bias = self._add_weight("candidate_bias", (self.units,), initializer)

    def recurrent_weights(self) -> Tensors:
        """The weights as `ResetBeforeEquations` and `ResetAfterEquations` read them."""
        kernel = tf.convert_to_tensor(self.recurrent_kernel)
        if self.reset_after:
            return kernel, tf.convert_to_tensor(self.candidate_bias)
        normalization = (self.scale, self.bias) if self.layer_normalization else ()
        parts = tf.split(kernel, [2 * self.units, self.units], 1)
        return *parts, *(tf.convert_to_tensor(weight) for weight in normalization)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"reset_after": self.reset_after}


@keras.saving.register_keras_serializable("nmt")
class GRU(Recurrent):
    """`GRUCell` over a sequence (Cho et al. 2014).

        z_t  = sigmoid(x_t W_z + h_(t-1) U_z + b_z)
        r_t  = sigmoid(x_t W_r + h_(t-1) U_r + b_r)
        h~_t = tanh(x_t W_h + (r_t * h_(t-1)) U_h + b_h)
        h_t  = (1 - z_t) * h_(t-1) + z_t * h~_t

    With `reset_after`, on a GPU and outside XLA, it runs cuDNN's kernel.

    Args:
        units: int, width of the state.
        return_sequences: bool, whether the outputs of all steps are returned, or only the last one.
        return_state: bool, whether the last state is returned too.
        go_backwards: bool, whether the sequence is read from its end; outputs are then returned in that order.
        dropout: float, share of the inputs dropped, drawn anew at each step.
        recurrent_dropout: float, share of the state hidden from the products, the same units at all steps of a sequence
            (Gal and Ghahramani 2016).
        variational_dropout: bool, whether `dropout` is drawn once for all steps of a sequence.
        layer_normalization: bool, whether each gate's pre-activation is normalised; see `GRUCell`.
        reset_after: bool, whether the reset gate is applied after the product; see `GRUCell`.
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
        initial_state: float `[batch, units]`, alone or in a list; zeros by default.
        mask: boolean `[batch, time]`, True where a step is real; a padded step leaves the state as it was.
        training: bool, whether dropout is applied.

    Returns:
        Outputs, float `[batch, time, units]` or `[batch, units]`; with `return_state`, followed by the last state.

    Example:

    >>> states, last = GRU(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))

    Reference:
        [Cho et al. 2014](https://arxiv.org/abs/1406.1078), section 2.3.
    """

    cell_class: ClassVar[type[RecurrentCell]] = GRUCell
    cell: GRUCell

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
        reset_after: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        longest_memory: int | None = None,
        compile_loops: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units,
            layer_normalization=layer_normalization,
            reset_after=reset_after,
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

    def run(
        self,
        sequence: tf.Tensor,
        states: Tensors,
        mask: tf.Tensor | None,
        dropout_mask: tf.Tensor | None,
        options: LoopOptions,
    ) -> tuple[tf.Tensor, Tensors]:
        """The states of all steps, by cuDNN where it can; see `Recurrent.run`."""
        cell = self.cell
        if cell.reset_after and dropout_mask is None and not options.jit_compile and has_cudnn():
            weights = cell.kernel, cell.recurrent_kernel, cell.bias, cell.candidate_bias
            return cudnn_gru(sequence, states[0], weights, mask, options.reverse)
        return self.run_loop(sequence, states, mask, dropout_mask, options)


@dataclass(frozen=True)
class ResetBeforeEquations:
    """The article's step (Cho et al. 2014): the reset gate is applied before the product.

        z  = sigmoid(a_z + (d h) U_z)
        r  = sigmoid(a_r + (d h) U_r)
        h~ = tanh(a_h + (r d h) U_h)
        h' = (1 - z) h + z h~

    Here `a` are the input products and `d` is the dropout mask of the state. With layer normalisation, each of the
    three pre-activations is normalised, scaled and shifted. The weights are the kernel of z and r,
    `[units, 2 * units]`, that of h~, `[units, units]`, and with layer normalisation scale and bias, `[3 * units]` as z,
    r, h.

    Args:
        units: int, width of the state.
        layer_normalization: bool, whether the pre-activations are normalised.
        product_dtype: precision of the products after the loop that make the weights' gradients.

    Example:

    >>> weights, state = (tf.zeros((2, 4)), tf.zeros((2, 2))), tf.ones((1, 2))
    >>> ResetBeforeEquations(2).step(tf.zeros((1, 6)), (state,), weights, None).states[0].numpy().tolist()
    [[0.5, 0.5]]
    """

    units: int
    layer_normalization: bool = False
    product_dtype: str = "float32"

    @property
    def residual_widths(self) -> list[int]:
        """Those of z, r, h~ and, with layer normalisation, of values and inverse deviation for each of them."""
        return [self.units] * 3 + ([self.units, 1] * 3 if self.layer_normalization else [])

    @property
    def pre_activation_widths(self) -> list[int]:
        """That of all three side by side; with layer normalisation, before it and after it."""
        return [3 * self.units] * (2 if self.layer_normalization else 1)

    def step(
        self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> StepResult:
        """See `Equations.step`."""
        units, (state,) = self.units, states
        gate_kernel, candidate_kernel, *normalization = weights
        of_gates = [tf.split(weight, 3) for weight in normalization]
        normalized: list[tf.Tensor] = []

        def shifted(values: tf.Tensor, gate: int) -> tf.Tensor:
            if not self.layer_normalization:
                return values
            normalized.extend(normalize(values))
            scale, bias = of_gates
            return normalized[-2] * scale[gate] + bias[gate]

        visible = apply_dropout_mask(state, dropout_mask)
        projected_gates, projected_candidate = tf.split(projected, [2 * units, units], 1)
        z, r = tf.split(projected_gates + tf.matmul(visible, gate_kernel), 2, 1)
        z, r = tf.sigmoid(shifted(z, 0)), tf.sigmoid(shifted(r, 1))
        candidate = projected_candidate + tf.matmul(r * visible, candidate_kernel)
        candidate = tf.tanh(shifted(candidate, 2))
        return StepResult((state + z * (candidate - state),), (z, r, candidate, *normalized))

    def backward_weights(self, weights: Tensors) -> Tensors:
        """Both kernels transposed, and the scale as it is."""
        gate_kernel, candidate_kernel, *normalization = weights
        return tf.transpose(gate_kernel), tf.transpose(candidate_kernel), *normalization[:1]

    def step_backward(
        self,
        d_states: Tensors,
        states: Tensors,
        residuals: Tensors,
        backward_weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> StepGradient:
        """See `DifferentiatedEquations.step_backward`."""
        (d_state,), (state,) = d_states, states
        z, r, candidate, *normalized = residuals
        gate_kernel_t, candidate_kernel_t, *scale = backward_weights

        def before_normalization(d_values: tf.Tensor, gate: int) -> tf.Tensor:
            if not self.layer_normalization:
                return d_values
            of_gate = Normalized(*normalized[2 * gate : 2 * gate + 2])
            return normalize_gradient(d_values * scale[0][self._part(gate)], of_gate)

        visible = apply_dropout_mask(state, dropout_mask)
        d_candidate = d_state * z * (1 - candidate * candidate)
        d_candidate_sum = before_normalization(d_candidate, 2)
        d_reset_state = tf.matmul(d_candidate_sum, candidate_kernel_t)
        d_update = d_state * (candidate - state) * z * (1 - z)
        d_reset = d_reset_state * visible * r * (1 - r)
        d_gate_sums = tf.concat([before_normalization(d_update, 0), before_normalization(d_reset, 1)], 1)
        d_visible = d_reset_state * r + tf.matmul(d_gate_sums, gate_kernel_t)
        d_before = d_state * (1 - z) + apply_dropout_mask(d_visible, dropout_mask)
        d_pre_activations = [tf.concat([d_gate_sums, d_candidate_sum], 1)]
        if self.layer_normalization:
            d_pre_activations.append(tf.concat([d_update, d_reset, d_candidate], 1))
        return StepGradient((d_before,), tuple(d_pre_activations))

    def weight_gradients(
        self,
        d_pre_activations: Tensors,
        states: Tensors,
        residuals: Tensors,
        weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> list[tf.Tensor]:
        """See `DifferentiatedEquations.weight_gradients`."""
        d_sums, units = d_pre_activations[0], self.units
        visible = apply_dropout_mask(states[0], dropout_mask)
        gradients = [
            kernel_gradient(visible, d_sums[..., : 2 * units], self.product_dtype),
            kernel_gradient(residuals[1] * visible, d_sums[..., 2 * units :], self.product_dtype),
        ]
        if self.layer_normalization:
            d_shifted, normalized = d_pre_activations[1], tf.concat(residuals[3::2], -1)
            gradients += [tf.reduce_sum(d_shifted * normalized, (0, 1)), tf.reduce_sum(d_shifted, (0, 1))]
        return gradients

    def _part(self, gate: int) -> slice:
        return slice(gate * self.units, (gate + 1) * self.units)


@dataclass(frozen=True)
class ResetAfterEquations:
    """The variant with the reset gate applied after the product, which cuDNN has.

        z  = sigmoid(a_z + (d h) U_z)
        r  = sigmoid(a_r + (d h) U_r)
        h~ = tanh(a_h + r ((d h) U_h + c))
        h' = (1 - z) h + z h~

    The state has one product instead of two that wait for each other. The weights are the kernel, `[units, 3 * units]`
    as z, r, h, and the bias c, `[units]`.

    Args:
        units: int, width of the state.
        product_dtype: precision of the products after the loop that make the weights' gradients.

    Example:

    >>> equations, state = ResetAfterEquations(2), tf.ones((1, 2))
    >>> equations.step(tf.zeros((1, 6)), (state,), (tf.zeros((2, 6)), tf.zeros((2,))), None).states[0].numpy().tolist()
    [[0.5, 0.5]]
    """

    units: int
    product_dtype: str = "float32"

    @property
    def residual_widths(self) -> list[int]:
        """Those of z, r, h~, and of the product that r multiplies."""
        return [self.units] * 4

    @property
    def pre_activation_widths(self) -> list[int]:
        """That of all three side by side."""
        return [3 * self.units]

    def step(
        self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> StepResult:
        """See `Equations.step`."""
        units, (state,), (kernel, bias) = self.units, states, weights
        products = tf.matmul(apply_dropout_mask(state, dropout_mask), kernel)
        gates = tf.sigmoid(projected[:, : 2 * units] + products[:, : 2 * units])
        z, r = gates[:, :units], gates[:, units:]
        gated = products[:, 2 * units :] + bias
        candidate = tf.tanh(projected[:, 2 * units :] + r * gated)
        return StepResult((state + z * (candidate - state),), (z, r, candidate, gated))

    def backward_weights(self, weights: Tensors) -> Tensors:
        """The kernel transposed."""
        return (tf.transpose(weights[0]),)

    def step_backward(
        self,
        d_states: Tensors,
        states: Tensors,
        residuals: Tensors,
        backward_weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> StepGradient:
        """See `DifferentiatedEquations.step_backward`."""
        (d_state,), (state,), (kernel_t,) = d_states, states, backward_weights
        z, r, candidate, gated = residuals
        d_candidate = d_state * z * (1 - candidate * candidate)
        d_gates = tf.concat([d_state * (candidate - state) * z * (1 - z), d_candidate * gated * r * (1 - r)], 1)
        d_visible = tf.matmul(tf.concat([d_gates, d_candidate * r], 1), kernel_t)
        d_before = d_state * (1 - z) + apply_dropout_mask(d_visible, dropout_mask)
        return StepGradient((d_before,), (tf.concat([d_gates, d_candidate], 1),))

    def weight_gradients(
        self,
        d_pre_activations: Tensors,
        states: Tensors,
        residuals: Tensors,
        weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> list[tf.Tensor]:
        """See `DifferentiatedEquations.weight_gradients`."""
        d_sums, gates = d_pre_activations[0], 2 * self.units
        d_gated = d_sums[..., gates:] * residuals[1]
        d_products = tf.concat([d_sums[..., :gates], d_gated], -1)
        visible = apply_dropout_mask(states[0], dropout_mask)
        return [kernel_gradient(visible, d_products, self.product_dtype), tf.reduce_sum(d_gated, (0, 1))]
