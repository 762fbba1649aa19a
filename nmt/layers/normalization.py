"""Layer normalisation of one gate's pre-activation, and its gradient written by hand."""

from typing import NamedTuple

import tensorflow as tf

EPSILON = 1e-5


class Normalized(NamedTuple):
    """Normalised values, and what their gradient needs besides."""

    values: tf.Tensor
    inverse_deviation: tf.Tensor


def normalize(values: tf.Tensor) -> Normalized:
    """Brings each row to mean 0 and variance 1: (a - mean) / sqrt(variance + epsilon) (Ba et al. 2016, equation 4)."""
    centered = values - tf.reduce_mean(values, -1, keepdims=True)
    inverse = tf.math.rsqrt(tf.reduce_mean(centered * centered, -1, keepdims=True) + EPSILON)
    return Normalized(centered * inverse, inverse)


def normalize_gradient(d_values: tf.Tensor, normalized: Normalized) -> tf.Tensor:
    """The gradient before `normalize`, from the one after it."""
    mean = tf.reduce_mean(d_values, -1, keepdims=True)
    slope = tf.reduce_mean(d_values * normalized.values, -1, keepdims=True)
    return normalized.inverse_deviation * (d_values - mean - normalized.values * slope)
