"""How fast training runs on this machine, and where its time goes."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.config import Config
from nmt.data.batches import Position, random_batches, training_batches
from nmt.data.preparation import load_shapes
from nmt.data.shapes import Shape
from nmt.data.vocabulary import load_tokenizers
from nmt.models.flops import training_flops
from nmt.runs.data import prepare_data
from nmt.runs.folder import lock_run
from nmt.runs.models import build_model, check_model
from nmt.training.compilation import choose_extent
from nmt.training.distribution import Distribution
from nmt.training.make_trainer import make_trainer
from nmt.training.metrics import peak_memory
from nmt.training.precision import settle_precision
from nmt.training.trainer import Trainer
from nmt.utils.errors import UserError
from nmt.utils.progress import tracked

_SIDE = 2048  # rows and columns of the matrices whose product shows the machine's rate
_PRODUCTS = 5
_RATE_EVERY = 50  # steps between two measurements of that rate: it drifts on shared machines


class TrainingSpeed(NamedTuple):
    """How fast a training ran, and where its time went.

    Attributes:
        target_tokens_per_second: float, real target tokens, without padding.
        milliseconds_per_step: float, mean over the steps.
        gflop_per_second: float, of the matrix products of real tokens; padding does not count.
        product_gflop_per_second: float, the same rate in one large product in float32, for comparison.
        share_of_product_rate: float, the ratio of the two.
        padding_share: float, share of padding among the positions of the batches.
        input_wait_share: float, share of the time that the step waited for its batch.
        peak_memory_gib: float, the most memory that the process held.
        first_steps_seconds: float, the first step of every batch shape together: tracing, compiling, and the steps.
        batch_shapes: int, the number of batch shapes.
        steps: int, the number of measured steps.
    """

    target_tokens_per_second: float
    milliseconds_per_step: float
    gflop_per_second: float
    product_gflop_per_second: float
    share_of_product_rate: float
    padding_share: float
    input_wait_share: float
    peak_memory_gib: float
    first_steps_seconds: float
    batch_shapes: int
    steps: int


def measure(config: Config, run: str | Path, steps: int) -> TrainingSpeed:
    """Trains for some steps and measures; nothing stays but the prepared data.

    Args:
        config: the settings of the training; validation and checkpoints are left out.
        run: the run folder where the prepared data is, or is written to.
        steps: int, the number of steps to measure, after the first of each batch shape.

    Returns:
        The measurements.

    Raises:
        UserError: if there is a mistake in the settings, the data, or the folder.

    Example:

    >>> measure(nmt.load_config("configs/base.yaml"), "runs/mine", 100).milliseconds_per_step  # doctest: +SKIP
    123.4
    """
    if config.training.strategy != "one_device":
        raise UserError(f"training.strategy {config.training.strategy}: only one_device can be measured")
    check_model(config)
    config = settle_precision(config)
    with lock_run(run) as opened:
        prepare_data(config, opened)
    folder = opened.data
    tokenizers, shapes = load_tokenizers(folder, config.tokenizer.placeholders), load_shapes(folder)
    trainer = make_trainer(build_model(config, *tokenizers), config.training)
    if config.training.xla == "auto":
        trainer.compile_extent(choose_extent(trainer, Distribution(), shapes, config.training.max_steps))
    step = _make_step(trainer)
    first_seconds = _make_first_steps(trainer, step, shapes)

    batches = iter(training_batches(folder, config, shapes, Position(0, 0)))
    waits, times, rates = [], [], [measure_product_rate()]
    tokens = flops = positions = real = 0.0
    for done in tracked(range(steps), "measuring", steps):
        start = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - start)
        float(step(batch)["loss"])
        times.append(time.perf_counter() - start)
        source, target = ((ids.numpy() != 0).sum(1) for ids in batch)
        tokens += target.sum()
        real += source.sum() + target.sum()
        positions += sum(ids.shape.num_elements() for ids in batch)
        flops += training_flops(trainer.model, len(target), source.sum(), target.sum(), (source * target).sum())
        if done % _RATE_EVERY == _RATE_EVERY - 1:
            rates.append(measure_product_rate())
    seconds, rate = sum(times), statistics.median(rates)
    return TrainingSpeed(
        target_tokens_per_second=round(tokens / seconds, 1),
        milliseconds_per_step=round(1000 * seconds / steps, 2),
        gflop_per_second=round(flops / seconds / 1e9, 2),
        product_gflop_per_second=round(rate, 2),
        share_of_product_rate=round(flops / seconds / 1e9 / rate, 4),
        padding_share=round(1 - real / positions, 4),
        input_wait_share=round(sum(waits) / seconds, 4),
        peak_memory_gib=round(peak_memory() / 2**30, 3),
        first_steps_seconds=round(first_seconds, 2),
        batch_shapes=len(shapes),
        steps=steps,
    )


def measure_product_rate() -> float:
    """Measures the machine's rate in one large matrix product in float32, in GFLOP per second."""
    matrix = tf.random.stateless_normal((_SIDE, _SIDE), (1, 2))
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    product()
    times = []
    for _ in range(_PRODUCTS):
        start = time.perf_counter()
        product().numpy()
        times.append(time.perf_counter() - start)
    return 2 * _SIDE**3 / statistics.median(times) / 1e9


def _make_step(trainer: Trainer) -> Callable[..., Any]:
    """The training step as a function of a batch."""
    ids = tf.TensorSpec((None, None), tf.int32)
    return tf.function(
        trainer.train_step, jit_compile=trainer.extent == "step", input_signature=[(ids, ids)], autograph=False
    )


def _make_first_steps(trainer: Trainer, step: Callable[..., Any], shapes: list[Shape]) -> float:
    """Makes the first step of every batch shape, and returns the seconds that they took."""
    start = time.perf_counter()
    for batch in tracked(random_batches(shapes, trainer.model.vocabulary_size), "compiling", len(shapes)):
        step(batch)
    return time.perf_counter() - start
