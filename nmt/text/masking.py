"""Placeholders hidden from the model and restored, in the graph: they never pass through subwords.

Each placeholder of a source becomes a symbol that the vocabulary has as a token of its own: the first of a text always
the same one, and so on, and equal ones the same. The model learns to repeat symbols; each becomes what it stood for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from nmt.text.placeholders import CUT, REPLACEMENT, RESERVED, SYMBOL, SYMBOLS, pattern
from nmt.text.tokenizer import Tokenizer


class Hidden(NamedTuple):
    """Texts with symbols in place of placeholders."""

    source: tf.Tensor  # strings [n]
    target: tf.Tensor  # strings [n], or [0] where there was none
    placeholders: tf.Tensor  # strings [n, symbols], of each source by number, "" if there are fewer; [n, 0] of no kinds


def hide(kinds: Sequence[str], source: tf.Tensor, target: tf.Tensor | None = None) -> Hidden:
    """Puts symbols in place of placeholders.

    A target's placeholder has the number of the source's equal one. Where the source has none, it stays as it is, and
    so does in both what is beyond the tenth different placeholder of a source. The symbols' own characters, which no
    text should have, become U+FFFD.

    Args:
        kinds: of `nmt.text.placeholders.KINDS`; of none, texts stay as they are.
        source: strings `[n]`, any bytes.
        target: their translations, strings `[n]`.

    Example:

    >>> hidden = hide(["braces"], tf.constant(["{a} or {b}, {a}"]), tf.constant(["{b}, {c}"]))
    >>> [text.numpy()[0].decode().encode("unicode_escape").decode() for text in hidden[:2]]
    ['\\\\ufdd0 or \\\\ufdd1, \\\\ufdd0', '\\\\ufdd1, {c}']
    >>> hidden.placeholders.numpy()[0, :3].tolist()
    [b'{a}', b'{b}', b'']
    """
    target = source[:0] if target is None else target
    if not kinds:
        return Hidden(source, target, tf.zeros((tf.size(source), 0), tf.string))
    texts = tf.strings.unicode_transcode(tf.concat([source, target], 0), "UTF-8", "UTF-8", errors="replace")
    pieces, places = _cut(tf.strings.regex_replace(texts, RESERVED, REPLACEMENT), pattern(kinds))
    found, text = tf.gather(pieces.flat_values, places), tf.gather(pieces.value_rowids(), places)
    sources = tf.size(source, tf.int64)
    pair, in_source = text % sources, text < sources
    # What differs, in the order of the sources, of each in the order of the text; what targets alone have comes last.
    _, index = tf.unique(tf.strings.join([tf.strings.as_string(pair), found], CUT))
    of_source, its_text = tf.boolean_mask(index, in_source), tf.boolean_mask(pair, in_source)
    number = index - tf.gather(tf.math.unsorted_segment_min(of_source, its_text, sources), pair)
    known = (index <= tf.reduce_max(of_source)) & (number < len(SYMBOLS))
    symbols = tf.gather(tf.constant(SYMBOLS), tf.where(known, number, 0))
    hidden = _joined(pieces, places, tf.where(known, symbols, found))
    kept = known & in_source
    placeholders = tf.tensor_scatter_nd_update(
        tf.fill((sources, len(SYMBOLS)), ""),
        tf.stack([tf.boolean_mask(pair, kept), tf.cast(tf.boolean_mask(number, kept), tf.int64)], 1),
        tf.boolean_mask(found, kept),
    )
    return Hidden(hidden[:sources], hidden[sources:], placeholders)


def restore(texts: tf.Tensor, placeholders: tf.Tensor) -> tf.Tensor:
    """Puts the sources' placeholders in place of translations' symbols.

    Args:
        texts: translations, strings `[n, n_best]`.
        placeholders: of their sources, see `Hidden`. A symbol without one goes, and the space before it.

    Returns:
        Strings `[n, n_best]`.

    Example:

    >>> restore(tf.constant([["Oder \\ufdd1, \\ufdd0 \\ufdd7."]]), tf.constant([["{a}", "{b}"] + [""] * 8])).numpy()
    array([[b'Oder {b}, {a}.']], dtype=object)
    """
    if placeholders.shape[1] == 0:
        return texts
    pieces, places = _cut(tf.strings.regex_replace(tf.reshape(texts, (-1,)), CUT, REPLACEMENT), SYMBOL)
    found, text = tf.gather(pieces.flat_values, places), tf.gather(pieces.value_rowids(), places)
    number = tf.argmax(tf.strings.strip(found)[:, None] == tf.constant(SYMBOLS), 1)
    known = tf.gather_nd(placeholders, tf.stack([text // texts.shape[1], number], 1))
    space = tf.strings.regex_replace(found, RESERVED, "")
    restored = _joined(pieces, places, tf.where(known == "", "", tf.strings.join([space, known])))
    return tf.reshape(restored, tf.shape(texts))


def encode_pair(
    tokenizers: Sequence[Tokenizer], source: tf.Tensor, target: tf.Tensor
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Splits texts and their translations into subwords, with placeholders hidden.

    Args:
        tokenizers: of source and target.
        source: strings `[n]`, any bytes.
        target: strings `[n]`.

    Returns:
        What `Tokenizer.encode` returns, of each.
    """
    hidden = hide(tokenizers[0].placeholders, source, target)
    return tokenizers[0].encode(hidden.source), tokenizers[1].encode(hidden.target)


def _cut(texts: tf.Tensor, matched: str) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Cuts texts before and after each match; the second tensor tells which of all pieces are matches."""
    pieces = tf.strings.split(tf.strings.regex_replace(texts, matched, CUT + r"\0" + CUT), CUT)
    return pieces, tf.where(tf.ragged.range(pieces.row_lengths()).flat_values % 2 == 1)[:, 0]


def _joined(pieces: tf.RaggedTensor, places: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The texts again, with other values at some places."""
    changed = tf.tensor_scatter_nd_update(pieces.flat_values, places[:, None], values)
    return tf.strings.unsorted_segment_join(changed, pieces.value_rowids(), pieces.nrows())
