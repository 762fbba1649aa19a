"""Boundaries of words and sentences, in texts and in subwords, and where to cut a long text, in plain Python.

`nmt.text.splitting` cuts texts in the TensorFlow graph by the same boundaries. This module needs the standard library
only.
"""

from collections.abc import Sequence
from typing import NamedTuple

WORD_START = "\u2581"  # SentencePiece begins a piece with it if the piece begins a word
SENTENCE_ENDS = (".", "!", "?", "…")
SPACELESS_SENTENCE_ENDS = ("。", "！", "？")  # noqa: RUF001 (those of Chinese and Japanese, which no space follows)


class Boundaries(NamedTuple):
    """What each token of a vocabulary says about boundaries; three lists of bool, one element for each id.

    Attributes:
        starts_word: whether a word begins with the token.
        ends_sentence: whether a sentence ends with the token, if the next token begins a word.
        ends_spaceless_sentence: whether a sentence ends with the token, whatever comes next.
    """

    starts_word: list[bool]
    ends_sentence: list[bool]
    ends_spaceless_sentence: list[bool]


def find_boundaries(pieces: Sequence[str]) -> Boundaries:
    """Finds the boundaries of words and sentences in a vocabulary.

    Args:
        pieces: the pieces of all ids in order, as `Tokenizer.pieces()` returns them.

    Example:

    >>> find_boundaries(["▁Hi", ".", "。"]).ends_sentence
    [False, True, False]
    """
    bare = [piece.strip(WORD_START) for piece in pieces]
    return Boundaries(
        [piece.startswith(WORD_START) for piece in pieces],
        [piece.endswith(SENTENCE_ENDS) for piece in bare],
        [piece.endswith(SPACELESS_SENTENCE_ENDS) for piece in bare],
    )


def split_long(ids: Sequence[int], limit: int, boundaries: Boundaries) -> list[Sequence[int]]:
    """Cuts a text of more than `limit` tokens into parts.

    Each part is as long as possible, but if a sentence ends in its second half it ends there, at the last such place,
    or else, if a word ends in its second half, at the last such place.

    Args:
        ids: the ids of the text, without the end token.
        limit: int, the most tokens of a part, at least 1.
        boundaries: the boundaries in the vocabulary.

    Returns:
        The parts in order, none of them empty.

    Example:

    >>> pieces = "▁a b ▁c. ▁d ▁e f".split()
    >>> split_long(range(6), 4, find_boundaries(pieces))
    [range(0, 3), range(3, 6)]
    """
    start, parts = 0, []
    while len(ids) - start > limit:
        window = range(start + limit, start + limit // 2, -1)
        sentences = (place for place in window if _after_sentence(ids[place - 1], ids[place], boundaries))
        words = (place for place in window if boundaries.starts_word[ids[place]])
        end = next(sentences, None) or next(words, start + limit)
        parts.append(ids[start:end])
        start = end
    return [*parts, ids[start:]] if ids else []


def _after_sentence(before: int, after: int, boundaries: Boundaries) -> bool:
    """Returns whether a sentence ends between two neighbouring tokens."""
    return boundaries.ends_spaceless_sentence[before] or (
        boundaries.ends_sentence[before] and boundaries.starts_word[after]
    )
