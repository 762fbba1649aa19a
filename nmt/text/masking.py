"""Placeholders of software strings, such as `{name}`, masked and restored in the TensorFlow graph.

`nmt.text.placeholders` describes the symbols that replace placeholders, and does the same in plain Python.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from nmt.text.placeholders import CUT, REPLACEMENT, RESERVED, SYMBOL, SYMBOLS, pattern
from nmt.text.tokenizer import Tokenizer


class Masked(NamedTuple):
    """Texts in which symbols replace the placeholders.

    Attributes:
        source: strings `[n]`, the masked source texts.
        target: strings `[n]`, the masked translations; `[0]` if there were none.
        placeholders: strings `[n, 10]`, the placeholder for each symbol of each source (`""` for an unused symbol);
            `[n, 0]` if no kinds of placeholders are masked.
    """

    source: tf.Tensor
    target: tf.Tensor
    placeholders: tf.Tensor


def mask(kinds: Sequence[str], source: tf.Tensor, target: tf.Tensor | None = None) -> Masked:
    """Replaces placeholders by symbols.

    In a target, a placeholder gets the symbol of the equal placeholder in its source, and stays as it is if the source
    has none. Placeholders after the tenth different one of a source stay as they are, in the source and in the target.
    Reserved characters in the texts, and bytes that are not UTF-8, become U+FFFD.

    Args:
        kinds: keys of `nmt.text.placeholders.KINDS`; if empty, the texts are returned unchanged.
        source: strings `[n]`, any bytes.
        target: strings `[n]`, the translations of `source`.

    Returns:
        The masked texts and the placeholders.

    Example:

    >>> masked = mask(["braces"], tf.constant(["{a} or {b}, {a}"]), tf.constant(["{b}, {c}"]))
    >>> [text.numpy()[0].decode().encode("unicode_escape").decode() for text in masked[:2]]
    ['\\\\ufdd0 or \\\\ufdd1, \\\\ufdd0', '\\\\ufdd1, {c}']
    >>> masked.placeholders.numpy()[0, :3].tolist()
    [b'{a}', b'{b}', b'']
    """
    target = source[:0] if target is None else target
    if not kinds:
        return Masked(source, target, tf.zeros((tf.size(source), 0), tf.string))
    texts = tf.strings.unicode_transcode(tf.concat([source, target], 0), "UTF-8", "UTF-8", errors="replace")
    pieces, places = cut(tf.strings.regex_replace(texts, RESERVED, REPLACEMENT), pattern(kinds))
    found, text = tf.gather(pieces.flat_values, places), tf.gather(pieces.value_rowids(), places)
    sources = tf.size(source, tf.int64)
    pair, in_source = text % sources, text < sources
    # tf.unique counts different placeholders in the order of their first occurrence. The sources come first, so the
    # placeholders of one source have consecutive numbers, and those that only targets have come last.
    _, index = tf.unique(tf.strings.join([tf.strings.as_string(pair), found], CUT))
    places_in_source = tf.where(in_source)
    of_source, its_text = (tf.gather_nd(x, places_in_source) for x in (index, pair))
    number = index - tf.gather(tf.math.unsorted_segment_min(of_source, its_text, sources), pair)
    known = (index <= tf.reduce_max(of_source)) & (number < len(SYMBOLS))
    symbols = tf.gather(tf.constant(SYMBOLS), tf.where(known, number, 0))
    masked = _join(pieces, places, tf.where(known, symbols, found))
    in_table = tf.where(known & in_source)
    placeholders = tf.tensor_scatter_nd_update(
        tf.fill((sources, len(SYMBOLS)), ""),
        tf.stack([tf.gather_nd(pair, in_table), tf.cast(tf.gather_nd(number, in_table), tf.int64)], 1),
        tf.gather_nd(found, in_table),
    )
    return Masked(masked[:sources], masked[sources:], placeholders)


def closers(placeholders: tf.Tensor) -> tf.Tensor:
    """Finds which symbols stand for tags that open and close the same element: `<b>` and `</b>`, `{b}` and `{/b}`.

    Args:
        placeholders: strings `[n, symbols]`, `Masked.placeholders` of the sources.

    Returns:
        int32 `[n, symbols]`: for a symbol that opens an element, the number of the symbol that closes it; -1 for any
        other.

    Example:

    >>> closers(tf.constant([["<a href='x'>", "{n}", "</a>", "<br/>", "{x1}", "{/x1}"]])).numpy().tolist()
    [[2, -1, -1, -1, 5, -1]]
    """
    opens = tf.strings.regex_full_match(placeholders, r"<[A-Za-z](?:[^<>]*[^<>/])?>|\{[A-Za-z][^{}]*\}")
    closes = tf.strings.regex_full_match(placeholders, r"</[A-Za-z][^<>]*>|\{/[A-Za-z][^{}]*\}")
    names = tf.strings.regex_replace(placeholders, r"^[<{]/?([^ \t\r\n/<>{}]*)[^<>{}]*[>}]$", r"\1")
    pairs = opens[:, :, None] & closes[:, None] & (names[:, :, None] == names[:, None])
    found = tf.argmax(tf.cast(pairs, tf.int32), 2, tf.int32)
    return tf.where(tf.reduce_any(pairs, 2), found, -1)


def restore(texts: tf.Tensor, placeholders: tf.Tensor) -> tf.Tensor:
    """Replaces the symbols in translations by the placeholders of their sources.

    A symbol that stands for no placeholder is removed, with the space before it.

    Args:
        texts: strings `[n, n_best]`, the translations of each source.
        placeholders: strings `[n, 10]`, `Masked.placeholders` of the sources.

    Returns:
        Strings `[n, n_best]`, the texts with placeholders.

    Example:

    >>> restore(tf.constant([["Oder \\ufdd1, \\ufdd0 \\ufdd7."]]), tf.constant([["{a}", "{b}"] + [""] * 8])).numpy()
    array([[b'Oder {b}, {a}.']], dtype=object)
    """
    if placeholders.shape[1] == 0:
        return texts
    pieces, places = cut(tf.strings.regex_replace(tf.reshape(texts, (-1,)), CUT, REPLACEMENT), SYMBOL)
    found, text = tf.gather(pieces.flat_values, places), tf.gather(pieces.value_rowids(), places)
    number = tf.argmax(tf.strings.strip(found)[:, None] == tf.constant(SYMBOLS), 1)
    known = tf.gather_nd(placeholders, tf.stack([text // texts.shape[1], number], 1))
    space = tf.strings.regex_replace(found, RESERVED, "")
    restored = _join(pieces, places, tf.where(known == "", "", tf.strings.join([space, known])))
    return tf.reshape(restored, tf.shape(texts))


def encode_pair(
    tokenizers: Sequence[Tokenizer], source: tf.Tensor, target: tf.Tensor, normalized: bool = False
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Masks the placeholders of texts and their translations, and splits both into subwords.

    Args:
        tokenizers: the tokenizers of the source and the target language.
        source: strings `[n]`, any bytes.
        target: strings `[n]`, the translations of `source`.
        normalized: bool, whether the texts are normalised already, as for `Tokenizer.encode`.

    Returns:
        The ids of the source and of the target, each int32 `[n, (time)]`, as `Tokenizer.encode` returns them.

    Example:

    >>> from nmt.text.tokenizer import train_tokenizer
    >>> model = train_tokenizer(["the name of the cat"], vocabulary_size=300, placeholders=["braces"])
    >>> tokenizer = Tokenizer(model, placeholders=["braces"])
    >>> _, target = encode_pair([tokenizer, tokenizer], tf.constant(["the {name}"]), tf.constant(["{name}"]))
    >>> tokenizer.pieces(target[0].numpy())
    ['▁', '\\ufdd0', '</s>']
    """
    masked = mask(tokenizers[0].placeholders, source, target)
    return tokenizers[0].encode(masked.source, normalized), tokenizers[1].encode(masked.target, normalized)


def cut(texts: tf.Tensor, matched: str) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Cuts texts before and after each match of a regular expression.

    Args:
        texts: strings `[n]`, valid UTF-8 without reserved characters.
        matched: a regular expression that does not match nothing.

    Returns:
        The pieces, strings `[n, (pieces)]`, those between matches and matches by turns; and the indices of the matches
        among all pieces, int64.

    Example:

    >>> pieces, places = cut(tf.constant(["a1b", "22"]), "[0-9]+")
    >>> pieces.to_list(), places.numpy().tolist()
    ([[b'a', b'1', b'b'], [b'', b'22', b'']], [1, 4])
    """
    pieces = tf.strings.split(tf.strings.regex_replace(texts, matched, CUT + r"\0" + CUT), CUT)
    return pieces, tf.where(tf.ragged.range(pieces.row_lengths()).flat_values % 2 == 1)[:, 0]


def _join(pieces: tf.RaggedTensor, places: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Joins the pieces of each text, after replacing those at `places` by `values`."""
    changed = tf.tensor_scatter_nd_update(pieces.flat_values, places[:, None], values)
    return tf.strings.unsorted_segment_join(changed, pieces.value_rowids(), pieces.nrows())
