"""Results of the gradient analysis as JSON and as tables."""

import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmt.analysis.experiment import MEASURED_SEQUENCES, CellResult, ExperimentSettings, Measurement
from nmt.analysis.gradients import Curve
from nmt.analysis.plot import draw_experiment, draw_run
from nmt.analysis.tasks import TASKS
from nmt.utils.files import written_whole
from nmt.utils.json_text import json_text

_DISTANCES = (1, 5, 10, 20, 50)  # in steps, the columns of a run's table


def report_experiment(folder: str | Path, settings: ExperimentSettings, results: dict[str, CellResult]) -> None:
    """Writes the results of an experiment to `gradients.json` and `gradients.png`, and prints them as a table.

    Args:
        folder: the folder to write to.
        settings: the settings of the experiment.
        results: what `run_experiment` returned.

    Raises:
        UserError: if a file cannot be written.
    """
    write_json(Path(folder) / "gradients.json", experiment_as_json(settings, results))
    draw_experiment(Path(folder) / "gradients.png", results)
    print_experiment(settings, results)


def report_run(folder: str | Path, run: str | Path, layers: dict[str, dict[str, Curve]]) -> None:
    """Writes the gradient norms of a run's layers to `gradients.json` and `gradients.png`, and prints them as a table.

    Args:
        folder: the folder to write to.
        run: the run folder.
        layers: what `measure_run` returned.

    Raises:
        UserError: if a file cannot be written.
    """
    write_json(Path(folder) / "gradients.json", run_as_json(run, layers))
    draw_run(Path(folder) / "gradients.png", layers)
    print_run(layers)


def write_json(path: str | Path, value: dict[str, Any]) -> None:
    """Writes a result with the versions of the packages that made it, each list of numbers on one line.

    Args:
        path: the file to write.
        value: the result.

    Raises:
        UserError: if the file cannot be written.
    """
    text = json_text(value | {"versions": _versions()}, indent=2)
    with written_whole(Path(path)) as file:
        file.write(re.sub(r"\[[^][{}\"]*\]", lambda found: " ".join(found[0].split()), text) + "\n")


def experiment_as_json(settings: ExperimentSettings, results: dict[str, CellResult]) -> dict[str, Any]:
    """Converts the results of an experiment to a dictionary that `json.dump` can write.

    Args:
        settings: the settings of the experiment.
        results: what `run_experiment` returned.
    """
    return {
        "settings": settings._asdict(),
        "chance": TASKS[settings.task].chance._asdict(),
        "distance": settings.distance,
        "sequences_measured": MEASURED_SEQUENCES,
        "cells": {
            cell: {
                "longest_delay_learned": result.curriculum.longest_delay,
                "steps": result.curriculum.training_steps,
                "seconds": round(result.curriculum.seconds, 1),
                "stages": [
                    [stage.delay, stage.training_steps, round(stage.seconds, 1)] for stage in result.curriculum.stages
                ],
                "after_training": result.scores._asdict(),
                "points": [
                    _measurement_as_json(one, settings.distance, whole=index in (0, len(result.measurements) - 1))
                    for index, one in enumerate(result.measurements)
                ],
            }
            for cell, result in results.items()
        },
    }


def run_as_json(run: str | Path, layers: dict[str, dict[str, Curve]]) -> dict[str, Any]:
    """Converts the gradient norms of a run's layers to a dictionary that `json.dump` can write.

    Args:
        run: the run folder.
        layers: what `measure_run` returned.
    """
    plain = {name: {state: _curve_as_json(curve) for state, curve in curves.items()} for name, curves in layers.items()}
    return {"run": str(run), "layers": plain}


def print_experiment(settings: ExperimentSettings, results: dict[str, CellResult]) -> None:
    """Prints a table of each cell's gradient norm before and after training, and of its scores.

    Args:
        settings: the settings of the experiment.
        results: what `run_experiment` returned.
    """
    print(f"norm of the gradient {settings.distance} steps before the last, relative to the last; {settings.task} task")
    columns = ("before training", "after training", "loss", "accuracy", "longest learned", "steps")
    print(f"{'cell':<8}" + "".join(f"{column:>16}" for column in columns))
    for cell, result in results.items():
        medians = (result.measurements[index].curves["all"].median for index in (0, -1))
        norms = (f"{median[settings.distance]:.1e}" for median in medians)
        scores = f"{result.scores.loss:.3f}", f"{result.scores.accuracy:.1%}"
        values = (*norms, *scores, result.curriculum.longest_delay, f"{result.curriculum.training_steps:,}")
        print(f"{cell:<8}" + "".join(f"{value:>16}" for value in values))
    chance = TASKS[settings.task].chance
    print(f"{'chance':<8}{'':>32}{chance.loss:>16.3f}{chance.accuracy:>16.1%}")


def print_run(layers: dict[str, dict[str, Curve]]) -> None:
    """Prints a table of the gradient norms of a run's layers at some distances.

    Args:
        layers: what `measure_run` returned.
    """
    print(f"{'steps before the last':<22}" + "".join(f"{distance:>10}" for distance in _DISTANCES))
    for name, curves in layers.items():
        median = curves["all"].median
        shown = (f"{median[distance]:.2g}" if distance < len(median) else "-" for distance in _DISTANCES)
        print(f"{name:<22}" + "".join(f"{value:>10}" for value in shown))


def _curve_as_json(curve: Curve) -> dict[str, list[float]]:
    return {name: [_round(value) for value in values] for name, values in curve._asdict().items()}


def _measurement_as_json(measurement: Measurement, distance: int, whole: bool) -> dict[str, Any]:
    """Converts a measurement; unless `whole`, without quartiles, bound and single states."""
    joint = measurement.curves["all"]
    result: dict[str, Any] = {
        "step": measurement.training_steps,
        "longest_delay_learned": measurement.longest_delay,
        "norm_over_distance": _round(joint.median[distance]),
    }
    if measurement.spectral_norm is not None:
        result["greatest_singular_value"] = round(measurement.spectral_norm, 6)
    if not whole:
        return result | {"norms": {"all": {"median": _curve_as_json(joint)["median"]}}}
    result["norms"] = {name: _curve_as_json(curve) for name, curve in measurement.curves.items()}
    if measurement.bound is not None:
        result["bound"] = _curve_as_json(measurement.bound)
    for curve in (*result["norms"].values(), result.get("bound", {})):
        curve.pop("sequences", None)  # all sequences have the same length
    return result


def _round(value: float) -> float:
    """Rounds to three significant digits."""
    return float(f"{value:.3g}")


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("gru-nmt", "tensorflow", "keras", "numpy")}
    return packages | {"python": platform.python_version()}
