"""Perplexity of a language model on a text, also in units that do not depend on its tokenizer."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Perplexity:
    """How well a language model tells a text.

    Attributes:
        log_probability: of all lines, a natural logarithm.
        lines: of the text; each ends with an end mark, which is told too.
        tokens: the end marks included.
        words: what white space separates, and one end for each line.
        bytes: in UTF-8, and one line feed for each line, as the text stands in a file.

    Example:

    >>> found = Perplexity(-6 * math.log(2), lines=1, tokens=3, words=2, bytes=6)
    >>> [round(value, 3) for value in (found.per_token, found.per_word, found.per_byte)]
    [4.0, 8.0, 2.0]
    """

    log_probability: float
    lines: int
    tokens: int
    words: int
    bytes: int

    @property
    def per_token(self) -> float:
        """Depends on the tokenizer: comparable between models that share it."""
        return self._per(self.tokens)

    @property
    def per_word(self) -> float:
        """Comparable between models of any tokens."""
        return self._per(self.words)

    @property
    def per_byte(self) -> float:
        """Likewise, also where words have no spaces between them."""
        return self._per(self.bytes)

    def _per(self, count: int) -> float:
        return math.exp(min(-self.log_probability / max(count, 1), 700.0))  # a larger one is no float any more

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "log_probability": self.log_probability,
            "lines": self.lines,
            **{
                unit: {"count": count, "perplexity": self._per(count)}
                for unit, count in (("token", self.tokens), ("word", self.words), ("byte", self.bytes))
            },
        }


def measure(texts: Iterable[bytes], score: Callable[[Iterable[bytes]], Iterable[tuple[float, int]]]) -> Perplexity:
    """Adds up the scores of texts.

    Args:
        texts: lines without their ends, in UTF-8.
        score: gives the log-probability and the tokens of each, as `nmt.decoding.scoring.text_scores`.
    """
    lines = words = size = tokens = 0
    total = 0.0

    def counted() -> Iterator[bytes]:
        nonlocal lines, words, size
        for text in texts:
            lines += 1
            words += len(text.decode(errors="replace").split()) + 1
            size += len(text) + 1
            yield text

    for log_probability, count in score(counted()):
        total += log_probability
        tokens += count
    return Perplexity(total, lines, tokens, words, size)


def print_perplexity(found: Perplexity, as_json: bool = False) -> None:
    """Prints a table for people, or JSON."""
    console = Console(soft_wrap=True, highlight=False)
    if as_json:
        console.print_json(json.dumps(found.as_json()))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("Per", "Count", "Perplexity"):
        table.add_column(name, justify="left" if name == "Per" else "right")
    for unit, count, value in (
        ("token", found.tokens, found.per_token),
        ("word", found.words, found.per_word),
        ("byte", found.bytes, found.per_byte),
    ):
        table.add_row(unit, f"{count:,}", f"{value:,.3f}")
    console.print(table)
    console.print(f"\nlog-probability {found.log_probability:.2f} of {found.lines:,} lines")
