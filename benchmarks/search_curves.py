"""Measures how memory and time of a search grow with the batch, the beam, the length and the vocabulary.

    python benchmarks/search_curves.py benchmarks/results/search-curves.json
    python benchmarks/search_curves.py plot benchmarks/results/search-curves.json docs/search-curves.png

The model is that of configs/base.yaml with random weights, which hardly ever ends a translation before the limit, here
the length of the source, so that all do the same work. One size varies at a time; the others are those of MIDDLE. Every
point is a process of its own: peak memory is what its resident memory grew by over what it had once the model was
built, time is the median of several searches. The points are measured in a random order, in several rounds.

`profile` has the share of the time that each kind of operation takes, by TensorFlow's own profiler: of the time of all
threads in operations, not of the clock.
"""

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from machine import describe_machine

from nmt.config import DecodingSettings, load_config
from nmt.utils.files import written_whole

BASE = load_config(Path(__file__).parent.parent / "configs" / "base.yaml")
REPEATS = 5


class Sizes(NamedTuple):
    """The sizes of a search."""

    sentences: int = 128
    beam: int = 5
    length: int = 16
    vocabulary: int = BASE.tokenizer.vocabulary_size


MIDDLE = Sizes()
CURVES: dict[str, tuple[int, ...]] = {
    "sentences": (1, 8, 32, 128, 320),
    "beam": (1, 2, 5, 10),
    "length": (8, 16, 32, 64, 100),
    "vocabulary": (2000, 4000, 8000, 16000, 32000),
}
KINDS = {
    "matrix products": ("MatMul", "BatchMatMulV2"),
    "softmax": ("Softmax",),
    "highest scores": ("TopKV2", "ArgMax", "Max"),
    "choosing and moving": (
        "GatherV2",
        "TensorScatterUpdate",
        "ScatterNd",
        "SelectV2",
        "Where",
        "ConcatV2",
        "Transpose",
    ),
    "gates and their normalisation": ("Mean", "Mul", "AddV2", "Sub", "Rsqrt", "Sigmoid", "Tanh", "Split", "SplitV"),
}
AROUND = ("Process", "Run", "While", "If", "StatefulPartitionedCall", "PartitionedCall")  # what has others in it


def main() -> None:
    """Runs the benchmark, measures one point, or draws the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", help="the file to write, or `plot`, or `point`")
    parser.add_argument("more", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.what == "point":
        print(json.dumps(measure(Sizes(*map(int, arguments.more)))))
    elif arguments.what == "plot":
        source, target = map(Path, arguments.more)
        draw(json.loads(source.read_text(encoding="utf-8"))["curves"]).savefig(target, dpi=110)
    else:
        run(Path(arguments.what), arguments.rounds)


def run(output: Path, rounds: int) -> None:
    """Measures all points and writes the result."""
    points = list(dict.fromkeys(MIDDLE._replace(**{name: value}) for name in CURVES for value in CURVES[name]))
    measured: dict[Sizes, list[dict[str, Any]]] = {sizes: [] for sizes in points}
    for number in range(rounds):
        for sizes in random.Random(number).sample(points, len(points)):
            command = [sys.executable, __file__, "point", *map(str, sizes)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            measured[sizes].append(json.loads(done.stdout))
            print(sizes, measured[sizes][-1], flush=True)
    curves = {
        name: [{name: value} | summary(measured[MIDDLE._replace(**{name: value})]) for value in values]
        for name, values in CURVES.items()
    }
    result = {
        "command": f"python benchmarks/search_curves.py {output} --rounds {rounds}",
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "model": BASE.model.model_dump(mode="json"),
        "middle": MIDDLE._asdict(),
        "curves": curves,
        "profile": measured[MIDDLE][0]["profile"],
    }
    with written_whole(output) as file:
        json.dump(result, file, indent=1)


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians with their ranges."""
    found: dict[str, Any] = {}
    for name in ("memory_mib", "seconds"):
        values = [one[name] for one in rounds]
        found[name] = statistics.median(values)
        found[f"{name}_range"] = [min(values), max(values)]
    return found


def measure(sizes: Sizes) -> dict[str, Any]:
    """Searches translations of random sentences in this process."""
    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    import numpy as np
    import tensorflow as tf

    from nmt.constants import END
    from nmt.decoding.beam_search import beam_search
    from nmt.runs.models import build_sized_model

    model = build_sized_model(BASE, sizes.vocabulary, sizes.vocabulary, "float32")
    search = DecodingSettings(beam_size=sizes.beam).search_arguments()
    search |= {"max_length_factor": 0.0, "max_length_offset": sizes.length}

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def translate(source: tf.Tensor) -> tf.Tensor:
        return beam_search(model, source, **search).ids

    ids = np.random.default_rng(1).integers(300, sizes.vocabulary, (sizes.sentences, sizes.length), np.int32)
    ids[:, -1] = END
    source = tf.constant(ids)
    translate(source[:1, -2:])  # traces and loads what each search needs
    before = resident_mib()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        translate(source).numpy()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    point = {"memory_mib": round(max(peak - before, 0.0)), "seconds": round(statistics.median(times), 4)}
    return point | ({"profile": profile(lambda: translate(source).numpy())} if sizes == MIDDLE else {})


def resident_mib() -> float:
    """The memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 2**20


def profile(work: Any) -> dict[str, float]:
    """The share of the operations' time that each kind takes."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            work()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    spent: Counter[str] = Counter()
    for plane in space.planes:
        names = {number: metadata.name for number, metadata in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                _, colon, operation = names[event.metadata_id].rpartition(":")
                if colon and operation.isidentifier() and operation not in AROUND:
                    spent[operation] += event.duration_ps
    of_kinds = {kind: sum(spent[operation] for operation in operations) for kind, operations in KINDS.items()}
    of_kinds["others"] = spent.total() - sum(of_kinds.values())
    return {kind: round(one / spent.total(), 3) for kind, one in of_kinds.items()}


def draw(curves: dict[str, list[dict[str, Any]]]) -> Any:
    """Memory and time over each size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    panels = figure.subplots(2, len(curves), sharey="row")
    for column, (name, points) in enumerate(curves.items()):
        sizes = [point[name] for point in points]
        for row, (value, label, scale) in enumerate(
            (("memory_mib", "MiB", 1.0), ("seconds", "ms for each sentence", 1000.0))
        ):
            axes = panels[row][column]
            each = [point.get("sentences", MIDDLE.sentences) if row else 1 for point in points]
            middle = [scale * point[value] / number for point, number in zip(points, each, strict=True)]
            least, most = (
                [scale * point[f"{value}_range"][end] / number for point, number in zip(points, each, strict=True)]
                for end in (0, 1)
            )
            axes.plot(sizes, middle, marker="o", color="#0072B2")
            axes.fill_between(sizes, least, most, alpha=0.2, color="#0072B2")
            ticks = (2, 5, 10, 20, 40) if row else (10, 30, 100, 300)
            axes.set(xscale="log", yscale="log", xticks=sizes, yticks=ticks, yticklabels=map(str, ticks))
            axes.set_xticklabels([f"{size:,}" for size in sizes], fontsize=8)
            axes.minorticks_off()
            axes.grid(alpha=0.3)
            if row:
                axes.set_xlabel({"length": "tokens of a sentence"}.get(name, name))
            if not column:
                axes.set_ylabel(label)
    return figure


if __name__ == "__main__":
    main()
