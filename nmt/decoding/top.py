"""The likeliest tokens of a large vocabulary, without sorting it."""

import tensorflow as tf

# A vocabulary of fewer tokens is not worth the detour.
_SMALLEST = 1024


def normalized_top(
    scores: tf.Tensor, count: int, end: int, end_forbidden: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The highest log-probabilities, log softmax of `scores`, of which only these few are made.

    Args:
        scores: `[n, vocabulary]`.
        count: how many of each row; of a smaller vocabulary, all.
        end: a token whose log-probability is wanted besides.
        end_forbidden: whether that token is left out of the highest; a boolean scalar.

    Returns:
        The highest log-probabilities, `[n, count]`, in falling order; their tokens, int32 `[n, count]`; and the
        log-probability of `end`, `[n, 1]`.

    Example:

    >>> values, tokens, of_end = normalized_top(tf.math.log([[0.1, 0.6, 0.3]]), 2, end=0)
    >>> tokens.numpy().tolist(), tf.exp(of_end).numpy().round(3).tolist()
    ([[1, 2]], [[0.1...]])
    """
    top, tokens = top_k(_allowed(scores, end, end_forbidden), min(count, scores.shape[1] or count))
    # From the probability of a likely token, which is never close to zero, follows what all are divided by.
    likeliest = tf.gather(tf.nn.softmax(scores), tokens[:, :1], batch_dims=1)
    log_total = top[:, :1] - tf.math.log(likeliest)
    return top - log_total, tokens, scores[:, end, None] - log_total


def plain_top(
    scores: tf.Tensor, count: int, end: int, end_forbidden: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`normalized_top` of scores that are taken as they are."""
    top, tokens = top_k(_allowed(scores, end, end_forbidden), min(count, scores.shape[1] or count))
    return top, tokens, scores[:, end, None]


def top_k(values: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`tf.math.top_k`, several times as fast where the last axis is long and its length is known.

    The highest values are all in those groups of neighbours that have the highest maxima; only these groups are
    searched. Finding the maxima is one pass at the speed of the memory, where TensorFlow's search compares number by
    number.

    Args:
        values: `[n, length]`.
        count: how many of each row.

    Returns:
        Values in falling order, and their places, int32, `[n, count]` each.

    Example:

    >>> values, places = top_k(tf.constant([[3.0, 9.0, 1.0, 7.0]]), 2)
    >>> values.numpy().tolist(), places.numpy().tolist()
    ([[9.0, 7.0]], [[1, 3]])
    """
    length = values.shape[-1] or 0
    size = next((size for size in range(64, 15, -1) if length % size == 0), None)
    if size is None or length < _SMALLEST or count * size > length / 4:
        return tf.math.top_k(values, count) if count > 1 else _highest(values)
    groups = tf.reshape(values, (-1, length // size, size))
    maxima = tf.reduce_max(groups, -1)
    if count == 1:
        top, chosen = _highest(maxima)
        places = tf.argmax(tf.gather(groups, chosen[:, 0], batch_dims=1), -1, tf.int32)[:, None]
        return top, chosen * size + places
    _, chosen = tf.math.top_k(maxima, count)
    chosen = tf.sort(chosen)  # so that of equal values the first is taken, as everywhere
    among = tf.reshape(tf.gather(groups, chosen, batch_dims=1), (-1, count * size))
    top, places = tf.math.top_k(among, count)
    return top, tf.gather(chosen, places // size, batch_dims=1) * size + places % size


def _allowed(scores: tf.Tensor, end: int, end_forbidden: tf.Tensor | None) -> tf.Tensor:
    if end_forbidden is None:
        return scores
    is_end = tf.range(tf.shape(scores)[1]) == end
    return tf.where(end_forbidden & is_end, scores.dtype.min / 2, scores)


def _highest(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_max(values, -1, keepdims=True), tf.argmax(values, -1, tf.int32)[:, None]
