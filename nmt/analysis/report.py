"""What `nmt gradients` found: as a file, and as a table for people."""

import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmt.analysis.experiment import MEASURED, Outcome, Point, Settings
from nmt.analysis.gradients import Curve
from nmt.analysis.tasks import TASKS
from nmt.utils.files import written_whole

_DISTANCES = (1, 5, 10, 20, 50)  # of a run's table


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a file, each list of numbers in one line.

    Raises:
        UserError: if it cannot be written.
    """
    text = json.dumps(value | {"versions": _versions()}, indent=2, ensure_ascii=False)
    with written_whole(path) as file:
        file.write(re.sub(r"\[[^][{}\"]*\]", lambda found: " ".join(found[0].split()), text) + "\n")


def experiment_as_json(settings: Settings, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """What came of training cells, for a file."""
    return {
        "settings": settings._asdict(),
        "chance": TASKS[settings.task].chance._asdict(),
        "distance": settings.distance,
        "sequences_measured": MEASURED,
        "cells": {
            cell: {
                "longest_delay_learned": outcome.learned.longest,
                "steps": outcome.learned.steps,
                "seconds": round(outcome.learned.seconds, 1),
                "stages": [[stage.delay, stage.step, round(stage.seconds, 1)] for stage in outcome.learned.stages],
                "after_training": outcome.scores._asdict(),
                "points": [
                    _point_as_json(point, settings.distance, whole=index in (0, len(outcome.points) - 1))
                    for index, point in enumerate(outcome.points)
                ],
            }
            for cell, outcome in outcomes.items()
        },
    }


def run_as_json(path: Path, measured: dict[str, dict[str, Curve]]) -> dict[str, Any]:
    """What was found in a user's run, for a file."""
    layers = {
        name: {state: _curve_as_json(curve) for state, curve in states.items()} for name, states in measured.items()
    }
    return {"run": str(path), "layers": layers}


def print_experiment(settings: Settings, outcomes: dict[str, Outcome]) -> None:
    """Prints the norm over the distance before and after training, and how well the task was learned."""
    print(f"norm of the gradient {settings.distance} steps before the last one, where it is 1; {settings.task} task")
    columns = ("before training", "after training", "loss", "accuracy", "longest learned", "steps")
    print(f"{'cell':<8}" + "".join(f"{column:>16}" for column in columns))
    for cell, outcome in outcomes.items():
        norms = (f"{outcome.points[place].states['all'].median[settings.distance]:.1e}" for place in (0, -1))
        scores = f"{outcome.scores.loss:.3f}", f"{outcome.scores.accuracy:.1%}"
        values = (*norms, *scores, outcome.learned.longest, f"{outcome.learned.steps:,}")
        print(f"{cell:<8}" + "".join(f"{value:>16}" for value in values))
    chance = TASKS[settings.task].chance
    print(f"{'chance':<8}{'':>32}{chance.loss:>16.3f}{chance.accuracy:>16.1%}")


def print_run(measured: dict[str, dict[str, Curve]]) -> None:
    """Prints the norms of a run's layers at some distances."""
    print(f"{'steps before the last':<22}" + "".join(f"{distance:>10}" for distance in _DISTANCES))
    for name, states in measured.items():
        median = states["all"].median
        shown = (f"{median[distance]:.2g}" if distance < len(median) else "-" for distance in _DISTANCES)
        print(f"{name:<22}" + "".join(f"{value:>10}" for value in shown))


def _curve_as_json(curve: Curve) -> dict[str, list[float]]:
    return {name: [_short(value) for value in values] for name, values in curve._asdict().items()}


def _point_as_json(point: Point, distance: int, whole: bool) -> dict[str, Any]:
    """A point of the training; unless `whole`, without quartiles, bound and single states."""
    together = point.states["all"]
    result: dict[str, Any] = {
        "step": point.step,
        "longest_delay_learned": point.learned,
        "norm_over_distance": _short(together.median[distance]),
    }
    if point.singular_value is not None:
        result["greatest_singular_value"] = round(point.singular_value, 6)
    if not whole:
        return result | {"norms": {"all": {"median": _curve_as_json(together)["median"]}}}
    result["norms"] = {name: _curve_as_json(curve) for name, curve in point.states.items()}
    if point.bound is not None:
        result["bound"] = _curve_as_json(point.bound)
    for curve in (*result["norms"].values(), result.get("bound", {})):
        curve.pop("sequences", None)  # all are of the same length
    return result


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gru-nmt", "tensorflow", "keras", "numpy")}
    return packages | {"python": platform.python_version()}
