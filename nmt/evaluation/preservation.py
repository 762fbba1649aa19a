"""Whether translations keep what no translator may change: the placeholders and the numbers of their sources.

Both are counted sentence by sentence: a source that has {name} twice needs it twice, and a third one is invented.
Placeholders are those of all of `nmt.text.placeholders.KINDS` but numbers. Numbers are groups of digits outside of
placeholders; what separates their digits does not count, as languages differ in it: 1,000.5, 1.000,5 and 1 000,5 are
the same.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from nmt.text.placeholders import KINDS, pattern
from nmt.utils.errors import UserError

_PLACEHOLDER = re.compile(pattern([kind for kind in KINDS if kind != "numbers"]))
# Spaces separate three digits each; points, commas and apostrophes any number of them.
_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,'\u2019]\d+)*")


@dataclass(frozen=True)
class Kept:
    """What translations keep of their sources.

    Attributes:
        kind: `placeholders` or `numbers`.
        system: whose translations they are.
        expected: how many the sources have.
        kept: how many of these the translations have too.
        invented: how many the translations have besides, which the sources have not.
    """

    kind: str
    system: str
    expected: int
    kept: int
    invented: int


def placeholders(text: str) -> Counter[str]:
    """Counts the placeholders of a text.

    Example:

    >>> placeholders("%s of {count} in <b>{count}").most_common()
    [('{count}', 2), ('%s', 1), ('<b>', 1)]
    """
    return Counter(_PLACEHOLDER.findall(text))


def numbers(text: str) -> Counter[str]:
    """Counts the numbers of a text, by their digits alone.

    Example:

    >>> sorted(numbers("{0}: 1,234.5 of 10 000 in 3 days, or in \\u0663").elements())
    ['10000', '12345', '3', '3']
    """
    found = _NUMBER.findall(_PLACEHOLDER.sub(" ", text))
    return Counter("".join(str(unicodedata.decimal(sign)) for sign in one if sign.isdecimal()) for one in found)


def measure_kept(sources: Sequence[str], systems: Mapping[str, Sequence[str]]) -> list[Kept]:
    """Counts what translations keep of their sources.

    Args:
        sources: the sentences.
        systems: translations of each source, by the system's name.

    Returns:
        Of placeholders and of numbers, as far as the sources have any, what each system keeps.

    Raises:
        UserError: if there is not one source for each translation.

    Example:

    >>> measure_kept(["{a} and {b}"], {"translations": ["{a} und {c}"]})
    [Kept(kind='placeholders', system='translations', expected=2, kept=1, invented=1)]
    """
    found = []
    for kind, count in (("placeholders", placeholders), ("numbers", numbers)):
        wanted = [count(source) for source in sources]
        expected = sum(of_source.total() for of_source in wanted)
        for system, texts in systems.items():
            if len(texts) != len(sources):
                raise UserError(f"expected one source for each of the {len(texts)} {system}, got {len(sources)}")
            pairs = list(zip(wanted, map(count, texts), strict=True))
            kept = sum((of_source & of_text).total() for of_source, of_text in pairs)
            invented = sum((of_text - of_source).total() for of_source, of_text in pairs)
            if expected:
                found.append(Kept(kind, system, expected, kept, invented))
    return found


def kept_as_json(found: Sequence[Kept]) -> dict[str, dict[str, Any]]:
    """Gives results as plain values, by kind and system.

    Example:

    >>> kept_as_json([Kept("numbers", "translations", expected=4, kept=3, invented=0)])
    {'numbers': {'translations': {'expected': 4, 'kept': 3, 'invented': 0}}}
    """
    kinds: dict[str, dict[str, Any]] = {}
    for one in found:
        fields = asdict(one)
        kinds.setdefault(fields.pop("kind"), {})[fields.pop("system")] = fields
    return kinds


def print_kept(found: Sequence[Kept], file: IO[str] | None = None) -> None:
    """Prints results as a table for people, and nothing if there are none.

    Args:
        found: of `measure_kept`.
        file: an open text file; standard output by default.

    Example:

    >>> print_kept([Kept("numbers", "translations", expected=4, kept=3, invented=0)])
    <BLANKLINE>
    Kept of the sources   By               Of   Share   Invented
    numbers               translations      4   75.0%          0
    """
    if not found:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("Kept of the sources", "By", "Of", "Share", "Invented"):
        table.add_column(name, justify="left" if name in ("Kept of the sources", "By") else "right")
    for one in found:
        share = f"{one.kept / one.expected:.1%}"
        table.add_row(one.kind, one.system, f"{one.expected:,}", share, f"{one.invented:,}")
    console = Console(file=file, highlight=False, soft_wrap=True)
    console.print()
    console.print(table)
