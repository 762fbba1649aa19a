"""Many clients at once against a served model: wrong answers, errors, latency, throughput, and the server's memory.

    python benchmarks/serving_load.py MODEL_FOLDER SENTENCES OUTPUT --clients 64 --seconds 60

Starts `prediction_service.py`, the stand-in for TensorFlow Serving, in a process of its own. Each client has its own
connection and sends one text a request, now and then one that breaks what is not made for it. Every answer is
compared with the model's own for this text alone, computed beforehand without a server. The command fails if one is
wrong, a request fails, or the memory grows.
"""

import argparse
import collections
import gzip
import importlib.metadata
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
from machine import describe_machine
from tensorflow_serving.apis import prediction_service_pb2_grpc

from nmt.serving.saved_model import DIGESTS
from nmt.serving.transports import predict_request
from nmt.utils.digests import check_files

STRANGE = [
    b"",
    b" \t\r\n \xe3\x80\x80",
    b"\xff\xfe\xc3 not UTF-8 \xed\xa0\x80",
    b"\x00\x01\x02 \x1b[0m \x7f\x00",
    "\u202e right to left \ufeff 😀👩‍👩‍👧 日本語 Ünïcödé \U0010ffff".encode(),
    ("A man in a blue shirt is standing on a ladder. " * 107)[:5000].encode(),
]
STRANGE_SHARE = 0.02  # of the requests; the long one alone costs as much as a hundred sentences
SETTLED = 15  # seconds after which the memory must not grow any more
MOST_GROWTH = 0.05
SCORE_TOLERANCE = 1e-3  # a batch sums in another order than a text alone
SHOWN = 20  # wrong answers and errors that are written out


class Expected(NamedTuple):
    """What the model answers to a text alone."""

    translation: bytes
    score: float


class Seen:
    """What the clients have seen, together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seconds: list[float] = []
        self.errors: collections.Counter[str] = collections.Counter()
        self.wrong: list[dict[str, str]] = []


def main() -> None:
    """Runs the clients, writes the result, and fails if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the model's folder, which holds its versions")
    parser.add_argument("sentences", type=Path, help="a text file, a sentence a line; may be a .gz")
    parser.add_argument("output", type=Path, help="JSON file for the result")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with (gzip.open if options.sentences.suffix == ".gz" else open)(options.sentences, "rb") as file:
        sentences = [line.rstrip(b"\n") for line in file]
    if not sentences:
        raise SystemExit(f"{options.sentences}: expected sentences, got an empty file")
    expected = answers_alone(options.folder, [*sentences, *STRANGE])
    with running_service(options.folder) as (address, process):
        measured = load(address, process, sentences, expected, options.clients, options.seconds)
    result = {
        "command": "python benchmarks/serving_load.py MODEL_FOLDER SENTENCES OUTPUT "
        f"--clients {options.clients} --seconds {options.seconds:g}",
        "machine": describe_machine(),
        "versions": {name: importlib.metadata.version(name) for name in ("tensorflow", "tensorflow-text", "grpcio")},
        "clients": options.clients,
        "sentences": len(sentences),
    } | measured
    options.output.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2, ensure_ascii=False))
    if measured["errors"] or measured["wrong_answers"] or not measured["memory_flat"]:
        raise SystemExit("a request failed, an answer was wrong, or the memory grew")


def answers_alone(folder: Path, texts: Sequence[bytes]) -> dict[bytes, Expected]:
    """The model's answer to each text, one by one, in this process."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers its operations)

    latest = max((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))
    check_files(latest, DIGESTS)
    model = tf.saved_model.load(str(latest))
    answers = {}
    for text in texts:
        outputs = model.signatures["serving_default"](text=tf.constant([text]))
        answers[text] = Expected(outputs["translation"].numpy()[0], float(outputs["score"].numpy()[0]))
    return answers


@contextmanager
def running_service(folder: Path) -> Iterator[tuple[str, int]]:
    """The service in another process: its address, and the number of the process."""
    program = Path(__file__).with_name("prediction_service.py")
    with subprocess.Popen([sys.executable, str(program), str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("the service did not start")
            yield json.loads(line)["grpc"], process.pid
        finally:
            process.terminate()


def load(
    address: str,
    process: int,
    sentences: Sequence[bytes],
    expected: dict[bytes, Expected],
    clients: int,
    seconds: float,
) -> dict[str, Any]:
    """Has clients ask at the same time.

    Args:
        address: of the service.
        process: its number.
        sentences: what is asked, in a random order.
        expected: the right answers.
        clients: threads, each with a connection.
        seconds: for how long.

    Returns:
        What goes into the result.
    """
    seen = Seen()
    loaded = resident_mebibytes(process)
    with ThreadPoolExecutor(clients) as pool:
        # Every client asks for the worst at once, before the clock starts: it is that which sets the memory's level.
        for finished in [pool.submit(client, address, STRANGE, expected, seen) for _ in range(clients)]:
            finished.result()
        seen.seconds.clear()
        begun = time.monotonic()
        running = [
            pool.submit(client, address, mixed(sentences, begun + seconds, number), expected, seen)
            for number in range(clients)
        ]
        memory = [resident_mebibytes(process)]
        while time.monotonic() < begun + seconds:
            time.sleep(max(0.0, begun + len(memory) - time.monotonic()))
            memory.append(resident_mebibytes(process))
        for finished in running:
            finished.result()  # raises what a client was not prepared for
    took = time.monotonic() - begun
    settled = memory[min(SETTLED, len(memory) - 1)]
    milliseconds = np.array(seen.seconds) * 1000
    return {
        "seconds": round(took, 1),
        "requests": len(seen.seconds),
        "requests_per_second": round(len(seen.seconds) / took, 1),
        "errors": sum(seen.errors.values()),
        "errors_by_kind": dict(seen.errors.most_common(SHOWN)),
        "wrong_answers": len(seen.wrong),
        "wrong_answers_shown": seen.wrong[:SHOWN],
        "latency_ms": {
            name: round(float(np.percentile(milliseconds, share)), 1)
            for name, share in (("median", 50), ("p90", 90), ("p99", 99), ("longest", 100))
        },
        "resident_mib": {
            "before_any_request": loaded,
            "first": memory[0],
            "after_10_s": memory[min(10, len(memory) - 1)],
            f"after_{SETTLED}_s": settled,
            "last": memory[-1],
            "peak": max(memory),
            "every_second": memory,
        },
        "memory_growth": round(memory[-1] / settled - 1, 4),
        "memory_flat": memory[-1] / settled - 1 < MOST_GROWTH,
    }


def mixed(sentences: Sequence[bytes], end: float, seed: int) -> Iterator[bytes]:
    """Random texts until the end, most of them sentences."""
    generator = random.Random(seed)
    while time.monotonic() < end:
        yield generator.choice(STRANGE if generator.random() < STRANGE_SHARE else sentences)


def client(address: str, texts: Iterable[bytes], expected: dict[bytes, Expected], seen: Seen) -> None:
    """Asks for one translation after the other."""
    # Channels to the same address would share a connection otherwise.
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(address, options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for text in texts:
            begun = time.monotonic()
            try:
                answer = stub.Predict(predict_request("translator", "serving_default", {"text": [text]}), timeout=60)
            except grpc.RpcError as error:
                with seen.lock:
                    seen.errors[f"{error.code().name}: {error.details()}"] += 1
                continue
            took = time.monotonic() - begun
            found = Expected(answer.outputs["translation"].string_val[0], answer.outputs["score"].float_val[0])
            right = expected[text]
            with seen.lock:
                seen.seconds.append(took)
                if found.translation != right.translation or abs(found.score - right.score) > SCORE_TOLERANCE:
                    seen.wrong.append({"text": repr(text), "expected": repr(right), "found": repr(found)})


def resident_mebibytes(process: int) -> float:
    """The resident memory of a process, in MiB (Linux)."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


if __name__ == "__main__":
    main()
