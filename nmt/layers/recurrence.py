"""The article's GRU over a whole sequence at once, with a hand-written gradient.

Two things make it fast, and both leave the result exactly what stepping the cell gives:

* the products of the inputs are made for all steps before the loop, in one large matrix product;
* the loop that goes back only carries the state's gradient. The gradients of the weights are formed after
  it, in two large products over all steps; automatic differentiation would add up a full weight gradient at
  every step instead.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

EPSILON = 1e-5  # of layer normalisation


class Normalized(NamedTuple):
    """What layer normalisation leaves for its gradient."""

    values: tf.Tensor
    inverse_deviation: tf.Tensor


def normalize(values: tf.Tensor) -> Normalized:
    """Brings each row to mean 0 and variance 1: (a - mean) / sqrt(variance + epsilon) (Ba et al. 2016)."""
    mean = tf.reduce_mean(values, -1, keepdims=True)
    centered = values - mean
    inverse = tf.math.rsqrt(tf.reduce_mean(centered * centered, -1, keepdims=True) + EPSILON)
    return Normalized(centered * inverse, inverse)


def product(states: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A matrix product in the kernel's precision whose result keeps the states' precision."""
    return tf.cast(tf.matmul(tf.cast(states, kernel.dtype), kernel), states.dtype)


class Weights(NamedTuple):
    """What the recurrence learns; the last two only with layer normalisation."""

    kernel: tf.Tensor  # [units, 3 * units], as z, r, h
    scale: tf.Tensor | None = None  # [3 * units]
    bias: tf.Tensor | None = None  # [3 * units]


class Constants(NamedTuple):
    """What the recurrence has no gradient for."""

    mask: tf.Tensor | None  # [time, batch, 1], ones and zeros
    dropout_mask: tf.Tensor | None  # [batch, units]

    def visible(self, state: tf.Tensor) -> tf.Tensor:
        """What the products see of a state, or of the states of all steps."""
        return state if self.dropout_mask is None else state * self.dropout_mask


class Saved(NamedTuple):
    """What the forward loop keeps of all steps for the gradient, `[time, batch, units]`."""

    states: tf.Tensor
    updates: tf.Tensor
    resets: tf.Tensor
    candidates: tf.Tensor
    normalized: tuple[Normalized, ...] = ()  # of z, r, h


def gru_sequence(
    projected: tf.Tensor,
    initial_state: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    mask: tf.Tensor | None = None,
    dropout_mask: tf.Tensor | None = None,
    scale: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs `h_t = (1 - z_t) h_{t-1} + z_t h~_t` over time (Cho et al. 2014).

    With `a` the input products and `d` the dropout mask of the state:

        z = sigmoid(a_z + (d h) U_z)
        r = sigmoid(a_r + (d h) U_r)
        h~ = tanh(a_h + (r d h) U_h)

    Where `scale` is given, each gate's pre-activation is normalised, scaled and shifted by `bias`.

    Args:
        projected: input products (and bias, without layer normalisation), `[time, batch, 3 * units]`, as z, r, h.
        initial_state: `[batch, units]`, in the precision that the states shall keep.
        recurrent_kernel: `[units, 3 * units]`, as z, r, h.
        mask: True where a step is real, `[time, batch]`; a padded step leaves the state as it was.
        dropout_mask: zeros and scaled ones, `[batch, units]`, the same for all steps (Gal and Ghahramani 2016).
        scale: of layer normalisation, `[3 * units]`, as z, r, h.
        bias: of layer normalisation, `[3 * units]`; only with `scale`.

    Returns:
        All states, `[time, batch, units]`, and the last one, `[batch, units]`.
    """
    dtype = initial_state.dtype
    constants = Constants(None if mask is None else tf.cast(mask, dtype)[..., None], dropout_mask)
    weights = [recurrent_kernel] if scale is None else [recurrent_kernel, scale, bias]

    @tf.custom_gradient
    def scan(projected: tf.Tensor, initial_state: tf.Tensor, *weights: tf.Tensor) -> Any:
        saved, last = _forward(projected, initial_state, Weights(*weights), constants)

        def gradient(d_states: tf.Tensor, d_last: tf.Tensor) -> tuple[tf.Tensor, ...]:
            d_projected, d_initial, d_weights = _backward(
                d_states, d_last, initial_state, Weights(*weights), constants, saved
            )
            return d_projected, d_initial, *(tf.cast(d, w.dtype) for d, w in zip(d_weights, weights, strict=True))

        return (saved.states, last), gradient

    return scan(tf.cast(projected, dtype), initial_state, *weights)


def _forward(
    projected: tf.Tensor, initial_state: tf.Tensor, weights: Weights, constants: Constants
) -> tuple[Saved, tf.Tensor]:
    """The loop over time."""
    steps, dtype, units = tf.shape(projected)[0], initial_state.dtype, weights.kernel.shape[0]
    gate_kernel, candidate_kernel = _split(weights.kernel)

    def activation(values: tf.Tensor, gate: int) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The pre-activation of one gate, and what its normalisation leaves for the gradient."""
        if weights.scale is None or weights.bias is None:
            return values, []
        normalized = normalize(values)
        part = _part(gate, units)
        scale, bias = tf.cast(weights.scale[part], dtype), tf.cast(weights.bias[part], dtype)
        return normalized.values * scale + bias, list(normalized)

    def step(t: tf.Tensor, state: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> Any:
        x, visible = projected[t], constants.visible(state)
        products = x[:, : 2 * units] + product(visible, gate_kernel)
        update, update_kept = activation(products[:, :units], 0)
        reset, reset_kept = activation(products[:, units:], 1)
        z, r = tf.sigmoid(update), tf.sigmoid(reset)
        if constants.mask is not None:
            z *= constants.mask[t]  # a padded step updates nothing
        candidate, candidate_kept = activation(x[:, 2 * units :] + product(r * visible, candidate_kernel), 2)
        candidate = tf.tanh(candidate)
        state += z * (candidate - state)
        kept = (state, z, r, candidate, *update_kept, *reset_kept, *candidate_kept)
        return t + 1, state, _write(arrays, t, kept)

    widths = (units,) * 4 + (() if weights.scale is None else (units, 1) * 3)
    _, last, arrays = tf.while_loop(
        lambda t, *_: t < steps,
        step,
        (0, initial_state, _arrays(dtype, steps, widths)),
        maximum_iterations=steps,
    )
    states, updates, resets, candidates, *normals = (array.stack() for array in arrays)
    normalized = tuple(Normalized(*pair) for pair in zip(normals[::2], normals[1::2], strict=True))
    return Saved(states, updates, resets, candidates, normalized), last


def _backward(
    d_states: tf.Tensor,
    d_last: tf.Tensor,
    initial_state: tf.Tensor,
    weights: Weights,
    constants: Constants,
    saved: Saved,
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """The loop back in time, then the gradients of the weights over all steps at once."""
    steps, dtype, units = tf.shape(d_states)[0], initial_state.dtype, weights.kernel.shape[0]
    gate_kernel_t, candidate_kernel_t = (tf.transpose(kernel) for kernel in _split(weights.kernel))
    previous = tf.concat([initial_state[None], saved.states[:-1]], 0)

    def through_normalization(d_values: tf.Tensor, gate: int, t: tf.Tensor) -> tf.Tensor:
        """The gradient before a gate's normalisation, from the one after it."""
        if weights.scale is None:
            return d_values
        values, inverse = (kept[t] for kept in saved.normalized[gate])
        d_values = d_values * tf.cast(weights.scale[_part(gate, units)], dtype)
        mean, slope = (tf.reduce_mean(x, -1, keepdims=True) for x in (d_values, d_values * values))
        return inverse * (d_values - mean - values * slope)

    def step(i: tf.Tensor, d_state: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> Any:
        t = steps - 1 - i
        d_state += d_states[t]
        z, r, candidate, before = saved.updates[t], saved.resets[t], saved.candidates[t], previous[t]
        visible = constants.visible(before)
        d_candidate = d_state * z * (1 - candidate * candidate)
        d_candidate_product = through_normalization(d_candidate, 2, t)
        d_reset_state = product(d_candidate_product, candidate_kernel_t)
        d_update = d_state * (candidate - before) * z * (1 - z)
        d_reset = d_reset_state * visible * r * (1 - r)
        d_gate_products = tf.concat([through_normalization(d_update, 0, t), through_normalization(d_reset, 1, t)], 1)
        d_visible = d_reset_state * r + product(d_gate_products, gate_kernel_t)
        d_before = d_state * (1 - z) + constants.visible(d_visible)
        kept = [tf.concat([d_gate_products, d_candidate_product], 1)]
        if weights.scale is not None:
            kept.append(tf.concat([d_update, d_reset, d_candidate], 1))
        return i + 1, d_before, _write(arrays, t, kept)

    widths = (3 * units,) * (1 if weights.scale is None else 2)
    _, d_initial, arrays = tf.while_loop(
        lambda i, *_: i < steps,
        step,
        (0, d_last, _arrays(dtype, steps, widths)),
        maximum_iterations=steps,
    )
    d_projected, *d_activations = (array.stack() for array in arrays)

    def over_all_steps(inputs: tf.Tensor, d_outputs: tf.Tensor) -> tf.Tensor:
        inputs, d_outputs = (
            tf.cast(tf.reshape(x, (-1, x.shape[-1])), weights.kernel.dtype) for x in (inputs, d_outputs)
        )
        return tf.matmul(inputs, d_outputs, transpose_a=True)

    visible = constants.visible(previous)
    d_gate_kernel = over_all_steps(visible, d_projected[..., : 2 * units])
    d_candidate_kernel = over_all_steps(saved.resets * visible, d_projected[..., 2 * units :])
    d_weights = [tf.concat([d_gate_kernel, d_candidate_kernel], 1)]
    if weights.scale is not None:
        normalized = tf.concat([kept.values for kept in saved.normalized], -1)
        d_weights += [tf.reduce_sum(d_activations[0] * normalized, (0, 1)), tf.reduce_sum(d_activations[0], (0, 1))]
    return d_projected, d_initial, d_weights


def _split(kernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The kernel of z and r, and that of the candidate."""
    units = kernel.shape[0]
    return kernel[:, : 2 * units], kernel[:, 2 * units :]


def _part(gate: int, units: int) -> slice:
    return slice(gate * units, (gate + 1) * units)


def _arrays(dtype: tf.DType, steps: tf.Tensor, widths: Sequence[int]) -> tuple[tf.TensorArray, ...]:
    return tuple(tf.TensorArray(dtype, steps, element_shape=(None, width)) for width in widths)


def _write(arrays: tuple[tf.TensorArray, ...], t: tf.Tensor, values: Sequence[tf.Tensor]) -> tuple[tf.TensorArray, ...]:
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))
