"""Texts longer than the model has seen, cut into parts that it can translate, in the graph."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.text.boundaries import SENTENCE_ENDS, SPACELESS_SENTENCE_ENDS, WORD_START


class Boundaries(NamedTuple):
    """Of every token of a vocabulary, what it tells about the places before and after it; boolean `[vocabulary]`."""

    starts_word: np.ndarray
    ends_sentence: np.ndarray  # where a word starts after it
    ends_spaceless_sentence: np.ndarray  # whatever comes after it


def find_boundaries(pieces: Sequence[str]) -> Boundaries:
    """Tells where texts may be cut.

    Args:
        pieces: the names of all tokens, as SentencePiece has them.

    Example:

    >>> find_boundaries(["▁Hi", ".", "。"]).ends_sentence.tolist()
    [False, True, False]
    """
    bare = [piece.strip(WORD_START) for piece in pieces]
    return Boundaries(
        np.array([piece.startswith(WORD_START) for piece in pieces]),
        np.array([piece.endswith(SENTENCE_ENDS) for piece in bare]),
        np.array([piece.endswith(SPACELESS_SENTENCE_ENDS) for piece in bare]),
    )


def split_long(ids: tf.RaggedTensor, limit: int, boundaries: Boundaries) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Cuts texts of more than `limit` tokens into parts.

    A part takes as many tokens as it may, up to the last end of a sentence in the second half of these, or else the
    last end of a word there, or else all of them.

    Args:
        ids: int32 `[texts, (time)]`, without end marks.
        limit: the most tokens of a part, at least 1.
        boundaries: of the vocabulary.

    Returns:
        The parts, int32 `[parts, (time)]`, in the order of the texts, none empty; and the number of each text's parts,
        int32 `[texts]`: none for an empty text.
    """
    begins, ends = ids.row_starts(), ids.row_limits()
    cuts = tf.cond(
        tf.reduce_any(ends - begins > limit),
        lambda: _cuts(ids.values, begins, ends, limit, boundaries),
        lambda: tf.zeros((0,), ids.row_splits.dtype),
    )
    splits = tf.unique(tf.sort(tf.concat([ids.row_splits, cuts], 0)))[0]  # the splits of empty texts coincide
    parts = tf.RaggedTensor.from_row_splits(ids.values, splits, validate=False)
    places = tf.searchsorted(splits, ids.row_splits)
    return parts, places[1:] - places[:-1]


def _cuts(values: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor, limit: int, boundaries: Boundaries) -> tf.Tensor:
    """Where the flat values are cut besides the ends of texts; all texts go on by a part at a time."""
    starts_word, ends_sentence, ends_spaceless = (tf.gather(table, values) for table in boundaries)
    before = tf.concat([[False], ends_sentence[:-1]], 0)
    after_sentence = (before & starts_word) | tf.concat([[False], ends_spaceless[:-1]], 0)
    window = tf.range(limit // 2 + 1, limit + 1, dtype=begins.dtype)  # lengths that a part may have

    def last(possible: tf.Tensor) -> tf.Tensor:
        """The greatest length that is possible, or 0."""
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
