"""Measures what decided three choices: what XLA compiles, how the logits are cut, and our own dropout or Keras's.

    python benchmarks/compiled_step.py benchmarks/results/compiled-step.json

Steps of the reference shape with each extent of compilation, in both precisions, in turn, for three batch shapes; steps
of three of the models that `nmt train FILES` chooses; the loss alone, cut into chunks of several sizes; and dropout of
one batch's embeddings. Medians in milliseconds, and the seconds until the first is done, compiling included.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from nmt.utils.silence import silenced

with silenced():
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.list_physical_devices()

from machine import describe_machine
from reference_model import make_reference_model

from nmt.config import TrainingSettings
from nmt.layers.cross_entropy import summed_losses
from nmt.layers.dropout import dropout
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import TokenModel
from nmt.training.make_trainer import make_trainer
from nmt.training.trainer import Extent
from nmt.utils.files import written_whole

VOCABULARY = 8000
SHAPES = ((152, 12, 13), (90, 20, 22), (20, 90, 100))  # sentences, source tokens, target tokens
PLANNED = ((96, 900), (128, 1400), (192, 1300))  # units, tokens of a batch
PLANNED_VOCABULARY, SENTENCE = 3400, 12  # tokens
CHUNKS = (128, 256, 512, 1024, 2000)  # tokens
ROUNDS = 9


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    result = {
        "command": f"python benchmarks/compiled_step.py {output}",
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "steps": [measure_steps(*shape) for shape in SHAPES],
        "planned": [measure_planned(*planned) for planned in PLANNED],
        "loss": measure_loss(),
        "dropout": measure_dropout(),
    }
    with written_whole(output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1))


def measure_steps(sentences: int, source: int, target: int) -> dict[str, Any]:
    """Whole training steps: forward, backward, clipping, Adam."""
    steps: dict[str, Callable[[], Any]] = {}
    for precision, extent in itertools.product(("float32", "bfloat16"), get_args(Extent)):
        settings = TrainingSettings(precision=precision, xla=extent, average_decay=0.0)
        model = make_reference_model(VOCABULARY, precision)
        steps[f"{precision} {extent}"] = make_step(model, settings, (sentences, source, target))
    return {"shape": [sentences, source, target], **alternate(steps)}


def measure_planned(units: int, tokens: int) -> dict[str, Any]:
    """Training steps, in float32, of a model with the layers that a plan chooses."""
    shape = (tokens // SENTENCE, SENTENCE, SENTENCE)
    steps: dict[str, Callable[[], Any]] = {}
    for extent in get_args(Extent):
        model = Seq2Seq(PLANNED_VOCABULARY, units=units, dropout=0.2, seed=1)
        steps[extent] = make_step(model, TrainingSettings(xla=extent), shape)
    return {"units": units, "shape": shape, **alternate(steps)}


def make_step(model: TokenModel, settings: TrainingSettings, shape: tuple[int, int, int]) -> Callable[[], Any]:
    """A training step of random tokens."""
    generator = np.random.default_rng(0)
    sentences, *widths = shape
    batch = tuple(generator.integers(4, model.vocabulary_size, (sentences, width)).astype(np.int32) for width in widths)
    trainer = make_trainer(model, settings)
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: float(trainer.train_function(batches)["loss"])


def measure_loss() -> list[dict[str, Any]]:
    """Loss and gradient of 2,000 tokens, with what is done to the logits compiled."""
    results = []
    for precision in (tf.float32, tf.bfloat16):
        outputs, table = (tf.cast(tf.random.normal((rows, 256)) / 16, precision) for rows in (2000, VOCABULARY))
        targets, weights = tf.random.uniform((2000,), 4, VOCABULARY, tf.int32), tf.ones((2000,))
        functions = {}
        for chunk in CHUNKS:

            @tf.function
            def loss(chunk: int = chunk, arguments: Any = (outputs, table, targets, weights)) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(arguments[:2])
                    value = summed_losses(*arguments, smoothing=0.1, chunk=chunk, jit_compile=True).objective
                return tape.gradient(value, arguments[:2])

            functions[f"chunks of {chunk}"] = lambda loss=loss: loss()[0].numpy()
        results.append({"precision": precision.name, **alternate(functions)})
    return results


def measure_dropout() -> dict[str, Any]:
    """Dropout of [152, 13, 256]."""
    values, seeds = tf.ones((152, 13, 256)), keras.random.SeedGenerator(1)
    functions = {}
    for compiled in (True, False):
        suffix = "xla" if compiled else "plain"
        ours = tf.function(lambda: dropout(values, 0.2, seeds), jit_compile=compiled)
        theirs = tf.function(lambda: keras.random.dropout(values, 0.2, seed=seeds), jit_compile=compiled)
        functions[f"ours_{suffix}"] = lambda function=ours: function().numpy()
        functions[f"keras_{suffix}"] = lambda function=theirs: function().numpy()
    return alternate(functions)


def alternate(functions: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Runs functions in turn and takes the medians of their times."""
    first = {name: seconds(function) for name, function in functions.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            times[name].append(seconds(function))
    return {
        "first_seconds": {name: round(value, 2) for name, value in first.items()},
        "median_milliseconds": {name: round(1000 * statistics.median(value), 2) for name, value in times.items()},
    }


def seconds(function: Callable[[], Any]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
