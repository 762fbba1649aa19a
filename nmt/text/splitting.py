"""Cuts texts that are longer than the model has seen into parts that it can translate, in the TensorFlow graph."""

import tensorflow as tf

from nmt.text.boundaries import Boundaries


def split_long(ids: tf.RaggedTensor, limit: int, boundaries: Boundaries) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Cuts texts of more than `limit` tokens into parts, at the same places as `nmt.text.boundaries.split_long`.

    Args:
        ids: int32 `[texts, (time)]`, the ids of the texts without end tokens.
        limit: int, the most tokens of a part, at least 1.
        boundaries: the boundaries in the vocabulary.

    Returns:
        The parts, int32 `[parts, (time)]`, in the order of the texts and none of them empty; and the number of parts of
        each text, int32 `[texts]`, which is 0 for an empty text.

    Example:

    >>> from nmt.text.boundaries import find_boundaries
    >>> boundaries = find_boundaries("▁a b ▁c. ▁d ▁e f".split())
    >>> parts, counts = split_long(tf.ragged.constant([[0, 1, 2, 3, 4, 5], [3]]), 4, boundaries)
    >>> parts.to_list(), counts.numpy().tolist()
    ([[0, 1, 2], [3, 4, 5], [3]], [2, 1])
    """
    begins, ends = ids.row_starts(), ids.row_limits()
    cuts = tf.cond(
        tf.reduce_any(ends - begins > limit),
        lambda: _cuts(ids.values, begins, ends, limit, boundaries),
        lambda: tf.zeros((0,), ids.row_splits.dtype),
    )
    splits = tf.unique(tf.sort(tf.concat([ids.row_splits, cuts], 0)))[0]  # an empty text has equal splits
    parts = tf.RaggedTensor.from_row_splits(ids.values, splits, validate=False)
    places = tf.searchsorted(splits, ids.row_splits)
    return parts, places[1:] - places[:-1]


def _cuts(values: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor, limit: int, boundaries: Boundaries) -> tf.Tensor:
    """Returns the indices in the flat values where texts are cut; each iteration cuts one part of each text."""
    starts_word, ends_sentence, ends_spaceless = (tf.gather(table, values) for table in boundaries)
    before = tf.concat([[False], ends_sentence[:-1]], 0)
    after_sentence = (before & starts_word) | tf.concat([[False], ends_spaceless[:-1]], 0)
    window = tf.range(limit // 2 + 1, limit + 1, dtype=begins.dtype)  # the lengths that a part may have

    def last(possible: tf.Tensor) -> tf.Tensor:
        """Returns the greatest possible length, or 0."""
        return tf.reduce_max(tf.where(possible, window, 0), 1)

    def cut(begins: tf.Tensor, ends: tf.Tensor, cuts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        long = ends - begins > limit
        begins, ends = tf.boolean_mask(begins, long), tf.boolean_mask(ends, long)
        places = begins[:, None] + window
        sentence, word = (last(tf.gather(table, places)) for table in (after_sentence, starts_word))
        begins += tf.where(sentence > 0, sentence, tf.where(word > 0, word, limit))
        return begins, ends, tf.concat([cuts, begins], 0)

    anything = tf.TensorShape([None])
    *_, cuts = tf.while_loop(
        lambda begins, ends, _: tf.reduce_any(ends - begins > limit),
        cut,
        (begins, ends, tf.zeros((0,), begins.dtype)),
        shape_invariants=(anything, anything, anything),
    )
    return cuts
