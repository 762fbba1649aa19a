"""Measures training time for a token as sequences grow longer, for cells with a loop and cells without.

    python benchmarks/sequence_length.py benchmarks/results/sequence-length.json

One layer of each cell, forward and backward, gradients for weights and inputs, at the same number of tokens a batch:
sequences of 64 to 2,048 steps, the batch so much smaller. A loop over time makes as many rounds as there are steps,
each with ever fewer rows; the parallel scan of MinGRU and SSRU makes a number of rounds that grows like the logarithm.
XLA compiles the loops and the scan alone, as `training.xla: parts` does. The cells take turns, in as many rounds as
asked for; figures are medians.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from machine import describe_machine

from nmt.cli.options import load_tensorflow
from nmt.utils.files import written_whole

LENGTHS = (64, 128, 256, 512, 1024, 2048)
TOKENS = 16384  # of a batch, whatever the length
UNITS = 256
CELLS = ("gru", "lstm", "rnn", "min_gru", "ssru")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    load_tensorflow()
    nanoseconds: dict[str, dict[int, list[float]]] = {cell: {length: [] for length in LENGTHS} for cell in CELLS}
    for length in LENGTHS:
        steps = {cell: make_step(cell, length) for cell in CELLS}
        for step in steps.values():
            step()  # traces and compiles
        for number in range(arguments.rounds):
            for cell in CELLS if number % 2 else reversed(CELLS):
                start = time.perf_counter()
                steps[cell]()
                nanoseconds[cell][length].append((time.perf_counter() - start) / TOKENS * 1e9)
        medians_now = {cell: round(statistics.median(times[length])) for cell, times in nanoseconds.items()}
        print(f"{length} steps: nanoseconds for a token {medians_now}", file=sys.stderr)
    medians = {
        cell: {str(length): round(statistics.median(values), 1) for length, values in times.items()}
        for cell, times in nanoseconds.items()
    }
    result = {
        "command": shlex.join(
            ["python", "benchmarks/sequence_length.py", str(arguments.output), "--rounds", str(arguments.rounds)]
        ),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "units": UNITS,
        "tokens_of_a_batch": TOKENS,
        "nanoseconds_for_a_token": medians,
        "rounds": {cell: {str(length): values for length, values in of.items()} for cell, of in nanoseconds.items()},
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print("| cell | " + " | ".join(f"{length:,}" for length in LENGTHS) + " |")
    print("| --- |" + " --- |" * len(LENGTHS))
    for cell, of_lengths in medians.items():
        print(f"| {cell} | " + " | ".join(f"{value:,.0f}" for value in of_lengths.values()) + " |")


def make_step(cell: str, length: int) -> Callable[[], None]:
    """A training step of a layer on sequences of a length."""
    import tensorflow as tf

    from nmt.layers.cells import CELLS as LAYERS

    batch = TOKENS // length
    layer = LAYERS[cell](UNITS, return_sequences=True, compile_loops=True)
    layer.build((None, None, UNITS))
    sequence, d_outputs = (tf.random.stateless_normal((batch, length, UNITS), (seed, 0)) for seed in (1, 2))

    @tf.function(autograph=False)
    def differentiate(sequence: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            outputs = layer(sequence, training=True)
        weights = [weight.value for weight in layer.trainable_weights]
        return tape.gradient(outputs, [sequence, *weights], output_gradients=d_outputs)

    def step() -> None:
        differentiate(sequence)[-1].numpy()

    return step


if __name__ == "__main__":
    main()
