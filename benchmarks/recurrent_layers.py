"""Times one recurrent layer, forward and backward, against Keras's and PyTorch's.

    python benchmarks/recurrent_layers.py benchmarks/results/recurrent-layers.json --torch PYTHON

PYTHON is an interpreter that has torch. Each contender is a process of its own that stays loaded; the processes are
asked for a measurement in turn, so that a machine's moods meet all of them alike. A measurement is the median of three
calls that make the states of all steps, their sum of squares, and its gradients for the weights and the inputs.

TensorFlow's contenders get a mask (sentences of unequal length), torch's does not: it has none but packed sequences,
which are slower. In addition, the matrix products that such a layer cannot do without are timed alone, in its own
sizes, and one product of 2048 x 2048 matrices.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHAPES = ((128, 16, 256), (64, 64, 512))  # batch, time, units
ROUNDS = 9
CALLS = 3
SEED = 1
Call = Callable[[], Any]


def main() -> None:
    """Measures and writes the result; as a child process, answers the parent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?")
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torch; without it, no torch")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        answer(arguments.contender)
    elif arguments.output is None:
        parser.error("expected a file for the result")
    else:
        measure(arguments.output, arguments.torch, arguments.rounds)


def measure(output: Path, torch: str | None, rounds: int) -> None:
    """Asks all contenders in turn and writes what they say."""
    from machine import describe_machine

    from nmt.utils.files import written_whole

    interpreters = dict.fromkeys(MAKERS, sys.executable)
    if torch:
        interpreters["torch.nn.GRU"] = torch
    children = {
        name: subprocess.Popen(
            [interpreter, __file__, "--contender", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # The interpreter of torch has no nmt, and needs none.
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"},
        )
        for name, interpreter in interpreters.items()
    }
    versions = {name: ask(child, "versions") for name, child in children.items()}
    results = []
    for shape in SHAPES:
        times: dict[str, list[float]] = {name: [] for name in children}
        for child in children.values():
            ask(child, list(shape))  # makes and compiles it
        for _ in range(rounds):
            for name, child in children.items():
                times[name].append(ask(child, list(shape)))
        results.append(summary(shape, times))
        print(json.dumps(results[-1], indent=1), flush=True)
    for child in children.values():
        child.communicate()
    result = {
        "command": f"python benchmarks/recurrent_layers.py {output}" + (" --torch PYTHON" if torch else ""),
        "machine": describe_machine(),
        "versions": {key: version for answers in versions.values() for key, version in answers.items()},
        "rounds": rounds,
        "layers": results,
    }
    with written_whole(output) as file:
        json.dump(result, file, indent=1)


def summary(shape: tuple[int, int, int], times: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, and ratios to the best of our own ways taken round by round."""
    batch, steps, units = shape
    # Inputs and states each meet three gates' kernels; backward makes two products for each of forward's.
    operations = 3 * 2 * (2 * batch * steps * units * 3 * units)
    rates = {
        name: [2 * 2048**3 / seconds / 1e9 if name == SQUARE else operations / seconds / 1e9 for seconds in values]
        for name, values in times.items()
    }
    best = min(
        (name for name in times if name.startswith("nmt.GRU,") or name == "nmt.GRU"),
        key=lambda name: statistics.median(times[name]),
    )
    return {
        "shape": {"batch": batch, "time": steps, "units": units},
        "milliseconds": {name: round(1000 * statistics.median(values), 2) for name, values in times.items()},
        "gflop_per_second": {name: round(statistics.median(values), 1) for name, values in rates.items()},
        "best_of_ours": best,
        "times_as_fast_as": {
            name: round(statistics.median(b / a for a, b in zip(times[best], values, strict=True)), 3)
            for name, values in times.items()
            if name not in (best, SQUARE)
        },
        "share_of_square_product_rate": round(
            statistics.median(a / b for a, b in zip(rates[best], rates[SQUARE], strict=True)), 3
        ),
        "share_of_products_alone": round(
            statistics.median(b / a for a, b in zip(times[best], times[PRODUCTS], strict=True)), 3
        ),
        "all_milliseconds": {name: [round(1000 * value, 2) for value in values] for name, values in times.items()},
    }


def ask(child: "subprocess.Popen[str]", question: Any) -> Any:
    """Sends a child a line of JSON and reads its answer."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(question) + "\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def answer(contender: str) -> None:
    """Answers the parent's questions: a shape by the median seconds of its calls."""
    calls: dict[tuple[int, ...], Call] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if question == "versions":
            reply: Any = versions_of(contender)
        else:
            shape = tuple(question)
            if shape not in calls:
                calls[shape] = MAKERS[contender](*shape) if contender in MAKERS else make_torch(*shape)
                calls[shape]()
            reply = statistics.median(seconds(calls[shape]) for _ in range(CALLS))
        print(json.dumps(reply), flush=True)


def versions_of(contender: str) -> dict[str, str]:
    """What the contender is made of."""
    from importlib.metadata import version

    return {name: version(name) for name in (["torch"] if contender not in MAKERS else ["tensorflow", "keras"])}


def seconds(call: Call) -> float:
    """The time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def make_layer(
    library: str, reset_after: bool, jit_compile: bool, compile_loops: bool = False
) -> Callable[[int, int, int], Call]:
    """A maker of a layer of ours or of Keras's."""

    def make(batch: int, steps: int, units: int) -> Call:
        import keras
        import numpy as np
        import tensorflow as tf

        from nmt.layers.gru import GRU

        kind = {"nmt": GRU, "keras": keras.layers.GRU}[library]
        options = {"compile_loops": True} if compile_loops else {}
        layer = kind(units, return_sequences=True, reset_after=reset_after, **options)
        layer.build((batch, steps, units))
        generator = np.random.default_rng(SEED)
        inputs = tf.constant(generator.normal(size=(batch, steps, units)).astype("float32"))
        lengths = generator.integers(steps // 2, steps + 1, batch)
        mask = tf.constant(np.arange(steps) < lengths[:, None])

        @tf.function(jit_compile=jit_compile)
        def step(inputs: tf.Tensor) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = tf.reduce_sum(layer(inputs, mask=mask, training=True) ** 2)
            return tape.gradient(loss, [inputs, *(weight.value for weight in layer.trainable_weights)])

        return lambda: step(inputs)[1].numpy()  # noqa: PLW0108 (it runs the step)

    return make


def make_products(batch: int, steps: int, units: int) -> Call:
    """The layer's matrix products alone: those that cannot wait for each other one by one, the others at once."""
    import tensorflow as tf

    scale = units**-0.5
    kernel, gates, candidate = (tf.random.normal((units, n * units)) * scale for n in (3, 2, 1))
    inputs, wide = tf.random.normal((batch * steps, units)), tf.random.normal((batch * steps, 3 * units))

    @tf.function
    def step() -> list[tf.Tensor]:
        def forward(t: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return t + 1, tf.matmul(tf.matmul(state, gates)[:, :units], candidate)

        def backward(t: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            back = tf.matmul(state, candidate, transpose_b=True)
            return t + 1, tf.matmul(tf.concat([back, back], 1), gates, transpose_b=True)

        state = tf.ones((batch, units))
        for body in (forward, backward):
            _, state = tf.while_loop(lambda t, _: t < steps, body, (0, state))
        return [
            state,
            tf.matmul(inputs, kernel),
            tf.matmul(wide, kernel, transpose_b=True),
            tf.matmul(inputs, wide, transpose_a=True),  # of the kernel
            tf.matmul(inputs, wide, transpose_a=True),  # of the recurrent kernel
        ]

    return lambda: step()[0].numpy()  # noqa: PLW0108 (it runs the step)


def make_square(*_: int) -> Call:
    """One large product, for the machine's rate."""
    import tensorflow as tf

    matrix = tf.random.normal((2048, 2048))
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    return lambda: product()[0, 0].numpy()  # noqa: PLW0108 (it runs the product)


def make_torch(batch: int, steps: int, units: int) -> Call:
    """PyTorch's layer."""
    import torch

    torch.manual_seed(SEED)
    layer = torch.nn.GRU(units, units, batch_first=True)
    inputs = torch.randn(batch, steps, units, requires_grad=True)

    def call() -> None:
        layer.zero_grad()
        inputs.grad = None
        states, _ = layer(inputs)
        (states**2).sum().backward()

    return call


PRODUCTS, SQUARE = "matrix products alone", "2048 x 2048 product"
MAKERS: dict[str, Callable[[int, int, int], Call]] = {
    "nmt.GRU": make_layer("nmt", reset_after=False, jit_compile=False),
    "nmt.GRU, XLA": make_layer("nmt", reset_after=False, jit_compile=True),
    "nmt.GRU, loops by XLA": make_layer("nmt", reset_after=False, jit_compile=False, compile_loops=True),
    "nmt.GRU(reset_after=True), loops by XLA": make_layer(
        "nmt", reset_after=True, jit_compile=False, compile_loops=True
    ),
    "keras.layers.GRU(reset_after=False)": make_layer("keras", reset_after=False, jit_compile=False),
    "keras.layers.GRU(reset_after=False), XLA": make_layer("keras", reset_after=False, jit_compile=True),
    "keras.layers.GRU(reset_after=True)": make_layer("keras", reset_after=True, jit_compile=False),
    "keras.layers.GRU(reset_after=True), XLA": make_layer("keras", reset_after=True, jit_compile=True),
    PRODUCTS: make_products,
    SQUARE: make_square,
}

if __name__ == "__main__":
    main()
