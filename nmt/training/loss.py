"""Label-smoothed cross-entropy, straight from output vectors and the output embedding."""

from typing import Any, NamedTuple

import tensorflow as tf


class TokenLosses(NamedTuple):
    """Of each token, in natural logarithms."""

    smoothed: tf.Tensor  # what training lowers
    plain: tf.Tensor  # the negative log-probability of the token


def token_losses(outputs: tf.Tensor, table: tf.Tensor, targets: tf.Tensor, smoothing: float) -> TokenLosses:
    """Cross-entropy with a share of the target spread evenly over the vocabulary (Szegedy et al. 2016, section 7).

        smoothed = log sum_v exp(l_v) - (1 - s) l_target - s mean_v(l_v),    l = outputs table^T

    The gradient is written by hand: automatic differentiation of a log-softmax keeps several copies of the logits,
    `[tokens, vocabulary]`, by far the largest array in training, and reads each more than once.

    Args:
        outputs: `[tokens, units]`.
        table: output embeddings, `[vocabulary, units]`, in the same precision.
        targets: int32 `[tokens]`.
        smoothing: the share s.

    Returns:
        `TokenLosses` in full precision, `[tokens]` each.

    Example:

    >>> losses = token_losses(tf.zeros((1, 4)), tf.zeros((8, 4)), tf.constant([3]), 0.1)
    >>> round(float(losses.plain[0]), 4), round(float(losses.smoothed[0]), 4)  # log 8
    (2.0794, 2.0794)
    """

    @tf.custom_gradient
    def losses(outputs: tf.Tensor, table: tf.Tensor) -> Any:
        precision = tf.float64 if outputs.dtype == tf.float64 else tf.float32
        logits = tf.cast(tf.matmul(outputs, table, transpose_b=True), precision)
        top = tf.reduce_max(logits, -1, keepdims=True)
        exponentials = tf.exp(logits - top)
        total = tf.reduce_sum(exponentials, -1, keepdims=True)
        log_total = (top + tf.math.log(total))[:, 0]
        of_target = tf.gather(logits, targets, batch_dims=1)
        smoothed = log_total - (1 - smoothing) * of_target - smoothing * tf.reduce_mean(logits, -1)

        def gradient(d_smoothed: tf.Tensor, d_plain: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            spread = smoothing / table.shape[0] * d_smoothed
            d_logits = exponentials * ((d_smoothed + d_plain)[:, None] / total) - spread[:, None]
            places = tf.stack([tf.range(tf.shape(targets)[0]), targets], 1)
            d_logits = tf.tensor_scatter_nd_sub(d_logits, places, (1 - smoothing) * d_smoothed + d_plain)
            d_logits = tf.cast(d_logits, outputs.dtype)
            return tf.matmul(d_logits, table), tf.matmul(d_logits, outputs, transpose_a=True)

        return (smoothed, log_total - of_target), gradient

    return TokenLosses(*losses(outputs, table))
