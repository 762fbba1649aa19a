"""Compares two parts of Keras with the layers written in their place: the tied embedding and the associative scan.

    python benchmarks/keras_parts.py benchmarks/results/keras-parts.json

Each is run forward and backward within a `tf.function`, in one process, the contenders taking turns. Figures are
milliseconds: the median and the range of all rounds. Errors are the greatest ones of the gradients, relative to the
greatest value of the gradients computed in float64.
"""

import argparse
import json
import shlex
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.layers import TiedEmbedding, linear_scan
from nmt.utils.files import written_whole

# isort: split
import keras  # after nmt, which loads it quietly
import numpy as np
import tensorflow as tf

VOCABULARY, UNITS, TOKENS = 8000, 256, 3000
STEPS_OF_BATCH = 8192  # time steps of a batch, whatever the length of its sequences
LENGTHS = (16, 256, 2048)
POLICIES = ("float32", "mixed_bfloat16")
HYPOTHESES = 320  # tokens looked up in a step of a search: 5 hypotheses for each of 64 sentences
Call = Callable[[], list[tf.Tensor]]


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    command = ["python", "benchmarks/keras_parts.py", str(arguments.output), "--rounds", str(arguments.rounds)]
    result = {
        "command": shlex.join(command),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "rounds": arguments.rounds,
        "tied_embedding": {
            "shape": {"vocabulary": VOCABULARY, "units": UNITS, "tokens": TOKENS},
            **{policy: compare_embeddings(policy, arguments.rounds) for policy in POLICIES},
        },
        "lookup": {
            "shape": {"vocabulary": VOCABULARY, "units": UNITS, "tokens": HYPOTHESES},
            **{policy: compare_lookups(policy, arguments.rounds) for policy in POLICIES},
        },
        "scan": {
            "shape": {"steps_of_batch": STEPS_OF_BATCH, "units": UNITS},
            **{str(length): compare_scans(length, arguments.rounds) for length in LENGTHS},
        },
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1))


def compare_embeddings(policy: str, rounds: int) -> dict[str, Any]:
    """Ids to vectors to logits, and the gradient of the table.

    Tokens follow Zipf's law, as in text: the rows of frequent ones get the sum of many gradients.
    """
    generator = np.random.default_rng(1)
    shares = 1 / np.arange(1, VOCABULARY + 1)
    ids = tf.constant(generator.choice(VOCABULARY, TOKENS, p=shares / shares.sum()).astype(np.int32))
    table = generator.normal(size=(VOCABULARY, UNITS)) * UNITS**-0.5
    d_logits = generator.normal(size=(TOKENS, VOCABULARY)) / TOKENS

    def ours(dtype: str) -> Call:
        return make_step(TiedEmbedding(VOCABULARY, UNITS, dtype=dtype))

    def theirs(dtype: str) -> Call:
        layer = keras.layers.ReversibleEmbedding(VOCABULARY, UNITS, dtype=dtype)
        layer.build()
        return make_step(layer, scale=UNITS**0.5)

    def make_step(layer: Any, scale: float | None = None) -> Call:
        (weight,) = layer.weights
        weight.assign(table)
        cotangent = tf.constant(d_logits, layer.variable_dtype)

        @tf.function(autograph=False)
        def step() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                vectors = layer(ids)
                logits = layer(vectors if scale is None else vectors * scale, reverse=True)
                loss = tf.reduce_sum(tf.cast(logits, cotangent.dtype) * cotangent)
            return [tf.convert_to_tensor(tape.gradient(loss, weight.value))]

        return step

    return compare({"nmt": ours(policy), "keras": theirs(policy)}, ours("float64"), rounds)


def compare_lookups(policy: str, rounds: int) -> dict[str, Any]:
    """A few ids to vectors, as in each step of a search; and the norm of the gradient where a token occurs twice."""
    ids = tf.constant(np.random.default_rng(1).integers(0, VOCABULARY, HYPOTHESES).astype(np.int32))
    layers = {
        "nmt": TiedEmbedding(VOCABULARY, UNITS, dtype=policy),
        "keras": keras.layers.ReversibleEmbedding(VOCABULARY, UNITS, dtype=policy),
    }
    calls = {}
    norms = {}
    for name, layer in layers.items():
        step = tf.function(layer, autograph=False)
        calls[name] = lambda step=step: [step(ids)]
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(tf.constant([1, 1])))
        gradient = tape.gradient(total, layer.weights[0].value)
        norms[name] = float(tf.linalg.global_norm([gradient]) / tf.norm(tf.convert_to_tensor(gradient)))
    times = alternate(calls, rounds, calls=20)
    return times | {"global_norm_relative_to_the_exact_one": {name: round(norm, 3) for name, norm in norms.items()}}


def compare_scans(length: int, rounds: int) -> dict[str, Any]:
    """h_t = a_t h_(t-1) + b_t over all steps, and the gradients of a, b and the state before the first step."""
    generator = np.random.default_rng(1)
    shape = length, STEPS_OF_BATCH // length, UNITS
    arrays = [generator.uniform(0, 1, shape), generator.normal(size=shape), generator.normal(size=shape[1:])]
    d_states = generator.normal(size=shape)

    def keras_scan(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
        def combine(first: Any, second: Any) -> Any:
            return first[0] * second[0], first[1] * second[0] + second[1]

        b = tf.concat([b[:1] + a[:1] * initial, b[1:]], 0)
        return keras.ops.associative_scan(combine, (a, b))[1]

    def make_step(
        scan: Callable[..., tf.Tensor], dtype: str = "float32", jit_compile: bool = False, any_length: bool = False
    ) -> Call:
        inputs, cotangent = [tf.constant(array, dtype) for array in arrays], tf.constant(d_states, dtype)
        sequence = tf.TensorSpec((None if any_length else length, *shape[1:]), dtype)
        signature = sequence, sequence, tf.TensorSpec(shape[1:], dtype)

        @tf.function(autograph=False, jit_compile=jit_compile, input_signature=signature)
        def step(*inputs: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                states = scan(*inputs)
            return tape.gradient(states, inputs, output_gradients=cotangent)

        return lambda: step(*inputs)

    contenders = {
        "nmt": make_step(linear_scan),
        "nmt, XLA": make_step(linear_scan, jit_compile=True),
        "keras": make_step(keras_scan),
    }
    refused = {
        "keras, XLA": error_of(make_step(keras_scan, jit_compile=True)),
        "keras, unknown length": error_of(make_step(keras_scan, any_length=True)),
    }
    return compare(contenders, make_step(linear_scan, "float64"), rounds) | {"refused": refused}


def error_of(call: Call) -> str | None:
    """The kind of error that a call raises."""
    try:
        call()
    except Exception as error:  # whatever it is: the result says which
        return type(error).__name__
    return None


def compare(contenders: dict[str, Call], exact: Call, rounds: int) -> dict[str, Any]:
    """Runs the contenders in turn.

    Args:
        contenders: functions that return gradients, by name.
        exact: function that returns the same gradients in float64.
        rounds: int, runs of each.
    """
    expected = [values.numpy() for values in exact()]
    errors, first = {}, {}
    for name, call in contenders.items():
        start = time.perf_counter()
        gradients = [tf.cast(values, tf.float64).numpy() for values in call()]
        first[name] = time.perf_counter() - start
        errors[name] = max(
            float(np.abs(values - other).max() / np.abs(other).max())
            for values, other in zip(gradients, expected, strict=True)
        )
    result: dict[str, Any] = {"first_seconds": {name: round(value, 2) for name, value in first.items()}}
    result |= alternate(contenders, rounds)
    return result | {"error": {name: float(f"{error:.2g}") for name, error in errors.items()}}


def alternate(contenders: dict[str, Call], rounds: int, calls: int = 1) -> dict[str, Any]:
    """Median and range of the milliseconds of a call, the contenders taking turns; each turn is a number of calls."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in contenders if number % 2 else reversed(contenders):
            start = time.perf_counter()
            for _ in range(calls):
                contenders[name]()[-1].numpy()
            if number:  # the first round traces
                times[name].append(1000 * (time.perf_counter() - start) / calls)
    return {
        "milliseconds": {name: round(statistics.median(values), 2) for name, values in times.items()},
        "range": {name: [round(min(values), 2), round(max(values), 2)] for name, values in times.items()},
    }


if __name__ == "__main__":
    main()
