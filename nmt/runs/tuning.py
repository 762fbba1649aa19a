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

GRID: dict[str, Sequence[float]] = {
    "length_penalty": (0.6, 0.8, 1.0, 1.2, 1.5),
    "beam_size": (5, 8),
    "coverage_penalty": (0.0, 0.2),
}
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
    """Chooses one setting after the other, each in steps away from where it begins until a step is worse.

    Args:
        begin: the settings to begin with.
        score: computes what settings reach.

    Returns:
        The chosen settings; and those tried, each with its `score`.

    Example:

    >>> begin = {"length_penalty": 1.0, "beam_size": 5, "coverage_penalty": 0.0}
    >>> chosen, tried = choose(begin, lambda settings: -abs(settings["length_penalty"] - 0.6))
    >>> chosen
    {'length_penalty': 0.6, 'beam_size': 5, 'coverage_penalty': 0.0}
    >>> [settings["length_penalty"] for settings in tried]  # 1.5 is not tried; then the other settings
    [1.0, 1.2, 0.8, 0.6, 0.6, 0.6]
    """
    best, best_score = begin, score(begin)
    tried = [{**begin, "score": best_score}]
    for name, values in GRID.items():
        scores = {begin[name]: best_score}
        for value in _outward(values, begin[name], scores):
            settings = best | {name: value}
            scores[value] = score(settings)
            tried.append({**settings, "score": scores[value]})
            _LOG.info("decoding.%s %g: %.2f (%g: %.2f)", name, value, scores[value], begin[name], best_score)
        value = max(scores, key=scores.__getitem__)
        if scores[value] >= best_score + _GAIN:
            best, best_score = best | {name: value}, scores[value]
    return best, tried


def _outward(values: Sequence[float], begin: float, scores: dict[float, float]) -> Iterator[float]:
    """The values to each side of the first one, on each side for as long as `scores`, filled meanwhile, do not fall.

    Each value means that the whole split is translated, and a search that is better farther out than nearby is rare.
    """
    middle = values.index(begin)
    for side in (values[middle + 1 :], values[:middle][::-1]):
        before = begin
        for value in side:
            yield value
            if scores[value] < scores[before]:
                break
            before = value
