"""Compares the speed of training of two states of the code, taking turns.

    python benchmarks/compare_training.py BEFORE OUTPUT CONFIG...

BEFORE is a checkout of the state before, run by the same Python. Each CONFIG is a YAML file whose corpus is where it
says. A round measures both states one after the other, by `nmt bench`, and the next round the other way round. Only the
ratios within a round count.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from machine import describe_machine

from nmt.utils.files import written_whole

AFTER = Path(__file__).resolve().parents[1]
_COMMAND = "from nmt.cli import main; main()"


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--set", action="append", default=[], help="Changes a setting of all configurations.")
    arguments = parser.parse_args()
    states = {"before": arguments.before.resolve(), "after": AFTER}
    result = {
        "command": shlex.join(["python", "benchmarks/compare_training.py", "BEFORE", "OUTPUT", *sys.argv[3:]]),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras")},
        "target_tokens_per_second": {},
        "median_ratio_and_range": {},
    }
    with tempfile.TemporaryDirectory() as temporary:
        for config in arguments.configs:
            speeds: dict[str, list[float]] = {name: [] for name in states}
            for number in range(arguments.rounds):
                for name in list(states)[:: 1 if number % 2 else -1]:
                    run = Path(temporary) / f"{config.stem}-{name}"
                    speeds[name].append(_measure(states[name], config.resolve(), run, arguments))
            ratios = sorted(after / before for before, after in zip(speeds["before"], speeds["after"], strict=True))
            result["target_tokens_per_second"][config.stem] = speeds
            result["median_ratio_and_range"][config.stem] = [
                round(one, 3) for one in (statistics.median(ratios), ratios[0], ratios[-1])
            ]
            print(config.stem, result["median_ratio_and_range"][config.stem], speeds, file=sys.stderr)
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)


def _measure(state: Path, config: Path, run: Path, arguments: argparse.Namespace) -> float:
    """Target tokens a second of one state of the code."""
    settings = [word for setting in arguments.set for word in ("--set", setting)]
    command = [sys.executable, "-c", _COMMAND, "bench", str(config), "--run", str(run), "--json"]
    finished = subprocess.run(
        [*command, "--steps", str(arguments.steps), *settings],
        env=os.environ | {"PYTHONPATH": str(state)},
        cwd=run.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(finished.stdout)["target_tokens_per_second"])


if __name__ == "__main__":
    main()
