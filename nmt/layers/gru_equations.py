"""The step of the gated recurrent unit and its gradient, in both places of the reset gate."""

from dataclasses import dataclass

import tensorflow as tf

from nmt.layers.normalization import Normalized, normalize, normalize_gradient
from nmt.layers.recurrence import BackStep, Step, Tensors, over_all_steps, visible_state


@dataclass(frozen=True)
class ResetBefore:
    """The article's step (Cho et al. 2014): the reset gate is applied before the product.

    With `a` the input products and `d` the dropout mask of the state:

        z  = sigmoid(a_z + (d h) U_z)
        r  = sigmoid(a_r + (d h) U_r)
        h~ = tanh(a_h + (r d h) U_h)
        h' = (1 - z) h + z h~

    With layer normalisation each of the three sums is normalised, scaled and shifted before its activation.
    The weights are the kernel of z and r, `[units, 2 * units]`, that of h~, `[units, units]`, and with layer
    normalisation scale and bias, `[3 * units]` as z, r, h.

    Args:
        units: width of the state.
        layer_normalization: see above.
        product_dtype: precision of the products after the loop that make the weights' gradients.
    """

    units: int
    layer_normalization: bool = False
    product_dtype: str = "float32"

    @property
    def saved_widths(self) -> list[int]:
        """Those of z, r, h~ and, with layer normalisation, values and inverse deviation of each of them."""
        return [self.units] * 3 + ([self.units, 1] * 3 if self.layer_normalization else [])

    @property
    def sum_widths(self) -> list[int]:
        """All three sums side by side; with layer normalisation, before and after it."""
        return [3 * self.units] * (2 if self.layer_normalization else 1)

    def advance(self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None) -> Step:
        """See `Equations.advance`."""
        units, (state,) = self.units, states
        gate_kernel, candidate_kernel, *normalization = weights
        kept: list[tf.Tensor] = []

        def activation(values: tf.Tensor, gate: int) -> tf.Tensor:
            if not self.layer_normalization:
                return values
            normalized = normalize(values)
            kept.extend(normalized)
            scale, bias = (weight[self._part(gate)] for weight in normalization)
            return normalized.values * scale + bias

        visible = visible_state(state, dropout_mask)
        of_gates, of_candidate = tf.split(projected, [2 * units, units], 1)
        z, r = tf.split(of_gates + tf.matmul(visible, gate_kernel), 2, 1)
        z, r = tf.sigmoid(activation(z, 0)), tf.sigmoid(activation(r, 1))
        candidate = of_candidate + tf.matmul(r * visible, candidate_kernel)
        candidate = tf.tanh(activation(candidate, 2))
        return Step((state + z * (candidate - state),), (z, r, candidate, *kept))

    def transposed(self, weights: Tensors) -> Tensors:
        """Both kernels, and the scale as it is."""
        gate_kernel, candidate_kernel, *normalization = weights
        return tf.transpose(gate_kernel), tf.transpose(candidate_kernel), *normalization[:1]

    def retreat(
        self, d_states: Tensors, states: Tensors, saved: Tensors, transposed: Tensors, dropout_mask: tf.Tensor | None
    ) -> BackStep:
        """See `DifferentiatedEquations.retreat`."""
        (d_state,), (state,) = d_states, states
        z, r, candidate, *kept = saved
        gate_kernel_t, candidate_kernel_t, *scale = transposed

        def before_activation(d_values: tf.Tensor, gate: int) -> tf.Tensor:
            if not self.layer_normalization:
                return d_values
            normalized = Normalized(*kept[2 * gate : 2 * gate + 2])
            return normalize_gradient(d_values * scale[0][self._part(gate)], normalized)

        visible = visible_state(state, dropout_mask)
        d_candidate = d_state * z * (1 - candidate * candidate)
        d_candidate_sum = before_activation(d_candidate, 2)
        d_reset_state = tf.matmul(d_candidate_sum, candidate_kernel_t)
        d_update = d_state * (candidate - state) * z * (1 - z)
        d_reset = d_reset_state * visible * r * (1 - r)
        d_gate_sums = tf.concat([before_activation(d_update, 0), before_activation(d_reset, 1)], 1)
        d_visible = d_reset_state * r + tf.matmul(d_gate_sums, gate_kernel_t)
        d_before = d_state * (1 - z) + visible_state(d_visible, dropout_mask)
        sums = [tf.concat([d_gate_sums, d_candidate_sum], 1)]
        if self.layer_normalization:
            sums.append(tf.concat([d_update, d_reset, d_candidate], 1))
        return BackStep((d_before,), tuple(sums))

    def weight_gradients(
        self, sums: Tensors, states: Tensors, saved: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> list[tf.Tensor]:
        """See `DifferentiatedEquations.weight_gradients`."""
        d_sums, units = sums[0], self.units
        visible = visible_state(states[0], dropout_mask)
        gradients = [
            over_all_steps(visible, d_sums[..., : 2 * units], self.product_dtype),
            over_all_steps(saved[1] * visible, d_sums[..., 2 * units :], self.product_dtype),
        ]
        if self.layer_normalization:
            normalized = tf.concat(saved[3::2], -1)
            gradients += [tf.reduce_sum(sums[1] * normalized, (0, 1)), tf.reduce_sum(sums[1], (0, 1))]
        return gradients

    def _part(self, gate: int) -> slice:
        return slice(gate * self.units, (gate + 1) * self.units)


@dataclass(frozen=True)
class ResetAfter:
    """The variant with the reset gate applied after the product, which cuDNN has.

        z  = sigmoid(a_z + (d h) U_z)
        r  = sigmoid(a_r + (d h) U_r)
        h~ = tanh(a_h + r ((d h) U_h + c))
        h' = (1 - z) h + z h~

    The state has one product instead of two that wait for each other. The weights are the kernel, `[units, 3 * units]`
    as z, r, h, and the bias c, `[units]`.

    Args:
        units: width of the state.
        product_dtype: precision of the products after the loop that make the weights' gradients.
    """

    units: int
    product_dtype: str = "float32"

    @property
    def saved_widths(self) -> list[int]:
        """Those of z, r, h~, and of what r multiplies."""
        return [self.units] * 4

    @property
    def sum_widths(self) -> list[int]:
        """All three sums side by side."""
        return [3 * self.units]

    def advance(self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None) -> Step:
        """See `Equations.advance`."""
        units, (state,), (kernel, bias) = self.units, states, weights
        products = tf.matmul(visible_state(state, dropout_mask), kernel)
        gates = tf.sigmoid(projected[:, : 2 * units] + products[:, : 2 * units])
        z, r = gates[:, :units], gates[:, units:]
        gated = products[:, 2 * units :] + bias
        candidate = tf.tanh(projected[:, 2 * units :] + r * gated)
        return Step((state + z * (candidate - state),), (z, r, candidate, gated))

    def transposed(self, weights: Tensors) -> Tensors:
        """The kernel."""
        return (tf.transpose(weights[0]),)

    def retreat(
        self, d_states: Tensors, states: Tensors, saved: Tensors, transposed: Tensors, dropout_mask: tf.Tensor | None
    ) -> BackStep:
        """See `DifferentiatedEquations.retreat`."""
        (d_state,), (state,), (kernel_t,) = d_states, states, transposed
        z, r, candidate, gated = saved
        d_candidate = d_state * z * (1 - candidate * candidate)
        d_gates = tf.concat([d_state * (candidate - state) * z * (1 - z), d_candidate * gated * r * (1 - r)], 1)
        d_visible = tf.matmul(tf.concat([d_gates, d_candidate * r], 1), kernel_t)
        d_before = d_state * (1 - z) + visible_state(d_visible, dropout_mask)
        return BackStep((d_before,), (tf.concat([d_gates, d_candidate], 1),))

    def weight_gradients(
        self, sums: Tensors, states: Tensors, saved: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> list[tf.Tensor]:
        """See `DifferentiatedEquations.weight_gradients`."""
        d_sums, gates = sums[0], 2 * self.units
        d_gated = d_sums[..., gates:] * saved[1]
        d_products = tf.concat([d_sums[..., :gates], d_gated], -1)
        visible = visible_state(states[0], dropout_mask)
        return [over_all_steps(visible, d_products, self.product_dtype), tf.reduce_sum(d_gated, (0, 1))]
