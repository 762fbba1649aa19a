"""Cuts texts into what is translated by itself, in the TensorFlow graph.

That is each sentence, and of a sentence that is longer than the model has seen each part.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from nmt.text.boundaries import Boundaries
from nmt.text.languages import separates_sentences
from nmt.text.masking import cut
from nmt.text.placeholders import REPLACEMENT, RESERVED
from nmt.text.sentences import PLACEHOLDER, QUOTE, SentenceRules, sentence_rules


class Sentences(NamedTuple):
    """Texts as sentences, and the white space around them.

    Attributes:
        sentences: strings `[texts, (sentences)]`, none of them empty.
        before: strings `[texts, (sentences)]`, the white space before each sentence.
        end: strings `[texts]`, the white space after the last sentence, or of a text without any.
    """

    sentences: tf.RaggedTensor
    before: tf.RaggedTensor
    end: tf.Tensor


def split_sentences(texts: tf.Tensor, language: str = "", kinds: Sequence[str] = ()) -> Sentences:
    """Splits texts into sentences, at the same places as `nmt.text.sentences.split_sentences`.

    Args:
        texts: strings `[n]`, any bytes; what is not UTF-8 becomes U+FFFD.
        language: code of the language; see `nmt.text.sentences.sentence_rules`.
        kinds: the kinds of placeholders that are masked, within which no sentence ends.

    Example:

    >>> split_sentences(tf.constant(["Who?  Dr. No. ", ""]), "en").sentences.to_list()
    [[b'Who?', b'Dr. No.'], []]
    """
    rules = sentence_rules(language, tuple(kinds))
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    count = tf.size(texts, tf.int64)
    cut_texts, matched = cut(tf.strings.regex_replace(texts, RESERVED, REPLACEMENT), rules.separator)
    tokens, bare, of_text, is_space = _tokens(cut_texts, matched, rules)
    # White space belongs to the token after it, or is the end of its text.
    last = tf.concat([of_text[1:] != of_text[:-1], tf.ones_like(of_text[:1], tf.bool)], 0)
    end = tf.strings.unsorted_segment_join(tf.where(is_space & last, tokens, ""), of_text, count)
    before = tf.concat([[""], tf.where(is_space & ~last, tokens, "")], 0)[:-1]
    words = tf.where(~is_space)
    tokens, bare, of_text, before = (tf.gather_nd(x, words) for x in (tokens, bare, of_text, before))
    begins = _begins(bare, of_text, before, rules)
    number, sentences = tf.cumsum(tf.cast(begins, tf.int64)) - 1, tf.math.count_nonzero(begins)
    first = tf.where(begins)
    inner = tf.strings.join([tf.where(begins, "", before), tokens])
    return _sentences(
        tf.strings.unsorted_segment_join(inner, number, sentences),
        tf.gather_nd(before, first),
        tf.gather_nd(of_text, first),
        end,
    )


def whole(texts: tf.Tensor) -> Sentences:
    """Takes each text as a single sentence, without white space around it.

    Args:
        texts: strings `[n]`, any bytes.
    """
    nothing = tf.fill(tf.shape(texts), "")
    return _sentences(texts, nothing, tf.range(tf.size(texts, tf.int64)), nothing)


def join_sentences(translations: tf.Tensor, split: Sentences, language: str) -> tf.Tensor:
    """Joins the translations of sentences, with the white space that their sources have.

    Between two sentences, a language that separates them gets a space where the source has none, and one that does not
    loses a single space; see `nmt.text.sentences.space_between`.

    Args:
        translations: strings `[sentences, n_best]`.
        split: the sentences that were translated.
        language: code of the target language.

    Returns:
        Strings `[texts, n_best]`.

    Example:

    >>> split = split_sentences(tf.constant(["Who?  Dr. No. "]), "en")
    >>> join_sentences(tf.constant([["Wer?"], ["Dr. No."]]), split, "de").numpy()
    array([[b'Wer?  Dr. No. ']], dtype=object)
    """
    of_text, texts = split.sentences.value_rowids(), split.sentences.nrows()
    first = tf.concat([tf.ones_like(of_text[:1], tf.bool), of_text[1:] != of_text[:-1]], 0)
    before = split.before.flat_values
    if separates_sentences(language):
        before = tf.where(~first & (before == ""), " ", before)
    else:
        before = tf.where(~first & (before == " "), "", before)

    def beside(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(one[:, None], tf.shape(other))

    joined = tf.strings.unsorted_segment_join(
        tf.strings.join([beside(before, translations), translations]), of_text, texts
    )
    return tf.strings.join([joined, beside(split.end, joined)])


def _sentences(sentences: tf.Tensor, before: tf.Tensor, of_text: tf.Tensor, end: tf.Tensor) -> Sentences:
    count = tf.size(end, tf.int64)
    ragged = [tf.RaggedTensor.from_value_rowids(x, of_text, count, validate=False) for x in (sentences, before)]
    return Sentences(ragged[0], ragged[1], end)


def _tokens(
    texts: tf.RaggedTensor, matched: tf.Tensor, rules: SentenceRules
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Joins pieces to tokens and white space; returns these, how the rules read them, their texts, and which is white.

    Args:
        texts: strings `[texts, (pieces)]`.
        matched: integers, the indices of the separators among all pieces.
        rules: the rules.
    """
    pieces, of_text = texts.flat_values, texts.value_rowids()
    is_separator = tf.scatter_nd(matched[:, None], tf.ones_like(matched), tf.shape(pieces, tf.int64)) > 0
    some = tf.where(pieces != "")
    pieces, of_text, is_separator = (tf.gather_nd(x, some) for x in (pieces, of_text, is_separator))
    is_space, is_end = (tf.strings.regex_full_match(pieces, one) for one in (rules.space, rules.spaceless_end))
    seen = tf.strings.regex_replace(pieces, rules.unseen, "")
    is_placeholder = is_separator & ~is_space & ~tf.strings.regex_full_match(seen, rules.no_placeholder)
    symbols = tf.where(tf.strings.regex_full_match(seen, rules.tag), QUOTE, PLACEHOLDER)
    bare = tf.where(is_placeholder, symbols, seen)
    cuts = (of_text[1:] != of_text[:-1]) | is_space[1:] | is_space[:-1] | is_end[:-1]
    begins = tf.concat([tf.ones_like(is_space[:1]), cuts], 0)
    number, count = tf.cumsum(tf.cast(begins, tf.int64)) - 1, tf.math.count_nonzero(begins)
    tokens, bare = (tf.strings.unsorted_segment_join(x, number, count) for x in (pieces, bare))
    of_token = tf.where(begins)
    return tokens, bare, tf.gather_nd(of_text, of_token), tf.gather_nd(is_space, of_token)


def _begins(bare: tf.Tensor, of_text: tf.Tensor, before: tf.Tensor, rules: SentenceRules) -> tf.Tensor:
    """Returns whether a sentence begins with each token.

    Args:
        bare: strings `[tokens]`, as the rules read them.
        of_text: integers `[tokens]`, in ascending order.
        before: strings `[tokens]`, the white space before each.
        rules: the rules.
    """

    def matches(values: tf.Tensor, rule: str) -> tf.Tensor:
        return tf.strings.regex_full_match(values, rule)

    def after(values: tf.Tensor) -> tf.Tensor:
        """What the token before has."""
        return tf.concat([tf.zeros_like(values[:1]), values[:-1]], 0)

    first = tf.concat([tf.ones_like(of_text[:1], tf.bool), of_text[1:] != of_text[:-1]], 0)
    # A decoration ends a sentence if the last token before it that is none does.
    plain = first | ~matches(bare, rules.decoration)
    ends = matches(bare, rules.end) & ~matches(bare, rules.no_end)
    ends = tf.gather(tf.gather_nd(ends, tf.where(plain)), tf.cumsum(tf.cast(plain, tf.int64)) - 1)
    abbreviated = after(matches(bare, rules.no_end_before_number)) & matches(bare, rules.number)
    closed = (before == "") & after(matches(bare, rules.closed)) & ~matches(bare, rules.opening)
    paragraph = matches(before, rules.paragraph)
    begins = first | paragraph | (after(ends) & matches(bare, rules.start) & ~abbreviated & ~closed)
    # What has no word is no sentence, but belongs to the next one.
    part = tf.cumsum(tf.cast(begins, tf.int64)) - 1
    has_word = tf.math.unsorted_segment_max(tf.cast(matches(bare, rules.word), tf.int64), part, tf.size(bare)) > 0
    return begins & (first | paragraph | after(tf.gather(has_word, part)))


def split_long(ids: tf.RaggedTensor, limit: int, boundaries: Boundaries) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Cuts texts of more than `limit` tokens into parts, at the same places as `nmt.text.boundaries.split_long`.

    Args:
        ids: int32 `[texts, (time)]`, the ids of the texts without end tokens.
        limit: int, the most tokens of a part, at least 1.
        boundaries: the boundaries in the vocabulary.

    Returns:
        The parts, int32 `[parts, (time)]`, in the order of the texts and none of them empty; and the text of each part,
        integers `[parts]`, which leave out those of empty texts.

    Example:

    >>> from nmt.text.boundaries import find_boundaries
    >>> boundaries = find_boundaries("▁a b ▁c. ▁d ▁e f".split())
    >>> parts, of_text = split_long(tf.ragged.constant([[0, 1, 2, 3, 4, 5], [3]]), 4, boundaries)
    >>> parts.to_list(), of_text.numpy().tolist()
    ([[0, 1, 2], [3, 4, 5], [3]], [0, 0, 1])
    """
    begins, ends = ids.row_starts(), ids.row_limits()
    cuts = tf.cond(
        tf.reduce_any(ends - begins > limit),
        lambda: _cuts(ids.values, begins, ends, limit, boundaries),
        lambda: tf.zeros((0,), ids.row_splits.dtype),
    )
    splits = tf.unique(tf.sort(tf.concat([ids.row_splits, cuts], 0)))[0]  # an empty text has equal splits
    parts = tf.RaggedTensor.from_row_splits(ids.values, splits, validate=False)
    return parts, tf.gather(ids.value_rowids(), parts.row_starts())


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
        long = tf.where(ends - begins > limit)
        begins, ends = tf.gather_nd(begins, long), tf.gather_nd(ends, long)
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
