"""What a corpus contains, counted by reading it once: the ground for choosing settings."""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from nmt.config import DataSettings
from nmt.data.cleaning import CleaningReport, clean
from nmt.data.readers import read_split
from nmt.text.placeholders import KINDS
from nmt.text.tokenizer import Tokenizer, TooFewSubwordsError, alphabet_size, train_tokenizer

_SAMPLE = 10_000  # pairs, the first in the order of random numbers
PLACEHOLDER_SHARE = 0.005  # of the pairs that have a placeholder, for it to be masked


class CorpusCounts(NamedTuple):
    """What the training split of a corpus contains once it is cleaned.

    Attributes:
        pairs: int, the pairs that cleaning keeps.
        different: int, their different sources.
        characters: a pair of int, the characters of all sources and of all targets.
        alphabet: int, the different characters that have pieces of their own, see `nmt.text.tokenizer.alphabet_size`.
        placeholders: tuple of str, the kinds of placeholders that at least 0.5% of the pairs have on both sides.
        sample: list of pairs of str, some 10,000 of the pairs, drawn at random.
    """

    pairs: int
    different: int
    characters: tuple[int, int]
    alphabet: int
    placeholders: tuple[str, ...]
    sample: list[tuple[str, str]]


class TokenCounts(NamedTuple):
    """How a corpus is split into subwords by a vocabulary.

    Attributes:
        source: float, the tokens of a source, the end token included: their mean.
        target: float, those of a target.
        longest: int, the tokens that 99.5% of the texts do not exceed.
        largest_vocabulary: int or None, the pieces for which the texts have enough different subwords, where these are
            fewer than were asked for.
    """

    source: float
    target: float
    longest: int
    largest_vocabulary: int | None = None


def count_corpus(data: DataSettings) -> CorpusCounts:
    """Reads the training split of a corpus once, pair by pair, cleans it, and counts.

    Args:
        data: the settings of the corpus.

    Raises:
        UserError: if the corpus cannot be read; see `nmt.data.readers.read_split`.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "train.tsv"
    >>> _ = path.write_text("two {things}\\tzwei {things}\\nnothing\\tnichts\\n", encoding="utf-8")
    >>> corpus = {"kind": "tsv", "train": [path]}
    >>> counts = count_corpus(DataSettings(source_language="en", target_language="de", corpus=corpus))
    >>> counts.pairs, counts.characters, counts.placeholders
    (2, (19, 19), ('braces',))
    """
    generator = np.random.default_rng(1)
    characters, lengths, masked = Counter[str](), [0, 0], Counter[str]()
    patterns = {kind: re.compile(KINDS[kind]) for kind in KINDS if kind != "numbers"}
    pairs, sources = 0, set()
    sample: list[tuple[str, str]] = []
    rows = read_split(data, "train")
    for pair in clean(rows or iter(()), data.cleaning, CleaningReport(), training=True):
        pairs += 1
        sources.add(hash(pair.source))
        for side, text in enumerate(pair):
            lengths[side] += len(text)
            characters.update(text)
        masked.update(kind for kind, found in patterns.items() if all(map(found.search, pair)))
        place = pairs - 1 if pairs <= _SAMPLE else int(generator.integers(pairs))  # reservoir sampling
        if place < _SAMPLE:
            sample[place : place + 1] = [(pair.source, pair.target)]
    kinds = tuple(kind for kind in patterns if masked[kind] > PLACEHOLDER_SHARE * pairs)
    alphabet = alphabet_size(characters)
    return CorpusCounts(pairs, len(sources), (lengths[0], lengths[1]), alphabet, kinds, sample)


def count_tokens(counts: CorpusCounts, vocabulary_size: int) -> TokenCounts:
    """Splits a sample of a corpus into subwords of a vocabulary that is trained on it.

    Args:
        counts: what `count_corpus` returned.
        vocabulary_size: int, the number of pieces for both languages; fewer are made of a text with fewer different
            subwords.
    """
    import tensorflow as tf

    sides = list(zip(*counts.sample, strict=True))
    texts, largest = [*sides[0], *sides[1]], None
    try:
        model = train_tokenizer(texts, vocabulary_size, "bpe")
    except TooFewSubwordsError as error:
        largest = error.largest
        model = train_tokenizer(texts, largest, "bpe")
    tokenizer = Tokenizer(model)
    lengths = [tokenizer.encode(tf.constant(side)).row_lengths().numpy() for side in sides]
    source, target = (float(side.mean()) for side in lengths)
    return TokenCounts(source, target, int(np.quantile(np.maximum(*lengths), 0.995)), largest)
