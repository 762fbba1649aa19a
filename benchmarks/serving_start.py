"""Measures how soon an exported model answers where there is nothing but TensorFlow and TensorFlow Text.

    python benchmarks/serving_start.py EXPORT benchmarks/results/serving-start.json

EXPORT is what `nmt export` wrote; its latest version is taken. A virtual environment is made with the two packages in
the versions of constraints.txt, or --environment names one. In it `serving_probe.py` loads the model anew in each
process, in two ways: in Python by `tf.saved_model.load`, and through TensorFlow's C API, by the loader of TensorFlow
Serving. Each is asked at once, and in another process after the model's warm-up requests were replayed, as the server
replays them before it answers anybody. All take turns; a first round, which brings the files into memory, does not
count. Medians. The answers have to be the same in all processes.
"""

import argparse
import base64
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.utils.digests import check_files
from nmt.utils.files import written_whole
from nmt.utils.silence import silenced

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
PROBE = Path(__file__).with_name("serving_probe.py")
PACKAGES = ("tensorflow", "tensorflow-text")
ABSENT = ("nmt", "sentencepiece", "tensorflow_serving", "tensorflow_datasets")
WAYS = {"python": "`tf.saved_model.load`", "c-api": "C API"}
TEXT = "Two children play with a small red ball in front of a house"  # 13 words

# What is measured, in the table's words; which of the two kinds of processes measures it; and in what unit.
ROWS = (
    ("TensorFlow and TensorFlow Text imported, or their libraries opened", "open", "cold", "s"),
    ("model loaded", "load", "cold", "s"),
    ("first answer, without warm-up", "first_answer", "cold", "ms"),
    ("second answer, without warm-up", "second_answer", "cold", "ms"),
    ("warm-up", "warm_up", "warm", "s"),
    ("first answer, after the warm-up", "first_answer", "warm", "ms"),
    ("later answers", "later_answer", "warm", "ms"),
    ("from the process's start to its first answer, without warm-up", "start_to_first_answer", "cold", "s"),
    ("the same with warm-up", "start_to_first_answer", "warm", "s"),
)

Request = tuple[str, dict[str, list[str]]]  # a signature, and its inputs in Base64


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--environment", type=Path, help="a virtual environment that has the two packages alone")
    parser.add_argument("--repetitions", type=int, default=5, help="processes of each kind")
    parser.add_argument("--text", default=TEXT, help="what is translated")
    arguments = parser.parse_args()
    model = latest_version(arguments.export).resolve()
    check_files(model, "assets.extra/digests.json")
    warm_up = read_warm_up(model)
    with tempfile.TemporaryDirectory() as folder:
        environment = arguments.environment or make_environment(Path(folder) / "environment")
        python = environment.absolute() / "bin" / "python"
        packages = installed(python)
        processes = measure(python, model, warm_up, arguments)
    result = {
        "command": shlex.join(["python", "benchmarks/serving_start.py", "EXPORT", *options(arguments)]),
        "machine": describe_machine(),
        "versions": {name: packages[name] for name in PACKAGES} | {"numpy": packages["numpy"]},
        "made_with": {name: version(name) for name in ("tensorflow", "keras")},
        "environment": packages,
        "bytes": sizes(model),
        "text": arguments.text,
        "translation": the_answer(processes),
        "warm_up_requests": len(warm_up),
        "ways": {way: summarize(by_kind) for way, by_kind in processes.items()},
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1, ensure_ascii=False)
    print(table(result))


def latest_version(export: Path) -> Path:
    """The folder of the highest version."""
    versions = [path for path in export.iterdir() if path.name.isdecimal()] if export.is_dir() else []
    if not versions:
        raise SystemExit(f"{export}: expected a folder that `nmt export` has made, with versions 1, 2, ... in it")
    return max(versions, key=lambda path: int(path.name))


def read_warm_up(model: Path) -> list[Request]:
    """The requests of the warm-up file. The bare environment lacks TensorFlow Serving's protocol, so we decode them."""
    with silenced():
        import tensorflow as tf
        from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

        from nmt.serving.warmup import WARMUP_FILE

        if not (model / WARMUP_FILE).exists():
            raise SystemExit(f"{model}: expected warm-up requests in {WARMUP_FILE}")
        records = list(tf.data.TFRecordDataset(str(model / WARMUP_FILE)).as_numpy_iterator())
    requests = []
    for record in records:
        request = PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(proto).reshape(-1).tolist() for name, proto in request.inputs.items()}
        encoded = {name: [base64.b64encode(text).decode() for text in texts] for name, texts in inputs.items()}
        requests.append((request.model_spec.signature_name or "serving_default", encoded))
    return requests


def make_environment(folder: Path) -> Path:
    """A virtual environment with the two packages and what they need."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "-c", str(CONSTRAINTS), *PACKAGES], check=True)
    return folder


def installed(python: Path) -> dict[str, str]:
    """All packages of an environment and their versions.

    Raises:
        SystemExit: if there is none, or it has packages that the model shall do without, or lacks those that it needs.
    """
    if not python.exists():
        raise SystemExit(f"{python}: expected a virtual environment's Python")
    listed = f"import importlib.util as u; print(*(name for name in {ABSENT} if u.find_spec(name)))"
    if present := output_of([str(python), "-I", "-c", listed]).strip():
        raise SystemExit(f"{python}: expected an environment without {present}")
    listing = output_of([str(python), "-I", "-m", "pip", "--disable-pip-version-check", "list", "--format", "json"])
    packages = {package["name"]: package["version"] for package in json.loads(listing)}
    if missing := [name for name in PACKAGES if name not in packages]:
        raise SystemExit(f"{python}: expected an environment with {' and '.join(missing)}")
    return packages


def measure(
    python: Path, model: Path, warm_up: list[Request], arguments: argparse.Namespace
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What each process printed: of each way, those that were asked at once (cold) and after the warm-up (warm)."""
    processes: dict[str, dict[str, list[dict[str, Any]]]] = {way: {"cold": [], "warm": []} for way in WAYS}
    for repetition in range(arguments.repetitions + 1):
        for way, by_kind in processes.items():
            for kind, done in by_kind.items():
                plan = {"text": arguments.text, "warm_up": warm_up if kind == "warm" else [], "started": time.time()}
                printed = output_of([str(python), "-I", str(PROBE), way, str(model)], json.dumps(plan))
                measured = json.loads(printed)
                times = ", ".join(f"{name} {value:.4f}" for name, value in measured["seconds"].items())
                print(f"{repetition}: {way}, {kind}: {times}", file=sys.stderr, flush=True)
                if repetition:
                    done.append(measured)
    return processes


def output_of(command: list[str], given: str = "") -> str:
    """What a process prints that has none of this one's settings of Python."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, env=variables | {"TF_CPP_MIN_LOG_LEVEL": "3"}, check=False
    )
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}: failed:\n{done.stderr}")
    return done.stdout


def sizes(model: Path) -> dict[str, int]:
    """Bytes of all the model's files, and of each file or folder in it."""
    parts = {
        part.name: sum(file.stat().st_size for file in [part, *part.rglob("*")] if file.is_file())
        for part in model.iterdir()
    }
    return {"all": sum(parts.values())} | dict(sorted(parts.items()))


def the_answer(processes: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """The translation that all processes gave."""
    answers = {one["translation"] for by_kind in processes.values() for done in by_kind.values() for one in done}
    if len(answers) != 1:
        raise SystemExit(f"expected the same translation from all processes, got {sorted(answers)}")
    return str(answers.pop())


def summarize(by_kind: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians of one way's processes, and all that was measured."""
    return {
        kind: {
            "median_seconds": {
                name: round(statistics.median(one["seconds"][name] for one in done), 5) for name in done[0]["seconds"]
            },
            "seconds": {name: [round(one["seconds"][name], 5) for one in done] for name in done[0]["seconds"]},
            "peak_resident_mib": round(statistics.median(one["peak_resident_bytes"] for one in done) / 2**20),
        }
        for kind, done in by_kind.items()
    }


def table(result: dict[str, Any]) -> str:
    """The result in Markdown."""
    ways, parts = result["ways"], result["bytes"]
    graph, variables = parts["saved_model.pb"], parts["variables"]
    lines = [
        f"SavedModel: {parts['all'] / 1e6:.1f} MB, variables {variables / 1e6:.1f}, graph {graph / 1e6:.1f}; "
        f"{result['warm_up_requests']} warm-up requests; {len(result['environment'])} packages in the environment",
        "",
        f"| | {' | '.join(WAYS[way] for way in ways)} |",
        f"| --- |{' --- |' * len(ways)}",
    ]
    for label, name, kind, unit in ROWS:
        values = [ways[way][kind]["median_seconds"][name] for way in ways]
        lines.append(f"| {label} | {' | '.join(shown(value, unit) for value in values)} |")
    memory = [f"{ways[way]['warm']['peak_resident_mib']:,} MiB" for way in ways]
    return "\n".join([*lines, f"| peak memory | {' | '.join(memory)} |"])


def shown(seconds: float, unit: str) -> str:
    """A time in seconds or milliseconds."""
    return f"{seconds:.2f} s" if unit == "s" else f"{1000 * seconds:.1f} ms"


def options(arguments: argparse.Namespace) -> list[str]:
    """The options given, but for the environment's place."""
    given = ["--repetitions", str(arguments.repetitions)]
    return given if arguments.text == TEXT else [*given, "--text", arguments.text]


if __name__ == "__main__":
    main()
