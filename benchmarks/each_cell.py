"""Takes every cell from text to export: trained, scored, exported, and the export held against the checkpoint.

    python benchmarks/each_cell.py benchmarks/results/each-cell.json

configs/base.yaml with `model.cell` and as many steps as asked for: what is shown is that all parts work together,
not how well so short a training translates. agreement.py compares the export on the test sentences and on 200 strings
from all of Unicode.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.utils.files import written_whole

CELLS = ("gru", "lstm", "rnn", "min_gru", "ssru")
CHECKOUT = Path(__file__).parent.parent


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    cells: dict[str, Any] = {}
    for cell in CELLS:
        with tempfile.TemporaryDirectory() as folder:
            cells[cell] = from_text_to_export(cell, arguments.steps, Path(folder))
        print(cell, json.dumps(cells[cell]), file=sys.stderr)
        result = {
            "command": shlex.join(
                ["python", "benchmarks/each_cell.py", str(arguments.output), "--steps", str(arguments.steps)]
            ),
            "machine": describe_machine(),
            "versions": {name: version(name) for name in ("tensorflow", "tensorflow-text", "keras")},
            "cells": cells,
        }
        with written_whole(arguments.output) as file:
            json.dump(result, file, indent=1)


def from_text_to_export(cell: str, steps: int, folder: Path) -> dict[str, Any]:
    """What became of a cell."""
    run, exported, agreed = folder / "run", folder / "exported", folder / "agreement.json"
    changes = [f"model.cell={cell}", f"training.max_steps={steps}", f"training.validate_every={steps}"]
    changes += [f"training.warmup_steps={steps // 3}"]
    nmt("train", CHECKOUT / "configs" / "base.yaml", "--run", run, *(x for c in changes for x in ("--set", c)))
    scores = json.loads(nmt("evaluate", run, "--json", "--samples", 0))
    nmt("export", run, "--to", exported)
    sentences = run / "data" / "test.source.txt"
    python(CHECKOUT / "benchmarks" / "agreement.py", run, exported, sentences, agreed)
    agreement = json.loads(agreed.read_text(encoding="utf-8"))
    return {
        "test": {name: round(score["value"], 2) for name, score in scores.items() if "value" in score},
        **{name: agreement[name] for name in ("sentences", "strings")},
    }


def nmt(*arguments: object) -> str:
    """What the command prints."""
    return python("-m", "nmt", *arguments)


def python(*arguments: object) -> str:
    """What a Python prints."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
