"""Whether there is anything in a text that a model can translate: letters or digits that its vocabulary has.

A character that the vocabulary lacks is split into its bytes. A sentence in another script than those of the training
data consists of such bytes. A model has hardly seen them in training, and its translation has nothing to do with the
source. Nor has that of a row of question marks.
`nmt.text.graph_letters` does the same in the TensorFlow graph. This module needs the standard library only.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from nmt.text.boundaries import WORD_START
from nmt.text.placeholders import SYMBOLS

_UNKNOWN = 1  # the id of what is neither in the vocabulary nor split into bytes
# Arrows and the like (U+2000 to U+2BFF) and emoji (U+1F000 to U+1FFFF) are no letters: their first byte, and their
# possible second bytes.
_SYMBOLS = ((0xE2, range(0x80, 0xB0)), (0xF0, range(0x9F, 0xA0)))


class Letters(NamedTuple):
    """What each token of a vocabulary says about letters; lists of int, one element for each id.

    Attributes:
        known: how many letters and digits the token has.
        unknown: 1 if the token begins a character that the vocabulary lacks and that may be a letter or digit.
        begins_symbol: a bit for each kind of symbols whose first byte the token is.
        continues_symbol: a bit for each kind of symbols whose second byte the token may be.
        placeholders: 1 if the token stands for a placeholder.
    """

    known: list[int]
    unknown: list[int]
    begins_symbol: list[int]
    continues_symbol: list[int]
    placeholders: list[int]


def count_letters(pieces: Sequence[str]) -> Letters:
    """Counts the letters of each token.

    Args:
        pieces: the pieces of all ids in order, as `Tokenizer.pieces()` returns them.

    Example:

    >>> letters = count_letters(["<pad>", "<unk>", "<s>", "</s>", "\u2581Hi", "<0xE6>", "<0x97>"])
    >>> letters.known, letters.unknown
    ([0, 0, 0, 0, 2, 0, 0], [0, 1, 0, 0, 0, 1, 0])
    """
    letters = Letters([], [], [], [], [])
    for index, piece in enumerate(pieces):
        byte = int(piece[3:5], 16) if len(piece) == 6 and piece.startswith("<0x") else -1
        special = byte >= 0 or index <= 3
        letters.known.append(0 if special else sum(letter.isalnum() for letter in piece))
        ascii_letter = 0 <= byte < 0x80 and chr(byte).isalnum()
        letters.unknown.append(int(byte >= 0xC2 or ascii_letter or index == _UNKNOWN))
        letters.begins_symbol.append(sum((byte == first) << bit for bit, (first, _) in enumerate(_SYMBOLS)))
        letters.continues_symbol.append(sum((byte in others) << bit for bit, (_, others) in enumerate(_SYMBOLS)))
        letters.placeholders.append(int(piece.strip(WORD_START) in SYMBOLS))
    return letters


def is_unreadable(ids: Sequence[int], letters: Letters) -> bool:
    """Returns whether a text has more unknown letters than known ones, or neither known letters nor placeholders.

    Args:
        ids: the ids of the text, without the end mark. An empty text is not unreadable.
        letters: of the vocabulary.

    Example:

    >>> letters = count_letters(["<pad>", "<unk>", "<s>", "</s>", "\u2581Hi", "<0xE6>", "<0x97>", "<0xA5>"])
    >>> is_unreadable([4, 5, 6, 7], letters), is_unreadable([5, 6, 7], letters)
    (False, True)
    """
    pairs = itertools.pairwise(ids)
    symbols = sum(bool(letters.begins_symbol[one] & letters.continues_symbol[after]) for one, after in pairs)
    counted = letters.unknown, letters.known, letters.placeholders
    unknown, known, placeholders = (sum(counts[one] for one in ids) for counts in counted)
    return unknown - symbols > known or (known == 0 and (unknown > 0 or (placeholders == 0 and len(ids) > 0)))
