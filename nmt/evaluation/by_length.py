"""Scores of short, medium and long sentences apart."""

from collections.abc import Sequence
from typing import IO, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from nmt.evaluation.metrics import Score, evaluate, scores_as_json

_NAMES = ("short", "medium", "long")
_FEWEST = 30  # sentences: the scores of fewer say nothing


class LengthGroup(NamedTuple):
    """The scores of the sentences of similar length.

    Attributes:
        name: `short`, `medium` or `long`.
        sentences: int, their number.
        characters: a pair of int, the lengths of the shortest and the longest source.
        scores: one score for each metric.
    """

    name: str
    sentences: int
    characters: tuple[int, int]
    scores: list[Score]


def score_by_length(
    sources: Sequence[str], translations: Sequence[str], references: Sequence[str], language: str = "", samples: int = 0
) -> list[LengthGroup]:
    """Scores the translations of the shortest third of the sources, of the middle third, and of the longest.

    Sources of the same number of characters are in the same group.

    Args:
        sources: the source sentences.
        translations: the translation of each.
        references: the reference of each.
        language: code of the target language; see `nmt.evaluate`.
        samples: number of bootstrap samples for confidence intervals, 0 for none.

    Returns:
        The groups that have sentences; none at all if there are less than 30 sentences.

    Example:

    >>> texts = ["a " * length for length in range(1, 31)]
    >>> [group[:3] for group in score_by_length(texts, texts, texts)]
    [('short', 10, (2, 20)), ('medium', 10, (22, 40)), ('long', 10, (42, 60))]
    """
    if len(sources) < _FEWEST:
        return []
    lengths = sorted(map(len, sources))
    bounds = [lengths[(len(lengths) - 1) * third // 3] for third in (1, 2)]
    groups = []
    for number, name in enumerate(_NAMES):
        chosen = [
            row for row in zip(sources, translations, references, strict=True)
            if sum(len(row[0]) > bound for bound in bounds) == number
        ]  # fmt: skip
        if chosen:
            in_group, hypotheses, expected = (list(column) for column in zip(*chosen, strict=True))
            span = min(map(len, in_group)), max(map(len, in_group))
            groups.append(
                LengthGroup(name, len(chosen), span, evaluate(hypotheses, expected, language, samples=samples))
            )
    return groups


def lengths_as_json(groups: Sequence[LengthGroup]) -> dict[str, dict[str, Any]]:
    """Converts groups to a dictionary that `json.dump` can write.

    Args:
        groups: what `score_by_length` returned.

    Example:

    >>> lengths_as_json([LengthGroup("short", 9, (1, 4), [Score("BLEU", 26.4, "nrefs:1")])])["by_length"]["short"]
    {'sentences': 9, 'source_characters': [1, 4], 'BLEU': 26.4}
    """
    if not groups:
        return {}
    return {
        "by_length": {
            group.name: {"sentences": group.sentences, "source_characters": list(group.characters)}
            | {name: fields["value"] for name, fields in scores_as_json(group.scores).items()}
            for group in groups
        }
    }


def print_lengths(groups: Sequence[LengthGroup], file: IO[str] | None = None) -> None:
    """Prints groups as a table; prints nothing if there are none.

    Args:
        groups: what `score_by_length` returned.
        file: an open text file; None for standard output.

    Example:

    >>> print_lengths([LengthGroup("short", 9, (1, 4), [Score("BLEU", 26.43, "nrefs:1")])])
    <BLANKLINE>
    Sources   Characters   Sentences   BLEU
    short         1 to 4           9   26.4
    """
    if not groups:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("Sources")
    for name in ("Characters", "Sentences", *(score.name for score in groups[0].scores)):
        table.add_column(name, justify="right")
    for group in groups:
        values = (f"{score.value:.1f}" for score in group.scores)
        table.add_row(group.name, "{} to {}".format(*group.characters), f"{group.sentences:,}", *values)
    console = Console(file=file, highlight=False, soft_wrap=True)
    console.print()
    console.print(table)
