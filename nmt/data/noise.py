"""Training pairs in other forms: small letters, capitals, typing mistakes, no final stop (`data.noise`)."""

import random
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nmt.config import DataSettings
from nmt.text.capitals import lower, upper
from nmt.text.normalization import normalize

_STOPS = (".", "。", "।", "։", "።")  # noqa: RUF001 (of Latin and other alphabets, Chinese, Hindi, Armenian, Amharic)
_WORD = re.compile(r"[^\W\d_]{4,}")  # shorter words with a mistake may be other words


class _Pair(NamedTuple):
    source: str
    target: str


class Noise:
    """Changes pairs in ways that depend on the seed, the epoch and the order of the pairs alone.

    Args:
        data: the settings of the data; its `noise` and languages matter.
        seed: int.
        epoch: int, counted from 0.

    Example:

    >>> corpus = {"kind": "tsv", "train": ["pairs.tsv"]}
    >>> settings = {"source_language": "en", "target_language": "de", "corpus": corpus, "noise": {"lower": 0.99}}
    >>> Noise(DataSettings(**settings), seed=1, epoch=0).change([("A Cat.", "Eine Katze.")])
    {0: ('a cat.', 'Eine Katze.')}
    """

    def __init__(self, data: DataSettings, seed: int, epoch: int) -> None:
        source, target = data.source_language or "", data.target_language
        changes: dict[str, Callable[[_Pair, random.Random], _Pair]] = {
            "lower": lambda pair, _: pair._replace(source=lower(pair.source, source)),
            "title": lambda pair, _: pair._replace(source=capitalize_words(pair.source, source)),
            "upper": lambda pair, _: _Pair(upper(pair.source, source), upper(pair.target, target)),
            "typing": lambda pair, draw: pair._replace(source=mistype(pair.source, draw)),
            "stop": lambda pair, _: _Pair(*map(without_stop, pair)) if pair.source.endswith(_STOPS) else pair,
        }
        self._changes = [changes[name] for name in data.noise.shares()]
        self._ends = np.cumsum(list(data.noise.shares().values()))
        self._generator = np.random.default_rng([seed, epoch, 2])  # 0 and 1 draw the segmentations of the two sides

    def change(self, pairs: list[tuple[str, str]]) -> dict[int, tuple[str, str]]:
        """Changes some of the next pairs.

        Args:
            pairs: source and target of each, normalised, their placeholders masked.

        Returns:
            From the indices of the pairs that have changed to what has become of them.
        """
        numbers = self._generator.random(len(pairs))
        seeds = self._generator.integers(2**63, size=len(pairs))
        changed = {}
        for index in np.flatnonzero(numbers < self._ends[-1]).tolist():
            change = self._changes[int(np.searchsorted(self._ends, numbers[index], side="right"))]
            pair = change(_Pair(*pairs[index]), random.Random(int(seeds[index])))  # nosec B311
            source, target = map(normalize, pair)
            if (source, target) != tuple(pairs[index]) and source and target:
                changed[index] = (source, target)
        return changed


def capitalize_words(text: str, language: str = "") -> str:
    """Begins each word with a capital.

    Args:
        text: a text whose words single spaces separate.
        language: its code.

    Example:

    >>> capitalize_words("a man's hat")
    "A Man's Hat"
    """
    return " ".join(upper(word[:1], language) + word[1:] for word in text.split(" "))


def mistype(text: str, draw: random.Random) -> str:
    """Makes one typing mistake: a letter is left out, doubled, exchanged with the next, or another one of the text.

    Args:
        text: a text. If no word has four letters, it stays as it is.
        draw: draws the word, the letter and the mistake.

    Example:

    >>> mistype("the orange hat", random.Random(3))
    'the orangge hat'
    """
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = draw.choice(words)
    place = draw.randrange(word.start(), word.end() - 1)
    letter, following = text[place], text[place + 1]
    other = draw.choice(_WORD.findall(text)[0])
    mistake = draw.choice([following, letter * 2 + following, following + letter, other + following])
    return text[:place] + mistake + text[place + 2 :]


def without_stop(text: str) -> str:
    """Leaves out a text's final stop, if it has a single one.

    Example:

    >>> without_stop("A cat."), without_stop("Wait...")
    ('A cat', 'Wait...')
    """
    return text[:-1] if text.endswith(_STOPS) and not text[:-1].endswith(_STOPS) else text
