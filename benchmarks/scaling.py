"""Measures how the cost of training grows with the length of sentences and with the vocabulary.

    python benchmarks/scaling.py benchmarks/results/scaling.json

Whole training steps of the reference shape, on full batches of random tokens of the same number each time. The lengths
take turns, and so do the vocabularies. Next to each stands what the arithmetic says: the FLOPs of its matrix products.
Those of a longer sentence grow only in attention.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmt.utils.silence import silenced

with silenced():
    import numpy as np
    import tensorflow as tf

    tf.config.list_physical_devices()

from compiled_step import seconds
from machine import describe_machine
from reference_model import make_reference_model

from nmt.config import TrainingSettings
from nmt.models.flops import training_flops
from nmt.runs.models import POLICIES
from nmt.training.bench import measure_product_rate
from nmt.training.make_trainer import make_trainer
from nmt.utils.files import written_whole

TOKENS = 2000  # of a batch, on each side
LENGTHS = (10, 20, 50, 100, 200)
VOCABULARIES = (8000, 16000, 32000)
LENGTH, VOCABULARY = 20, 8000  # where the other varies
ROUNDS = 9


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--precision", default="float32", choices=sorted(POLICIES))
    parser.add_argument("--xla", default="parts", choices=("none", "parts", "step"))
    arguments = parser.parse_args()
    rate = measure_product_rate()
    result = {
        "command": f"python benchmarks/scaling.py {arguments.output} --precision {arguments.precision} "
        f"--xla {arguments.xla}",
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "tokens": TOKENS,
        "product_gflop_per_second": round(rate, 1),
        "lengths": measure([(length, VOCABULARY) for length in LENGTHS], arguments),
        "vocabularies": measure([(LENGTH, vocabulary) for vocabulary in VOCABULARIES], arguments),
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1))


def measure(cases: list[tuple[int, int]], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures steps of each length and vocabulary, taking turns; ratios are to the first, round by round."""
    steps = [make_step(*case, arguments) for case in cases]
    times: list[list[float]] = [[] for _ in cases]
    for step in steps:
        step()
    for _ in range(ROUNDS):
        for step, of_case in zip(steps, times, strict=True):
            of_case.append(seconds(step))
    flops = [training_flops(make_reference_model(v), TOKENS // n, TOKENS, TOKENS, TOKENS * n) for n, v in cases]
    results = []
    for (length, vocabulary), of_case, count in zip(cases, times, flops, strict=True):
        results.append(
            {
                "length": length,
                "vocabulary": vocabulary,
                "milliseconds": round(1000 * statistics.median(of_case), 1),
                "target_tokens_per_second": round(TOKENS / statistics.median(of_case)),
                "speed_to_first": round(statistics.median(a / b for a, b in zip(times[0], of_case, strict=True)), 3),
                "speed_by_arithmetic": round(flops[0] / count, 3),
                "gflop_per_second": round(count / statistics.median(of_case) / 1e9, 1),
            }
        )
    return results


def make_step(length: int, vocabulary: int, arguments: argparse.Namespace) -> Callable[[], Any]:
    """A whole training step on a batch of `TOKENS` tokens."""
    model = make_reference_model(vocabulary, arguments.precision)
    trainer = make_trainer(model, TrainingSettings(precision=arguments.precision, xla=arguments.xla, average_decay=0.0))
    generator = np.random.default_rng(0)
    ids = generator.integers(4, vocabulary, (2, TOKENS // length, length)).astype(np.int32)
    step = tf.function(trainer.train_step, jit_compile=arguments.xla == "step")
    batch = tf.constant(ids[0]), tf.constant(ids[1])
    return lambda: float(step(batch)["loss"])


if __name__ == "__main__":
    main()
