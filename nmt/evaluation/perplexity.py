"""Perplexity of a language model on a text: per token, and in units that do not depend on its tokenizer."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from nmt.utils.json_text import json_text

_LOG = logging.getLogger(__name__)


def perplexity(loss: float) -> float:
    """Returns the exponential of a mean negative log-probability; infinity where a float cannot hold it.

    Example:

    >>> perplexity(0.0), perplexity(800.0)
    (1.0, inf)
    """
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Perplexity:
    """How well a language model predicts a text: exp(-log P(text) / n), with n its tokens, words or bytes.

    Attributes:
        log_probability: natural logarithm of the probability of all lines.
        lines: number of lines.
        tokens: number of tokens, one end mark per line included.
        words: number of words separated by white space, plus one line end per line.
        bytes: number of bytes in UTF-8, plus one line feed per line.

    Example:

    >>> result = Perplexity(-6 * math.log(2), lines=1, tokens=3, words=2, bytes=6)
    >>> [round(value, 3) for value in (result.per_token, result.per_word, result.per_byte)]
    [4.0, 8.0, 2.0]
    """

    log_probability: float
    lines: int
    tokens: int
    words: int
    bytes: int

    @property
    def per_token(self) -> float:
        """Perplexity per token, comparable only between models that share a tokenizer."""
        return self._per(self.tokens)

    @property
    def per_word(self) -> float:
        """Perplexity per word, comparable between models with different tokenizers."""
        return self._per(self.words)

    @property
    def per_byte(self) -> float:
        """Perplexity per byte, comparable between tokenizers also for languages written without spaces."""
        return self._per(self.bytes)

    def _per(self, count: int) -> float:
        return perplexity(-self.log_probability / max(count, 1))

    def as_json(self) -> dict[str, Any]:
        """Converts the result to a dictionary of plain values."""
        counts = {"token": self.tokens, "word": self.words, "byte": self.bytes}
        by_unit = {unit: {"count": count, "perplexity": self._per(count)} for unit, count in counts.items()}
        return {"log_probability": self.log_probability, "lines": self.lines, **by_unit}


def measure_perplexity(
    lines: Iterable[bytes], score: Callable[[Iterable[bytes]], Iterable[tuple[float, int]]]
) -> Perplexity:
    """Measures a language model's perplexity on a stream of lines.

    Args:
        lines: the text, UTF-8, without line ends.
        score: a function from lines to the log-probability and the number of tokens of each, such as
            `nmt.decoding.scoring.text_scores` with its model and tokenizer bound.

    Returns:
        The perplexity of all lines together.

    Example:

    >>> result = measure_perplexity([b"ein Wort"], lambda lines: [(-8.0, 4) for _ in lines])
    >>> result.tokens, result.words, result.bytes
    (4, 3, 9)
    """
    number = words = size = tokens = 0
    total = 0.0

    def counted() -> Iterator[bytes]:
        nonlocal number, words, size
        for line in lines:
            number += 1
            words += len(line.decode(errors="replace").split()) + 1
            size += len(line) + 1
            yield line

    for log_probability, count in score(counted()):
        total += log_probability
        tokens += count
    return Perplexity(total, number, tokens, words, size)


def print_perplexity(result: Perplexity, as_json: bool = False) -> None:
    """Prints a result to standard output.

    Args:
        result: what `measure_perplexity` returned.
        as_json: whether to print JSON instead of a table.

    Example:

    >>> print_perplexity(Perplexity(-6 * math.log(2), lines=1, tokens=3, words=2, bytes=6))
    Per     Count   Perplexity
    token       3        4.000
    word        2        8.000
    byte        6        2.000
    <BLANKLINE>
    log-probability -4.16 over 1 lines
    """
    if math.isinf(result.per_word):
        _LOG.warning(
            "the perplexity is too large for a number: the text is unlike what the model learned, or it diverged"
        )
    console = Console(soft_wrap=True, highlight=False)
    if as_json:
        console.print_json(json_text(result.as_json()))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("Per", "Count", "Perplexity"):
        table.add_column(name, justify="left" if name == "Per" else "right")
    for unit, count, value in (
        ("token", result.tokens, result.per_token),
        ("word", result.words, result.per_word),
        ("byte", result.bytes, result.per_byte),
    ):
        table.add_row(unit, f"{count:,}", f"{value:,.3f}")
    console.print(table)
    console.print(f"\nlog-probability {result.log_probability:.2f} over {result.lines:,} lines")
