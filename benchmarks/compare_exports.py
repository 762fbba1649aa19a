"""Compares the speed of exports, as one of before a change and one of after it, taking turns.

    python benchmarks/compare_exports.py SENTENCES OUTPUT BEFORE AFTER

BEFORE and AFTER are SavedModels, versions that `nmt export` wrote; more may follow. SENTENCES is a text file. Each
request holds all of its lines. Only the ratios within a round count.
"""

import argparse
import json
import shlex
import statistics
import time
from importlib.metadata import version
from pathlib import Path

from machine import describe_machine

from nmt.cli.options import load_tensorflow
from nmt.utils.files import written_whole


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("exports", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    load_tensorflow()
    import tensorflow as tf

    from nmt.serving.saved_model import DIGESTS
    from nmt.utils.digests import check_files

    for export in arguments.exports:
        check_files(export, DIGESTS)
    lines = arguments.sentences.read_text(encoding="utf-8").splitlines()
    loaded = [tf.saved_model.load(str(export)) for export in arguments.exports]
    speeds: list[list[float]] = [[] for _ in loaded]
    same = []
    for model in loaded:  # warms up
        answer = model.signatures["serving_default"](text=tf.constant(lines))["translation"].numpy()
        same.append(answer.tolist())
    for number in range(arguments.rounds):
        turns = range(len(loaded)) if number % 2 else reversed(range(len(loaded)))
        for index in turns:
            start = time.perf_counter()
            loaded[index].signatures["serving_default"](text=tf.constant(lines))["translation"].numpy()
            speeds[index].append(round(len(lines) / (time.perf_counter() - start), 1))
    result = {
        "command": shlex.join(
            [
                *("python", "benchmarks/compare_exports.py", "SENTENCES", "OUTPUT", "BEFORE", "AFTER"),
                *("--rounds", str(arguments.rounds)),
            ]
        ),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "tensorflow-text")},
        "sentences": len(lines),
        "sentences_per_second": speeds,
        "medians": [statistics.median(values) for values in speeds],
        "times_as_fast_as_the_first": [
            round(statistics.median(one / first for one, first in zip(values, speeds[0], strict=True)), 3)
            for values in speeds
        ],
        "translated_like_the_first": [
            sum(one == first for one, first in zip(texts, same[0], strict=True)) for texts in same
        ],
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps({name: result[name] for name in list(result)[-3:]}, indent=1))


if __name__ == "__main__":
    main()
