"""Measures what the article claims of recurrent cells: fewer parameters, faster training, translations as good.

    python benchmarks/cells.py translation FOLDER benchmarks/results/cells-translation.json
    python benchmarks/cells.py language_model FOLDER benchmarks/results/cells-language-model.json
    python benchmarks/cells.py memory FOLDER benchmarks/results/cells-memory.json
    python benchmarks/cells.py copy benchmarks/results/cells-copy.json
    python benchmarks/cells.py table benchmarks/results

FOLDER holds train, val and test_2016_flickr as .en.gz and .de.gz (Elliott et al. 2016, task 1, raw); only train and val
are used. Each part trains every cell from three seeds, seed by seed, the cells taking turns in an order that turns too,
with the same settings but `model.cell`; `table` prints the results as Markdown.

    translation      English to German for a fixed time; BLEU on val, greedy, after that time and after a fixed number
                     of steps that all of them reach
    language_model   on the German side, a fixed number of steps; perplexity of a token of val
    memory           what `nmt bench` measures in 40 translation steps, each cell in a process of its own, one seed
    copy             how long a delay the cell learns to copy a symbol over in a fixed number of steps, trained as by
                     `nmt gradients`

Times are of training alone: no compilation, validation or preparation; BLEU at a time is interpolated between the
validations around it. The speed of a run is the median over its periods between validations. A figure is only good
where nothing else ran on the cores: pin each part to cores of its own.
"""

import argparse
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from nmt.config import Config, load_config
from nmt.utils.files import written_whole

CELLS = ("rnn", "lstm", "gru", "min_gru", "ssru")
SEEDS = (1, 2, 3)
PACKAGES = ("tensorflow", "tensorflow-text", "keras", "numpy")
CONFIGS = Path(__file__).parent.parent / "configs"

# The same for all cells; a small shape, so that every cell gets far enough in minutes.
SHAPE = [
    "tokenizer.vocabulary_size=4000", "model.embedding=128", "model.units=128", "batches.tokens=2000",
    "batches.shapes=8", "training.learning_rate=0.002", "training.warmup_steps=200",
    "training.schedule=inverse_square_root", "training.xla=parts", "training.patience=100", "training.keep=1",
    "training.save_every=100000",
]  # fmt: skip
TRANSLATION = ["training.validate_every=200", "training.max_steps=100000", "decoding.beam_size=1"]
STEPS = 600  # at which all cells are compared, too
LANGUAGE_MODEL = ["training.validate_every=200", "training.max_steps=600"]
COPY = {"remembered": 1, "longest": 1000, "steps": 600, "units": 64, "learning_rate": 0.003}


def main() -> None:
    """Runs a part of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["translation", "language_model", "memory", "copy", "table"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0, help="of training for a translation model")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    arguments = parser.parse_args()
    *folder, output = arguments.paths
    if arguments.part == "table":
        print(table(output))
        return
    if bool(folder) == (arguments.part == "copy"):
        parser.error(f"{arguments.part}: expected {'OUTPUT' if arguments.part == 'copy' else 'FOLDER OUTPUT'}")

    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    runs: list[dict[str, Any]] = []
    options = [f"--minutes={arguments.minutes:g}"] if arguments.part == "translation" else []
    with tempfile.TemporaryDirectory() as work:
        measure = _measure(arguments.part, folder, Path(work), arguments.minutes)
        for seed, cell in turns(1 if arguments.part == "memory" else arguments.seeds):
            runs.append({"cell": cell, "seed": seed} | measure(cell, seed))
            print(json.dumps({name: value for name, value in runs[-1].items() if name != "curve"}), file=sys.stderr)
            result = {
                "command": shlex.join(
                    ["python", "benchmarks/cells.py", arguments.part, *["FOLDER"] * len(folder), str(output), *options]
                ),
                "machine": describe_machine() | {"cores_used": len(os.sched_getaffinity(0))},
                "versions": {name: version(name) for name in PACKAGES},
                "settings": COPY if arguments.part == "copy" else _settings(arguments.part, arguments.minutes),
                "runs": runs,
            }
            with written_whole(output) as file:
                json.dump(result, file, indent=1)


def turns(seeds: int) -> Iterator[tuple[int, str]]:
    """Seed by seed all cells; each time another one comes first."""
    for number, seed in enumerate(SEEDS[:seeds]):
        yield from ((seed, cell) for cell in (*CELLS[number:], *CELLS[:number]))


def _settings(part: str, minutes: float) -> list[str]:
    if part == "translation":
        return [*SHAPE, *TRANSLATION, f"training.max_minutes={minutes}"]
    if part == "memory":
        return SHAPE
    return [*SHAPE, *LANGUAGE_MODEL]


def _measure(part: str, folder: list[Path], work: Path, minutes: float) -> Callable[[str, int], dict[str, Any]]:
    """A function that trains a cell from a seed and returns what came out."""
    if part == "copy":
        return measure_copy
    (corpus,) = (path.resolve() for path in folder)
    settings = _settings(part, minutes)
    if part in {"translation", "memory"}:
        config, sides = CONFIGS / "ref-256.yaml", (("source", "en"), ("target", "de"))
        files = [
            f"data.corpus.{split}.{side}=[{corpus / f'{name}.{language}.gz'}]"
            for split, name in (("train", "train"), ("validation", "val"), ("test", "val"))
            for side, language in sides
        ]
    else:
        config = CONFIGS / "language-model.yaml"
        files = [
            f"data.corpus.{split}=[{corpus / f'{name}.de.gz'}]"
            for split, name in (("train", "train"), ("validation", "val"), ("test", "val"))
        ]

    def measure(cell: str, seed: int) -> dict[str, Any]:
        changes = [f"model.cell={cell}", f"seed={seed}"]
        if part == "memory":
            return bench(config, [*files, *settings, *changes])
        return train(load_config(config, [*files, *settings, *changes]), work / f"{cell}-{seed}")

    return measure


def train(config: Config, folder: Path) -> dict[str, Any]:
    """Trains, and returns parameters, speed, and each validation, without the time to choose what XLA does."""
    from nmt.data.vocabulary import load_tokenizers
    from nmt.runs.models import build_model
    from nmt.training.train import train

    run = train(config, folder)
    lines = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
    choosing = sum(line["xla"]["seconds"] for line in lines if "xla" in line)
    curve = [
        {
            "step": line["step"],
            "seconds": round(line["seconds"] - choosing, 1),
            "validation_loss": line["validation_loss"],
            "bleu": line.get("bleu"),
            "target_tokens_per_second": round(line["target_tokens_per_second"]),
        }
        for line in lines
        if "step" in line
    ]
    model = build_model(config, *load_tokenizers(run.data))
    recurrent = sum(layer.count_params() for layer in model.recurrent_layers())
    return {
        "parameters": model.count_params(),
        "parameters_of_recurrent_layers": recurrent,
        "target_tokens_per_second": statistics.median(point["target_tokens_per_second"] for point in curve),
        "curve": curve,
    }


def bench(config: Path, settings: list[str]) -> dict[str, Any]:
    """What `nmt bench` prints."""
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "nmt", "bench", str(config), "--json", "--steps", "40", *options]
    printed: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return printed


def measure_copy(cell: str, seed: int) -> dict[str, Any]:
    """Trains a cell on the copy task, of a single symbol, as not every cell learns the order of several."""
    from nmt.analysis.curriculum import train_curriculum
    from nmt.analysis.network import TaskNetwork
    from nmt.analysis.tasks import CopyTask

    task = CopyTask(remembered=int(COPY["remembered"]))
    longest, steps = int(COPY["longest"]), int(COPY["steps"])
    network = TaskNetwork(cell, int(COPY["units"]), task, seed)
    result = train_curriculum(network, longest, steps, seed, COPY["learning_rate"])
    return {
        "parameters": network.count_params(),
        "longest_delay_learned": result.longest_delay,
        "steps": result.training_steps,
        "seconds": round(result.seconds, 1),
        "stages": [
            {"delay": stage.delay, "step": stage.training_steps, "seconds": round(stage.seconds, 1)}
            for stage in result.stages
        ],
    }


def table(results: Path) -> str:
    """All parts as tables: medians of the seeds, their least and largest in brackets."""

    def runs_of(part: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = json.loads((results / f"cells-{part}.json").read_text(encoding="utf-8"))["runs"]
        return runs

    translation, language, memory, copy = map(runs_of, ("translation", "language-model", "memory", "copy"))
    seconds = min(run["curve"][-1]["seconds"] for run in translation)  # that all of them have
    costs = [["cell", "parameters of the layers", "of the model", "target tokens/s", "peak memory, GiB"]]
    quality = [["cell", f"BLEU after {STEPS} steps", f"BLEU after {seconds:.0f} s", "steps in that time"]]
    quality[0] += ["perplexity of a token", "longest delay copied", "steps to learn it"]
    for cell in CELLS:
        runs, of_language, of_copy = (
            [run for run in part if run["cell"] == cell] for part in (translation, language, copy)
        )
        costs.append(
            [
                cell,
                f"{runs[0]['parameters_of_recurrent_layers']:,}",
                f"{runs[0]['parameters']:,}",
                _spread([run["target_tokens_per_second"] for run in runs], "{:,.0f}"),
                *(f"{run['peak_memory_gib']:.2f}" for run in memory if run["cell"] == cell),
            ]
        )
        quality.append(
            [
                cell,
                _spread([_at(run, "step", STEPS, "bleu") for run in runs]),
                _spread([_at(run, "seconds", seconds, "bleu") for run in runs]),
                _spread([_at(run, "seconds", seconds, "step") for run in runs], "{:,.0f}"),
                _spread([math.exp(run["curve"][-1]["validation_loss"]) for run in of_language]),
                _spread([run["longest_delay_learned"] for run in of_copy], "{:,.0f}"),
                _spread([run["steps"] for run in of_copy], "{:,.0f}"),
            ]
        )
    return "\n\n".join(
        "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))
        for rows in (costs, quality)
    )


def _at(run: dict[str, Any], name: str, place: float, wanted: str) -> float:
    """A figure of a run's course where `name` reaches `place`."""
    places, values = ([point[key] for point in run["curve"]] for key in (name, wanted))
    return float(np.interp(place, places, values))


def _spread(values: list[float], form: str = "{:.1f}") -> str:
    middle, low, high = (form.format(x) for x in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
