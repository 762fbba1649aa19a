"""What a translation may repeat, given what its source repeats, in plain Python.

`nmt.decoding.repetition.RepetitionConstraint` has the same rules in the graph, and explains them. This module needs
the standard library only.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import Any, NamedTuple

from nmt.constants import END, PADDING
from nmt.text.boundaries import WORD_START
from nmt.text.placeholders import SYMBOLS

NGRAM_SIZE, LONGEST_BLOCK, WINDOW, LONGEST_PUNCTUATION = 4, 16, 128, 8
MOST_ALWAYS = 2  # times in a row that anything may be said, whatever the source says
PUNCTUATION, FOREIGN = 0, -1  # see `WordClasses.classes`
_MARKS = (PUNCTUATION, FOREIGN)
LONG = 4  # bytes
# Thai and Lao, Tibetan, Burmese, Khmer, kana and Chinese characters stand without spaces.
SPACELESS = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_BYTE, _SPACELESS = re.compile("<0x[0-9A-F]{2}>"), re.compile(f"[{SPACELESS}]")
_PART = re.compile(f"[{SPACELESS}]|[^{SPACELESS}]+")


class NgramRule(NamedTuple):
    """How often a sequence of tokens of one length may come in a translation.

    Attributes:
        length: float, the number of its tokens, in multiples of `NGRAM_SIZE`.
        source_words: int, how many words of the source it takes to say it.
        one_word: bool, whether a single long word of the source may say it, too.
        always: int, how often it may come whatever the source says.
    """

    length: float
    source_words: int
    one_word: bool
    always: int


# Human translations break them almost never (benchmarks/repetition_rules.py).
NGRAM_RULES = (NgramRule(1, 2, True, 2), NgramRule(1.5, 2, True, 1), NgramRule(2, 3, False, 2))


class WordClasses(NamedTuple):
    """Which tokens of a vocabulary read the same, and which begin a word; one element for each id.

    Attributes:
        letters: list of str, the letters and digits of the token, in small letters; "" for `PUNCTUATION` and `FOREIGN`.
        classes: list of int, the smallest id with the same letters and digits, whatever their case and the punctuation
            around them; 0, `PUNCTUATION`, for tokens that have none; -1, `FOREIGN`, for the bytes of characters that
            the vocabulary lacks, which may be letters.
        sizes: list of int, how many bytes its letters and digits take.
        begins: list of bool, whether a word begins with the token, wherever it stands: after a space or punctuation
            that the token has itself, as `.1`, or in a script without spaces, in which each token counts as a word.
        ends: list of bool, whether a word ends with the token, by its own punctuation.
        prolongs: list of bool, whether the token is a single letter or digit within a word: after the same one, as in
            `1000` or `xxx`, it is passed over as punctuation is.
        characters: `Characters` or None, the vocabulary by characters if it has tokens of a script without spaces.
    """

    letters: list[str]
    classes: list[int]
    sizes: list[int]
    begins: list[bool]
    ends: list[bool]
    prolongs: list[bool]
    characters: "Characters | None" = None


class Characters(NamedTuple):
    """A vocabulary in which each character of a script without spaces is a token of its own.

    Attributes:
        classes: `WordClasses` of the vocabulary's own tokens, and of the characters after them.
        parts: list of lists of int, for each of the vocabulary's tokens the ids of its characters; its own id if it is
            not of such a script.
    """

    classes: WordClasses
    parts: list[list[int]]


def find_word_classes(pieces: Sequence[str]) -> WordClasses:
    """Finds out which tokens of a vocabulary read the same.

    Args:
        pieces: the pieces of all ids in order, as `Tokenizer.pieces()` returns them, special tokens first.

    Example:

    >>> pieces = ["<pad>", "<unk>", "<s>", "</s>", "\u2581The", "the", ",", "THE,", "\u2581state"]
    >>> found = find_word_classes(pieces)
    >>> found.classes, found.sizes[4:], found.begins[4:]
    ([0, 1, 2, 3, 4, 4, 0, 4, 8], [3, 3, 0, 3, 5], [True, False, True, False, True])
    """
    first: dict[str, int] = {}
    found = WordClasses([], [], [], [], [], [])
    for index, piece in enumerate(pieces):
        special = index <= END or piece.strip(WORD_START) in SYMBOLS
        byte = int(piece[3:5], 16) if _BYTE.fullmatch(piece) else None
        foreign = byte is not None and byte >= 0x80
        text = piece if byte is None else chr(byte)
        letters = "" if foreign else piece.strip(WORD_START) if special else _letters(text)
        found.letters.append(letters)
        found.classes.append(FOREIGN if foreign else first.setdefault(letters, index) if letters else PUNCTUATION)
        found.sizes.append(len(letters.encode()))
        found.begins.append(special or not _is_letter(text[0]) or bool(_SPACELESS.search(letters)))
        found.ends.append(not special and not _is_letter(text[-1]))
        found.prolongs.append(len(letters) == 1 and not found.begins[-1] and not found.ends[-1])
    return found._replace(characters=_find_characters(found))


def _find_characters(tokens: WordClasses) -> Characters | None:
    """The vocabulary by characters; None if no token is of a script without spaces."""
    own = {letters: tokens.classes[index] for index, letters in enumerate(tokens.letters) if letters}
    ids: dict[str, int] = {}
    parts: list[list[int]] = []
    for index, letters in enumerate(tokens.letters):
        found = _PART.findall(letters) if _SPACELESS.search(letters) else []
        parts.append([ids.setdefault(part, len(tokens.letters) + len(ids)) for part in found] or [index])
    if not ids:
        return None
    always = [True] * len(ids)
    classes = WordClasses(
        letters=[*tokens.letters, *ids],
        classes=[*tokens.classes, *(own.get(part, index) for part, index in ids.items())],
        sizes=[*tokens.sizes, *(len(part.encode()) for part in ids)],
        begins=tokens.begins + always,
        ends=tokens.ends + always,
        prolongs=tokens.prolongs + [False] * len(ids),
    )
    return Characters(classes, parts)


def classes_of(tokens: Sequence[int], vocabulary: WordClasses) -> list[int]:
    """Returns the classes of a text's tokens, `PUNCTUATION` for each that prolongs the one before.

    Args:
        tokens: the ids of the text.
        vocabulary: what its tokens are.
    """
    classes, last = [], PUNCTUATION
    for token in tokens:
        one = vocabulary.classes[token]
        classes.append(PUNCTUATION if vocabulary.prolongs[token] and one == last else one)
        last = one if one not in _MARKS else last
    return classes


def find_words(tokens: Sequence[int], vocabulary: WordClasses) -> list[tuple[str, list[int]]]:
    """Joins tokens to words.

    Args:
        tokens: the ids of a text, without an end token.
        vocabulary: what its tokens are.

    Returns:
        For each word, punctuation apart, its letters and digits and the places of its tokens. A foreign token is a word
        that has no letters.

    Example:

    >>> vocabulary = find_word_classes(["<pad>", "<unk>", "<s>", "</s>", "\u2581A", "S", "E", ",", "\u2581state"])
    >>> find_words([4, 5, 6, 7, 8], vocabulary)
    [('ase', [0, 1, 2]), ('state', [4])]
    """
    words: list[tuple[str, list[int]]] = []
    goes_on = False
    for place, token in enumerate(tokens):
        one = vocabulary.classes[token]
        if one != PUNCTUATION and goes_on and one != FOREIGN and not vocabulary.begins[token]:
            letters, places = words[-1]
            words[-1] = letters + vocabulary.letters[token], [*places, place]
        elif one != PUNCTUATION:
            words.append((vocabulary.letters[token], [place]))
        goes_on = one not in _MARKS and not vocabulary.ends[token]
    return words


def ngram_sizes(ngram_size: int) -> list[int]:
    """The number of tokens for each of `NGRAM_RULES`, if the shortest is that long."""
    return [int(rule.length * ngram_size) for rule in NGRAM_RULES]


def shortest_said_once(ngram_size: int) -> int:
    """The number of tokens of the shortest sequence that may come only once."""
    sizes = zip(ngram_sizes(ngram_size), NGRAM_RULES, strict=True)
    return min(size for size, rule in sizes if rule.always == 1)


def is_long(word: str) -> bool:
    """Returns whether a word may well be several tokens in a translation: not `the` or `a`, but a Chinese word.

    Args:
        word: letters and digits.
    """
    return len(word.encode()) >= LONG


def _letters(piece: str) -> str:
    """Letters, their marks, and digits."""
    bare = piece.replace(WORD_START, "").casefold()
    return "".join(filter(_is_letter, bare))


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


class RepetitionLimit:
    """Says which tokens would make a translation repeat what its source does not.

    Args:
        source: classes of the source's tokens (see `WordClasses`), or words; without an end token. No foreign token
            repeats another, but a row of them may be repeated as a row of punctuation may.
        words: what its tokens make up, "" for a foreign one; None if each is a word.
        ngram_size: int, how many tokens of the translation in a row are what four words are.

    Example:

    >>> RepetitionLimit([7, 8]).forbidden([5, 6, 5, 6])
    {5}
    >>> RepetitionLimit([7, 8, 7, 8, 7]).forbidden([5, 6, 5, 6])
    set()
    """

    def __init__(
        self,
        source: Sequence[Hashable],
        words: Sequence[Hashable] | None = None,
        ngram_size: int = NGRAM_SIZE,
    ) -> None:
        tokens = [token for token in _told_apart(source) if token != PUNCTUATION]
        words = tokens if words is None else _told_apart(words)
        runs = {block: _longest_run(tokens, block) for block in range(1, LONGEST_BLOCK + 1)}
        # A block that the source has begun to repeat counts as a whole one, but not for n-grams.
        self.times = max(MOST_ALWAYS, *((run + block - 1) // block + 1 for block, run in runs.items()))
        in_a_row = max(run // block + 1 for block, run in runs.items())
        long = Counter(word for word in words if not isinstance(word, str) or is_long(word)).values()
        sizes = ngram_sizes(ngram_size)
        self.counts = {
            size: max(
                [
                    in_a_row,
                    rule.always,
                    *_ngrams(tokens, size).values(),
                    *_ngrams(words, rule.source_words).values(),
                    *(long if rule.one_word else ()),
                ]
            )
            for rule, size in zip(NGRAM_RULES, sizes, strict=True)
        }
        marks = [_last_marks(source[:end]) for end in range(1, len(source) + 1)]
        self.marks = max([LONGEST_PUNCTUATION, *(2 * run for run in marks)])

    def forbidden(self, done: Sequence[Any]) -> set[Any]:
        """Returns the tokens that may not come next; `PUNCTUATION` and `FOREIGN` stand for all of their classes.

        Args:
            done: classes of the tokens of the translation so far, or its words.
        """
        too_many = _last_marks(done) >= self.marks
        done = [token for token in done if token not in _MARKS]
        found = {PUNCTUATION, FOREIGN, *done[-1:]} if too_many else set()
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

    def is_exceeded_by_last(self, done: Sequence[Hashable], in_a_row_only: bool = False) -> bool:
        """Returns whether the last word makes a translation repeat more than it may.

        Args:
            done: words of the translation.
            in_a_row_only: bool, whether n-grams may come as often as they like.
        """
        blocks = range(1, min(LONGEST_BLOCK, len(done)) + 1)
        in_a_row = any(_last_run(done, block) >= block * self.times for block in blocks)
        if in_a_row or in_a_row_only:
            return in_a_row
        runs = [_last_run(done, distance) for distance in range(1, min(WINDOW, len(done)) + 1)]
        return any(1 + sum(run >= n for run in runs) > count for n, count in self.counts.items())

    def is_exceeded(self, done: Sequence[Hashable]) -> bool:
        """Returns whether a translation repeats more than it may; of a block, what has only begun does not count.

        Args:
            done: words of the translation.
        """
        in_a_row = any(
            _longest_run(done, block) >= block * self.times for block in range(1, min(LONGEST_BLOCK, len(done)) + 1)
        )
        return in_a_row or any(max(_ngrams(done, n).values(), default=0) > count for n, count in self.counts.items())


def without_loops(
    tokens: Sequence[int],
    source: Sequence[int],
    source_vocabulary: WordClasses,
    vocabulary: WordClasses,
    exempt: Collection[int] = (),
) -> list[int]:
    """Removes the words with which a translation exceeds its limit, however they are split into tokens.

    After the words, in which each token of a script without spaces counts as one, its characters are looked at: blocks
    of these must not stand too many times in a row. Then the whole token goes.

    Args:
        tokens: the ids of the translation.
        source: the ids of its source, without an end token.
        source_vocabulary: what the source's tokens are.
        vocabulary: what the translation's tokens are.
        exempt: tokens that always stay.

    Example:

    >>> vocabulary = find_word_classes(["<pad>", "<unk>", "<s>", "</s>", "\u2581ha", "ha", "h", "a", "-", "!"])
    >>> without_loops([4, 8, 5, 8, 6, 7, 9], [9], vocabulary, vocabulary)
    [4, 8, 5, 8, 9]
    """
    kept = list(tokens)

    def leave_out(places: Collection[int]) -> None:
        for place in places:
            if kept[place] not in exempt:
                kept[place] = PADDING

    words = [(letters, places, False) for letters, places in find_words(kept, vocabulary) if letters]
    if _may_loop(_letters_of(words)):
        limit = RepetitionLimit(_letters_of(find_words(source, source_vocabulary)))
        leave_out(_exceeding(words, limit, in_a_row_only=False))
    if vocabulary.characters and any(_SPACELESS.search(vocabulary.letters[token]) for token in kept):
        words = [word for word in _words_and_characters(kept, vocabulary) if word[0]]
        if max(Counter(_letters_of(words)).values(), default=0) > MOST_ALWAYS:
            limit = RepetitionLimit(_letters_of(_words_and_characters(source, source_vocabulary)))
            leave_out(_exceeding(words, limit, in_a_row_only=True))
    return [token for token, before in zip(kept, tokens, strict=True) if token != PADDING or before == PADDING]


def _letters_of(words: Sequence[tuple[Any, ...]]) -> list[str]:
    return [letters for letters, *_ in words]


def _words_and_characters(tokens: Sequence[int], vocabulary: WordClasses) -> list[tuple[str, list[int], bool]]:
    """The words, and the characters of scripts without spaces, as `find_words` returns words.

    The third of each says whether it is of the same token as the end of the one before.
    """
    if vocabulary.characters is None:
        return [(letters, places, False) for letters, places in find_words(tokens, vocabulary)]
    classes, parts = vocabulary.characters
    units = [(part, place) for place, token in enumerate(tokens) for part in parts[token]]
    words: list[tuple[str, list[int], bool]] = []
    for letters, found in find_words([part for part, _ in units], classes):
        places = [units[index][1] for index in found]
        words.append((letters, places, bool(words) and words[-1][1][-1] == places[0]))
    return words


def _exceeding(words: Sequence[tuple[str, list[int], bool]], limit: RepetitionLimit, in_a_row_only: bool) -> set[int]:
    """The places of the tokens to leave out, so that what is left keeps to a limit."""
    said: list[str] = []
    before: list[str] = []  # what had been said when the token began
    left_out: set[int] = set()
    is_out = False
    for letters, places, goes_on in words:
        if not goes_on:
            before, is_out = list(said), False
        is_out = is_out or limit.is_exceeded_by_last([*said, letters], in_a_row_only)
        if is_out:
            left_out.update(places)
            said = list(before)
        else:
            said.append(letters)
    return left_out


def _may_loop(words: Sequence[str]) -> bool:
    """Whether a loop is possible: it says a word more than twice, or as many words twice as an n-gram has."""
    again = [times - 1 for times in Counter(words).values()]
    return max(again, default=0) >= MOST_ALWAYS or sum(again) >= shortest_said_once(NGRAM_SIZE)


def _told_apart(tokens: Sequence[Hashable]) -> list[Hashable]:
    """Replaces each foreign token or word by one that equals no other."""
    return [(token, place) if token in (FOREIGN, "") else token for place, token in enumerate(tokens)]


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
