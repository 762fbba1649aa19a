"""Chooses the settings of a run's search on its validation split."""

import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nmt.config import load_saved_config
from nmt.constants import SIDES
from nmt.data.preparation import read_checked_sentences
from nmt.evaluation.metrics import evaluate
from nmt.runs.folder import load_run_config, lock_run, run_id, write_settings
from nmt.runs.translation import load_translator
from nmt.utils.digests import sealed
from nmt.utils.files import written_whole

_LOG = logging.getLogger(__name__)

LENGTH_PENALTIES = (0.6, 0.8, 1.0, 1.2, 1.5)
BEAMS = (5, 8)
COVERAGE_PENALTIES = (0.0, 0.2)
FEWEST = 100  # sentences: differences on fewer are chance
GOAL = "Mean of BLEU, chrF and 100 - TER"
_GAIN = 0.1  # by which a setting has to be better than the one before it


def tune_search(run: str | Path, *, sentences: int = 1000, checkpoint: str | None = None) -> dict[str, Any]:
    """Chooses length penalty, size of the beam and coverage penalty, one after the other, on the validation split.

    A setting is changed where that gains at least 0.1 in the mean of BLEU, chrF and 100 - TER. That depends less on
    chance than BLEU alone, and BLEU and chrF without TER prefer translations that are too long
    (benchmarks/tuning_goals.py). The result is kept in the run's settings; `tuning.json` in its folder has all that was
    tried. The same model always gets the same settings. Validation splits of less than 100 sentences decide nothing.

    Args:
        run: the run folder.
        sentences: int, how many sentences of the validation split to translate, at most.
        checkpoint: see `nmt.load_translator`.

    Returns:
        The `goal`, the `chosen` settings and what was `tried`: settings and their score.

    Raises:
        UserError: if the run or the checkpoint is wrong, or another process writes the folder.

    Example:

    >>> tune_search("runs/mine")["chosen"]  # doctest: +SKIP
    {'length_penalty': 1.2, 'beam_size': 5, 'coverage_penalty': 0.0}
    """
    folder, config = load_run_config(run, "translation")
    sources, references = (
        list(itertools.islice(read_checked_sentences(folder.data, "validation", side), sentences)) for side in SIDES
    )
    language = config.data.target_language

    def score(settings: dict[str, float]) -> float:
        overrides = [f"decoding.{name}={value}" for name, value in settings.items()]
        with _quiet():
            translations = list(load_translator(run, checkpoint, overrides).best(sources))
        bleu, chrf, ter = evaluate(translations, references, language)
        return (bleu.value + chrf.value + 100 - ter.value) / 3

    # From the same settings, whatever an earlier call chose.
    begin = {"length_penalty": 1.0, "beam_size": 5, "coverage_penalty": 0.0}
    if len(sources) < FEWEST:
        _LOG.info("the search stays as it is: %d sentences of validation are too few to choose by", len(sources))
        return {"goal": GOAL, "chosen": {name: getattr(config.decoding, name) for name in begin}, "tried": []}
    with lock_run(run):
        chosen, tried = choose(begin, score)
        changes = [f"decoding.{name}={value}" for name, value in chosen.items()]
        write_settings(folder, load_saved_config(folder.config, changes))
        result = {"goal": GOAL, "chosen": chosen, "sentences": len(sources), "tried": tried}
        with written_whole(folder.tuning) as file:
            json.dump(sealed(result, run_id(folder) or ""), file, indent=1)
    _LOG.info("the search is tuned: %s", ", ".join(changes))
    return result


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides warnings: of long lines, the same for all settings, and of TensorFlow, which traces each search anew."""
    loggers = [logging.getLogger(name) for name in ("nmt.inference", "tensorflow")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def choose(
    begin: dict[str, float], score: Callable[[dict[str, float]], float]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Chooses one setting after the other.

    Args:
        begin: the settings to begin with.
        score: computes what settings reach.

    Returns:
        The chosen settings; and those tried, each with its `score`.

    Example:

    >>> begin = {"length_penalty": 1.0, "beam_size": 5, "coverage_penalty": 0.0}
    >>> choose(begin, lambda settings: -abs(settings["length_penalty"] - 0.6))[0]
    {'length_penalty': 0.6, 'beam_size': 5, 'coverage_penalty': 0.0}
    """
    best, best_score, tried = begin, score(begin), []
    tried.append({**begin, "score": best_score})
    grid: dict[str, Sequence[float]] = {
        "length_penalty": LENGTH_PENALTIES, "beam_size": BEAMS, "coverage_penalty": COVERAGE_PENALTIES,
    }  # fmt: skip
    for name, values in grid.items():
        before = best
        results = [(score(before | {name: value}), value) for value in values if value != before[name]]
        tried += [{**before, name: value, "score": result} for result, value in results]
        for result, value in results:
            _LOG.info("decoding.%s %g: %.2f (%g: %.2f)", name, value, result, before[name], best_score)
        result, value = max(results, default=(best_score, before[name]))
        if result >= best_score + _GAIN:
            best, best_score = before | {name: value}, result
    return best, tried
