"""What a translation may repeat, given what its source repeats, in plain Python.

`nmt.decoding.constraints.RepetitionConstraint` has the same rules in the graph, and explains them. This module needs
the standard library only.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import Any, NamedTuple

from nmt.constants import END
from nmt.text.boundaries import WORD_START
from nmt.text.placeholders import SYMBOLS

NGRAM_SIZE, LONGEST_BLOCK, WINDOW, LONGEST_PUNCTUATION = 4, 16, 128, 8
SOURCE_NGRAMS = {1: 2, 2: 3}  # by multiples of the size: how many source tokens it takes to say the n-gram
PUNCTUATION, FOREIGN = 0, -1  # see `WordClasses.classes`
_MARKS = (PUNCTUATION, FOREIGN)
_LONG = 4  # bytes
_BYTE = re.compile("<0x[0-9A-F]{2}>")


class WordClasses(NamedTuple):
    """Which tokens of a vocabulary read the same; one element for each id.

    Attributes:
        classes: list of int, the smallest id with the same letters and digits, whatever their case and the punctuation
            around them; 0, `PUNCTUATION`, for tokens that have none; -1, `FOREIGN`, for the bytes of characters that
            the vocabulary lacks, which may be letters.
        long: list of bool, whether one such token may well be several in the translation.
    """

    classes: list[int]
    long: list[bool]


def find_word_classes(pieces: Sequence[str]) -> WordClasses:
    """Finds out which tokens of a vocabulary read the same.

    Args:
        pieces: the pieces of all ids in order, as `Tokenizer.pieces()` returns them, special tokens first.

    Example:

    >>> pieces = ["<pad>", "<unk>", "<s>", "</s>", "\u2581The", "the", ",", "THE,", "\u2581state"]
    >>> classes, long = find_word_classes(pieces)
    >>> classes, long.index(True)
    ([0, 1, 2, 3, 4, 4, 0, 4, 8], 8)
    """
    first: dict[str, int] = {}
    classes, long = [], []
    for index, piece in enumerate(pieces):
        special = index <= END or piece.strip(WORD_START) in SYMBOLS
        byte = int(piece[3:5], 16) if _BYTE.fullmatch(piece) else None
        if byte is not None and byte >= 0x80:
            classes.append(FOREIGN)
            long.append(False)
            continue
        letters = piece if special else _letters(piece if byte is None else chr(byte))
        classes.append(first.setdefault(letters, index) if letters else PUNCTUATION)
        long.append(not special and is_long(letters))
    return WordClasses(classes, long)


def is_long(word: str) -> bool:
    """Returns whether a word may well be several tokens in a translation: not `the` or `a`, but a Chinese word.

    Args:
        word: letters and digits.
    """
    return len(word.encode()) >= _LONG


def _letters(piece: str) -> str:
    """Letters, their marks, and digits."""
    bare = piece.replace(WORD_START, "").casefold()
    return "".join(letter for letter in bare if unicodedata.category(letter)[0] in "LMN")


class RepetitionLimit:
    """Says which tokens would make a translation repeat what its source does not.

    Args:
        source: classes of the source's tokens (see `WordClasses`), or words; without an end token. No foreign token
            repeats another, but a row of them may be repeated as a row of punctuation may.
        short: those of them that are seldom several tokens in a translation.

    Example:

    >>> RepetitionLimit([7, 8]).forbidden([5, 6, 5, 6])
    {5}
    >>> RepetitionLimit([7, 8, 7, 8, 7]).forbidden([5, 6, 5, 6])
    set()
    """

    def __init__(self, source: Sequence[Hashable], short: Collection[Hashable] = ()) -> None:
        words = [(token, place) if token == FOREIGN else token for place, token in enumerate(source)]
        words = [word for word in words if word != PUNCTUATION]
        longest = [(_longest_run(words, block) + block - 1) // block for block in range(1, LONGEST_BLOCK + 1)]
        self.times = max(2, max(longest) + 1)
        long = Counter(word for word in words if word not in short).values()
        self.counts = {
            NGRAM_SIZE * multiple: max([2, *_ngrams(words, size).values(), *(long if multiple == 1 else ())])
            for multiple, size in SOURCE_NGRAMS.items()
        }
        marks = [_last_marks(source[:end]) for end in range(1, len(source) + 1)]
        self.marks = max([LONGEST_PUNCTUATION, *(2 * run for run in marks)])

    def forbidden(self, done: Sequence[Any]) -> set[Any]:
        """Returns the tokens that may not come next; `PUNCTUATION` and `FOREIGN` stand for all of their classes.

        Args:
            done: classes of the tokens of the translation so far, or its words.
        """
        found = {PUNCTUATION, FOREIGN} if _last_marks(done) >= self.marks else set()
        done = [token for token in done if token not in _MARKS]
        for block in range(1, min(LONGEST_BLOCK, len(done)) + 1):
            if _last_run(done, block) >= block * (self.times - 1):
                found.add(done[-block])
        recent = done[-WINDOW:]
        for n, count in self.counts.items():
            if len(recent) >= n:
                again = Counter(
                    ngram[-1] for ngram in _ngrams(recent, n).elements() if list(ngram[:-1]) == recent[1 - n :]
                )
                found |= {token for token, times in again.items() if times >= count}
        return found

    def is_exceeded(self, done: Sequence[Hashable]) -> bool:
        """Returns whether a translation repeats more than it may; of a block, what has only begun does not count.

        Args:
            done: words of the translation.
        """
        in_a_row = any(
            _longest_run(done, block) >= block * self.times for block in range(1, min(LONGEST_BLOCK, len(done)) + 1)
        )
        return in_a_row or any(max(_ngrams(done, n).values(), default=0) > count for n, count in self.counts.items())


def _ngrams(tokens: Sequence[Hashable], n: int) -> Counter:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _last_marks(tokens: Sequence[Hashable]) -> int:
    """How many of the last tokens in a row are punctuation or foreign."""
    return next((back for back, token in enumerate(reversed(tokens)) if token not in _MARKS), len(tokens))


def _last_run(tokens: Sequence[Hashable], block: int) -> int:
    """How many of the last tokens in a row equal the one `block` before them."""
    run = 0
    while run + block < len(tokens) and tokens[-1 - run] == tokens[-1 - run - block]:
        run += 1
    return run


def _longest_run(tokens: Sequence[Hashable], block: int) -> int:
    return max((_last_run(tokens[:end], block) for end in range(1, len(tokens) + 1)), default=0)
