"""A whole evaluation of a system's translations: scores, repetition, preservation, lengths, and examples."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from nmt.evaluation.by_length import LengthGroup, lengths_as_json, print_lengths, score_by_length
from nmt.evaluation.metrics import Score, compare, evaluate, print_scores, scores_as_json
from nmt.evaluation.preservation import (
    Preservation,
    measure_preservation,
    preservation_as_json,
    print_preservation,
)
from nmt.evaluation.repetition import Repetition, measure_repetition, print_repetition, repetition_as_json
from nmt.utils.json_text import json_text
from nmt.utils.lines import read_text_lines
from nmt.utils.terminal import printable


class Example(NamedTuple):
    """A source sentence, its reference, and its translation."""

    source: str
    reference: str
    translation: str


class Evaluation(NamedTuple):
    """The results of an evaluation.

    Attributes:
        scores: one score for each metric, a `Comparison` if there is a baseline.
        preservation: how many placeholders and numbers are preserved; empty if the sources are not known.
        examples: sentences spread evenly over the translations; empty if the sources are not known.
        repetition: how many translations have loops or are too long; empty if the sources are not known.
        by_length: the scores by the length of the source; empty if the sources are not known, or few.
    """

    scores: Sequence[Score]
    preservation: list[Preservation]
    examples: list[Example]
    repetition: Sequence[Repetition] = ()
    by_length: Sequence[LengthGroup] = ()


def evaluate_translations(
    translations: Sequence[str],
    references: Sequence[str],
    language: str = "",
    *,
    sources: Sequence[str] | None = None,
    baseline: Sequence[str] | None = None,
    samples: int = 1000,
    examples: int = 0,
) -> Evaluation:
    """Evaluates translations.

    Args:
        translations: the translations, cased and detokenised.
        references: one reference for each translation, in the same order.
        language: code of the target language; see `nmt.evaluate`.
        sources: the source of each translation, if known.
        baseline: another system's translations of the same sources, to compare with.
        samples: number of bootstrap samples for confidence intervals, 0 for none. A comparison needs some, and takes
            1,000 if this is 0.
        examples: number of examples to return.

    Raises:
        UserError: if there is nothing to score, or the numbers of sentences differ.

    Example:

    >>> result = evaluate_translations(["Guten Tag"], ["Guten Tag!"], "de", sources=["Good day"], samples=0, examples=1)
    >>> [score.name for score in result.scores], result.examples[0].reference
    (['BLEU', 'chrF2', 'TER'], 'Guten Tag!')
    """
    scores: Sequence[Score]
    systems = {"translations": translations, "references": references}
    if baseline is None:
        scores = evaluate(translations, references, language, samples=samples)
    else:
        systems["baseline"] = baseline
        scores = compare(translations, baseline, references, language, samples=samples or 1000)
    if sources is None:
        return Evaluation(scores, [], [])
    preservation = measure_preservation(sources, systems)
    whole = [Example(*texts) for texts in zip(sources, references, translations, strict=True)]
    return Evaluation(
        scores,
        preservation,
        _spread(whole, examples),
        measure_repetition(sources, references, systems),
        score_by_length(sources, translations, references, language),
    )


def evaluate_files(
    translations: str | Path,
    references: str | Path,
    language: str = "",
    *,
    sources: str | Path | None = None,
    baseline: str | Path | None = None,
    samples: int = 1000,
    examples: int = 0,
) -> Evaluation:
    """Evaluates the translations in a file; see `evaluate_translations`.

    Args:
        translations: a text file, one translation per line.
        references: a text file of their references.
        language: code of the target language; see `nmt.evaluate`.
        sources: a text file of their sources, or None.
        baseline: a text file of another system's translations, or None.
        samples: number of bootstrap samples.
        examples: number of examples to return.

    Raises:
        UserError: if a file cannot be read or is not UTF-8, there is nothing to score, or the numbers of lines differ.
    """

    def lines(path: str | Path) -> list[str]:
        return list(read_text_lines(path))

    return evaluate_translations(
        lines(translations),
        lines(references),
        language,
        sources=None if sources is None else lines(sources),
        baseline=None if baseline is None else lines(baseline),
        samples=samples,
        examples=examples,
    )


def evaluation_as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Converts all but the examples to a dictionary that `json.dump` can write.

    Args:
        evaluation: what `evaluate_translations` returned.
    """
    return (
        scores_as_json(evaluation.scores)
        | preservation_as_json(evaluation.preservation)
        | repetition_as_json(evaluation.repetition)
        | lengths_as_json(evaluation.by_length)
    )


def print_evaluation(evaluation: Evaluation, as_json: bool = False) -> None:
    """Prints an evaluation to standard output: tables or JSON, then the examples.

    Args:
        evaluation: what `evaluate_translations` returned.
        as_json: whether to print JSON instead of tables.
    """
    if as_json:
        text = json_text(evaluation_as_json(evaluation))
        Console(soft_wrap=True, highlight=False).print_json(text)
    else:
        print_scores(evaluation.scores)
        print_lengths(evaluation.by_length)
        print_repetition(evaluation.repetition)
        print_preservation(evaluation.preservation)
    for example in evaluation.examples:
        rows = "\n".join(f"{name:<12}{text}" for name, text in example._asdict().items())
        print(printable("\n" + rows, sys.stdout))


def _spread(examples: Sequence[Example], count: int) -> list[Example]:
    """Returns `count` examples, spread evenly."""
    count = min(count, len(examples))
    return [examples[index * len(examples) // count] for index in range(count)]
