"""Layer normalisation of a gate's pre-activation, with its gradient written by hand."""

from typing import NamedTuple

import tensorflow as tf

EPSILON = 1e-5


class Normalized(NamedTuple):
    """Normalised values, and what else their gradient needs."""

    values: tf.Tensor
    inverse_deviation: tf.Tensor


def normalize(values: tf.Tensor) -> Normalized:
    """Brings each row to mean 0 and variance 1: (a - mean) / sqrt(variance + epsilon) (Ba et al. 2016, equation 4).

    Args:
        values: float `[..., features]`.

    Returns:
        `Normalized`, its inverse deviations `[..., 1]`.

    Example:

    >>> normalize(tf.constant([[1.0, 3.0]])).values.numpy().round(3).tolist()
    [[-1.0, 1.0]]
    """
    centered = values - tf.reduce_mean(values, -1, keepdims=True)
    inverse = tf.math.rsqrt(tf.reduce_mean(centered * centered, -1, keepdims=True) + EPSILON)
    return Normalized(centered * inverse, inverse)


def normalize_gradient(d_values: tf.Tensor, normalized: Normalized) -> tf.Tensor:
    """The gradient with respect to what `normalize` took, from the gradient of its values.

    Args:
        d_values: float `[..., features]`.
        normalized: what `normalize` returned.

    Returns:
        Float `[..., features]`.

    Example:

    >>> normalize_gradient(tf.ones((1, 2)), normalize(tf.constant([[1.0, 3.0]]))).numpy().tolist()
    [[0.0, 0.0]]
    """
    mean = tf.reduce_mean(d_values, -1, keepdims=True)
    slope = tf.reduce_mean(d_values * normalized.values, -1, keepdims=True)
    return normalized.inverse_deviation * (d_values - mean - normalized.values * slope)


def normalize_gates(values: tf.Tensor, num_gates: int) -> Normalized:
    """`normalize` for each gate by itself.

    Args:
        values: float `[..., num_gates * units]`, the gates side by side.
        num_gates: int.

    Returns:
        `Normalized`, its values `[..., num_gates * units]` and inverse deviations `[..., num_gates]`.

    Example:

    >>> normalize_gates(tf.constant([[1.0, 3.0, 5.0, 25.0]]), 2).values.numpy().round(3).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    normalized = normalize(_split_gates(values, num_gates))
    return Normalized(_join_gates(normalized.values), normalized.inverse_deviation[..., 0])


def normalize_gates_gradient(d_values: tf.Tensor, normalized: Normalized) -> tf.Tensor:
    """The gradient with respect to what `normalize_gates` took, from the gradient of its values.

    Args:
        d_values: float `[..., num_gates * units]`.
        normalized: what `normalize_gates` returned.

    Returns:
        Float `[..., num_gates * units]`.

    Example:

    >>> normalize_gates_gradient(tf.ones((1, 4)), normalize_gates(tf.constant([[1.0, 3.0, 5.0, 25.0]]), 2)).shape
    TensorShape([1, 4])
    """
    num_gates = normalized.inverse_deviation.shape[-1]
    by_gate = Normalized(_split_gates(normalized.values, num_gates), normalized.inverse_deviation[..., None])
    return _join_gates(normalize_gradient(_split_gates(d_values, num_gates), by_gate))


def _split_gates(values: tf.Tensor, num_gates: int) -> tf.Tensor:
    """`[..., num_gates * units]` to `[..., num_gates, units]`."""
    return tf.reshape(values, tf.concat([tf.shape(values)[:-1], [num_gates, values.shape[-1] // num_gates]], 0))


def _join_gates(values: tf.Tensor) -> tf.Tensor:
    """`[..., num_gates, units]` to `[..., num_gates * units]`."""
    return tf.reshape(values, tf.concat([tf.shape(values)[:-2], [values.shape[-2] * values.shape[-1]]], 0))
