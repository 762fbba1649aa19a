"""How many translations repeat what their sources do not, and how many are much too long."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from nmt.text.placeholders import pattern
from nmt.text.repetition import NGRAM_SIZE, SPACELESS, RepetitionLimit
from nmt.utils.errors import UserError

# A placeholder or address is one word, whatever words it is made of. Where a script has no spaces, so is a character.
_WORD = re.compile(
    "|".join((pattern(("braces", "printf", "tags", "urls", "emails")), f"[{SPACELESS}]", rf"[^\W{SPACELESS}]+"))
)
_CHARACTERS_OF_WORD = 2  # of a script without spaces, as a rule: of most words in Chinese and Japanese
_SLACK = 20  # characters: a label of one word may have a long translation


@dataclass(frozen=True)
class Repetition:
    """How many of one system's translations repeat themselves.

    Attributes:
        system: the system's name.
        sentences: int, the number of translations.
        loops: int, the number of those that say something more often than their source warrants.
        too_long: int, the number of those longer than twice what their source leads to expect.
    """

    system: str
    sentences: int
    loops: int
    too_long: int


def has_loop(source: str, translation: str) -> bool:
    """Returns whether a translation says something more often than its source warrants.

    The words of the translation, punctuation apart, must not come in a way that `nmt.RepetitionConstraint` forbids to
    tokens: a block of words three times in a row, or four words in a row more than twice, unless the source itself
    repeats as much. In a script without spaces eight characters count as four words: with four, 33 of 13,000 references
    in Chinese and Japanese would have loops.

    Args:
        source: the source sentence.
        translation: its translation.

    Example:

    >>> has_loop("the state of it", "der Zustand der Zustand der Zustand"), has_loop("ha ha ha", "ha ha ha")
    (True, False)
    """
    said, words = ([word.lower() for word in _WORD.findall(text)] for text in (source, translation))
    spaceless = sum(re.fullmatch(f"[{SPACELESS}]", word) is not None for word in words)
    size = NGRAM_SIZE * (_CHARACTERS_OF_WORD if 2 * spaceless > len(words) else 1)
    return RepetitionLimit(said, ngram_size=size).is_exceeded(words)


def measure_repetition(
    sources: Sequence[str], references: Sequence[str], systems: Mapping[str, Sequence[str]]
) -> list[Repetition]:
    """Counts the translations with a loop, and those that are much too long.

    The characters that a source leads to expect are its own times the ratio of all references to all sources. Too long
    is more than twice as many and 20 more.

    Args:
        sources: the source sentences.
        references: one reference for each source.
        systems: each system's translations of `sources`, by the system's name.

    Returns:
        One result for each system.

    Raises:
        UserError: if a system's number of translations differs from the number of sources.

    Example:

    >>> measure_repetition(["a small dog"], ["ein Hund"], {"translations": ["ein kleiner kleiner kleiner Hund"]})
    [Repetition(system='translations', sentences=1, loops=1, too_long=0)]
    """
    ratio = sum(map(len, references)) / max(sum(map(len, sources)), 1)
    results = []
    for system, translations in systems.items():
        if len(translations) != len(sources):
            raise UserError(f"expected one source for each of the {len(translations)} {system}, got {len(sources)}")
        pairs = list(zip(sources, translations, strict=True))
        loops = sum(has_loop(*pair) for pair in pairs)
        too_long = sum(len(translation) > 2 * ratio * len(source) + _SLACK for source, translation in pairs)
        results.append(Repetition(system, len(pairs), loops, too_long))
    return results


def repetition_as_json(results: Sequence[Repetition]) -> dict[str, dict[str, Any]]:
    """Converts results to a dictionary that `json.dump` can write.

    Args:
        results: what `measure_repetition` returned.

    Example:

    >>> repetition_as_json([Repetition("translations", sentences=4, loops=1, too_long=0)])
    {'repetition': {'translations': {'sentences': 4, 'loops': 1, 'too_long': 0}}}
    """
    fields = [asdict(result) for result in results]
    return {"repetition": {one.pop("system"): one for one in fields}} if fields else {}


def print_repetition(results: Sequence[Repetition], file: IO[str] | None = None) -> None:
    """Prints results as a table; prints nothing if there are none.

    Args:
        results: what `measure_repetition` returned.
        file: an open text file; None for standard output.

    Example:

    >>> print_repetition([Repetition("translations", sentences=4, loops=1, too_long=0)])
    <BLANKLINE>
    System         Sentences   With loops   Too long
    translations           4        25.0%       0.0%
    """
    if not results:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("System")
    for name in ("Sentences", "With loops", "Too long"):
        table.add_column(name, justify="right")
    for result in results:
        shares = (f"{count / result.sentences:.1%}" for count in (result.loops, result.too_long))
        table.add_row(result.system, f"{result.sentences:,}", *shares)
    console = Console(file=file, highlight=False, soft_wrap=True)
    console.print()
    console.print(table)
