"""Measures how long the first training step takes, and the translation of one sentence from the shell.

    python benchmarks/starting.py RUN OUTPUT [--rounds 5] [--config configs/base.yaml]

For training: the seconds from the moment when the data has been read and the model built to the end of the first step.
Three processes are measured: a new run with an empty XLA cache, a new run with the cache that the first one filled, and
the resumption of that run.

For translation: the seconds that a whole process takes for a sentence of 13 words, with `nmt translate RUN` and with
`nmt translate` on the LiteRT export of RUN. For comparison, a process that only imports TensorFlow and TensorFlow Text
is timed too.

Each round makes all of these measurements.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from machine import describe_machine

from nmt.utils.files import written_whole

PACKAGES = ("tensorflow", "tensorflow-text", "keras", "numpy")
SENTENCE = "Turn on the light in the kitchen when the front door is opened.\n"
SETTINGS = ("training.schedule=constant", "training.warmup_steps=0", "training.validate_every=1000000")
# Prints the seconds from the line that tells the sizes to the end of the first step.
TRAIN = """
import logging, sys, time
from nmt.cli.options import load_tensorflow
load_tensorflow()
import keras
import nmt
clock = {}
class Ready(logging.Handler):
    def emit(self, record):
        if "batch shapes" in record.getMessage():
            clock["ready"] = time.perf_counter()
class FirstStep(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        clock.setdefault("step", time.perf_counter())
logging.getLogger("nmt").setLevel("INFO")
logging.getLogger("nmt").addHandler(Ready())
config, run, *settings = sys.argv[1:]
nmt.train(nmt.load_config(config, settings), run, [FirstStep()])
print(clock["step"] - clock["ready"])
"""


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--config", type=Path, default=Path(__file__).parent.parent / "configs" / "base.yaml")
    arguments = parser.parse_args()
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        nmt("export", str(arguments.run), "--to", str(work / "lite"), "--format", "litert")
        nmt("prepare", str(arguments.config), "--run", str(work / "prepared"), *_options(1))
        for _ in range(arguments.rounds):
            rounds.append(
                begin_training(arguments.config, work)
                | {
                    "importing TensorFlow and TensorFlow Text": seconds("-c", "import tensorflow, tensorflow_text"),
                    "one sentence, run": seconds("-m", "nmt", "translate", str(arguments.run)),
                    "one sentence, LiteRT": seconds("-m", "nmt", "translate", str(work / "lite")),
                }
            )
            print(json.dumps(rounds[-1]), flush=True)
    result = {
        "command": shlex.join(["python", "benchmarks/starting.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": describe_machine(),
        "seconds": {
            name: {
                "median": statistics.median(one[name] for one in rounds),
                "rounds": [round(one[name], 2) for one in rounds],
            }
            for name in rounds[0]
        },
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)


def begin_training(config: Path, work: Path) -> dict[str, float]:
    """Makes the first steps of a training three times: with an empty cache, with a full one, and resumed."""
    shutil.rmtree(work / "cache", ignore_errors=True)
    found = {}
    for name in ("first step", "first step, compiled before"):
        shutil.rmtree(work / "run", ignore_errors=True)
        shutil.copytree(work / "prepared", work / "run")
        found[name] = first_step(config, work, 1)
    return found | {"first step, resumed": first_step(config, work, 2)}


def first_step(config: Path, work: Path, steps: int) -> float:
    """Trains up to that step in a process of its own, and returns the seconds to the end of its first."""
    command = [sys.executable, "-c", TRAIN, str(config), str(work / "run")]
    environment = os.environ | {"XDG_CACHE_HOME": str(work / "cache")}
    done = subprocess.run([*command, *_settings(steps)], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def seconds(*arguments: str) -> float:
    """The seconds that a Python process takes that reads one sentence."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], input=SENTENCE, capture_output=True, text=True, check=True)
    return time.perf_counter() - start


def nmt(*arguments: str) -> None:
    """Runs a command of the project."""
    subprocess.run([sys.executable, "-m", "nmt", *arguments], check=True, stdout=subprocess.DEVNULL)


def _settings(steps: int) -> list[str]:
    return [*SETTINGS, f"training.max_steps={steps}"]


def _options(steps: int) -> list[str]:
    return [part for setting in _settings(steps) for part in ("--set", setting)]


if __name__ == "__main__":
    main()
