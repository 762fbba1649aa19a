"""Whether translations preserve what must not change: the placeholders and the numbers of their sources.

Both are counted sentence by sentence: where a source contains {name} twice, a single {name} in the translation is one
too few, and a third one is added. Placeholders are all of `nmt.text.placeholders.KINDS` except numbers. Numbers are
groups of digits outside placeholders. They are compared by their digits only, because languages separate digits
differently: 1,000.5, 1.000,5 and 1 000,5 are the same number.
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
# A space separates groups of three digits; a point, comma or apostrophe may separate groups of any length.
_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,'\u2019]\d+)*")


@dataclass(frozen=True)
class Preservation:
    """How many placeholders or numbers of the sources one system's translations contain.

    Attributes:
        kind: `placeholders` or `numbers`.
        system: name of the system.
        expected: number of occurrences in the sources.
        preserved: number of these that the translations contain.
        added: number of further occurrences in the translations, which the sources do not contain.

    Example:

    >>> result = Preservation("numbers", "translations", expected=4, preserved=3, added=0)
    >>> result.preserved / result.expected
    0.75
    """

    kind: str
    system: str
    expected: int
    preserved: int
    added: int


def placeholders(text: str) -> Counter[str]:
    """Counts the placeholders in a text.

    Args:
        text: a sentence.

    Returns:
        The number of occurrences of each placeholder.

    Example:

    >>> placeholders("%s of {count} in <b>{count}").most_common()
    [('{count}', 2), ('%s', 1), ('<b>', 1)]
    """
    return Counter(_PLACEHOLDER.findall(text))


def numbers(text: str) -> Counter[str]:
    """Counts the numbers in a text, without the separators between their digits.

    Args:
        text: a sentence.

    Returns:
        The number of occurrences of each number, written in the digits 0 to 9.

    Example:

    >>> sorted(numbers("{0}: 1,234.5 of 10 000 in 3 days, or in \\u0663").elements())
    ['10000', '12345', '3', '3']
    """
    matches = _NUMBER.findall(_PLACEHOLDER.sub(" ", text))
    return Counter("".join(str(unicodedata.decimal(sign)) for sign in match if sign.isdecimal()) for match in matches)


def measure_preservation(sources: Sequence[str], systems: Mapping[str, Sequence[str]]) -> list[Preservation]:
    """Counts the placeholders and numbers of the sources that translations preserve.

    Args:
        sources: the source sentences.
        systems: each system's translations of `sources`, by the system's name.

    Returns:
        One result for each kind and system, without the kinds that no source contains.

    Raises:
        UserError: if a system's number of translations differs from the number of sources.

    Example:

    >>> measure_preservation(["{a} and {b}"], {"translations": ["{a} und {c}"]})
    [Preservation(kind='placeholders', system='translations', expected=2, preserved=1, added=1)]
    """
    for system, translations in systems.items():
        if len(translations) != len(sources):
            raise UserError(f"expected one source for each of the {len(translations)} {system}, got {len(sources)}")
    results = []
    for kind, count in (("placeholders", placeholders), ("numbers", numbers)):
        source_counts = [count(source) for source in sources]
        expected = sum(counter.total() for counter in source_counts)
        if not expected:
            continue
        for system, translations in systems.items():
            pairs = list(zip(source_counts, map(count, translations), strict=True))
            preserved = sum((source & translation).total() for source, translation in pairs)
            added = sum((translation - source).total() for source, translation in pairs)
            results.append(Preservation(kind, system, expected, preserved, added))
    return results


def preservation_as_json(results: Sequence[Preservation]) -> dict[str, dict[str, Any]]:
    """Converts results to a dictionary that `json.dump` can write.

    Args:
        results: what `measure_preservation` returned.

    Returns:
        A dictionary from each kind to a dictionary from each system to its counts.

    Example:

    >>> preservation_as_json([Preservation("numbers", "translations", expected=4, preserved=3, added=0)])
    {'numbers': {'translations': {'expected': 4, 'preserved': 3, 'added': 0}}}
    """
    by_kind: dict[str, dict[str, Any]] = {}
    for result in results:
        fields = asdict(result)
        by_kind.setdefault(fields.pop("kind"), {})[fields.pop("system")] = fields
    return by_kind


def print_preservation(results: Sequence[Preservation], file: IO[str] | None = None) -> None:
    """Prints results as a table; prints nothing if there are none.

    Args:
        results: what `measure_preservation` returned.
        file: an open text file; None for standard output.

    Example:

    >>> print_preservation([Preservation("numbers", "translations", expected=4, preserved=3, added=0)])
    <BLANKLINE>
    Kind      System         Expected   Preserved   Added
    numbers   translations          4       75.0%       0
    """
    if not results:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("Kind", "System"):
        table.add_column(name)
    for name in ("Expected", "Preserved", "Added"):
        table.add_column(name, justify="right")
    for result in results:
        share = f"{result.preserved / result.expected:.1%}"
        table.add_row(result.kind, result.system, f"{result.expected:,}", share, f"{result.added:,}")
    console = Console(file=file, highlight=False, soft_wrap=True)
    console.print()
    console.print(table)
