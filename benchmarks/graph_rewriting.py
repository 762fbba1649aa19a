"""Whether TensorFlow's rewriting of graphs is worth its time: with and without it, taking turns.

    python benchmarks/graph_rewriting.py RUN OUTPUT [--rounds 3] [--steps 40]

Each round asks two processes with each choice. One translates three sentences of the run's test split, the first that
the process translates, and then all of them three times; the best time counts. The other runs `nmt bench` with the
run's configuration, on data that were prepared beforehand; what XLA compiles is in its cache from a process before, one
for each choice, as it is when a training goes on.
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
from typing import Any

from machine import describe_machine

from nmt.utils.files import written_whole

CHOICES = ("rewritten", "as traced")
WITH_REWRITING = "import nmt.cli.options\nnmt.cli.options.rewrite_no_graphs = lambda: None\n"
TRANSLATE = """
import hashlib, json, sys, time
from nmt.cli.options import load_tensorflow
load_tensorflow()
from nmt.constants import SIDES
from nmt.data.token_store import read_sentences
from nmt.runs.folder import load_run_config
from nmt.runs.translation import load_translator
texts = list(read_sentences(load_run_config(sys.argv[1])[0].data, "test", SIDES[0]))
translator = load_translator(sys.argv[1])
start = time.process_time()
translator.trace()
translator.translate(texts[:3])
first, times = time.process_time() - start, []
for _ in range(3):
    start = time.perf_counter()
    translations = translator.translate(texts)
    times.append(time.perf_counter() - start)
digest = hashlib.sha256("\\n".join(translations).encode()).hexdigest()
print(json.dumps({"first call, CPU seconds": first, "sentences per second": len(texts) / min(times), "digest": digest}))
"""
TRAIN = "import sys\nfrom nmt.cli import main\nmain(sys.argv[1:])\n"
TRAINING = {"first_steps_seconds": "first steps, seconds", "target_tokens_per_second": "target tokens per second"}


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    rounds: list[dict[str, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as temporary:
        bench = ["bench", str(arguments.run / "config.yaml"), "--run", f"{temporary}/run", "--json", "--steps"]
        for choice in CHOICES:
            ask(choice, TRAIN, [*bench, "1"], temporary)
        for number in range(arguments.rounds):
            found = {}
            for choice in CHOICES if number % 2 else CHOICES[::-1]:
                trained = ask(choice, TRAIN, [*bench, str(arguments.steps)], temporary)
                found[choice] = ask(choice, TRANSLATE, [str(arguments.run)], temporary)
                found[choice] |= {name: trained[key] for key, name in TRAINING.items()}
            rounds.append(found)
            print(json.dumps(found), flush=True)
    names = [name for name in rounds[0][CHOICES[0]] if name != "digest"]
    result = {
        "command": shlex.join(["python", "benchmarks/graph_rewriting.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in ("tensorflow", "keras")},
        "machine": describe_machine(),
        "same translations": len({one[choice]["digest"] for one in rounds for choice in CHOICES}) == 1,
        "medians": {
            choice: {name: statistics.median(one[choice][name] for one in rounds) for name in names}
            for choice in CHOICES
        },
        "ratios of": "as traced / rewritten",
        "ratios": {name: sorted(one["as traced"][name] / one["rewritten"][name] for one in rounds) for name in names},
        "rounds": rounds,
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)


def ask(choice: str, program: str, arguments: list[str], folder: str) -> dict[str, Any]:
    """Runs a program in a process of its own; what it prints last is JSON."""
    code = (WITH_REWRITING if choice == "rewritten" else "") + program
    environment = os.environ | {"XDG_CACHE_HOME": f"{folder}/{choice}"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return json.loads(done.stdout[done.stdout.index("{") :])


if __name__ == "__main__":
    main()
