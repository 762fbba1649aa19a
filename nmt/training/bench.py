"""How fast training runs on this machine, and where its time goes."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from nmt.config import Config
from nmt.data.batches import Position, random_batches, training_batches
from nmt.data.preparation import load_shapes, prepare
from nmt.data.vocabulary import load_tokenizers
from nmt.models.flops import training_flops
from nmt.runs.models import build_model
from nmt.training.compilation import choose_extent
from nmt.training.distribution import Distribution
from nmt.training.make_trainer import make_trainer
from nmt.training.precision import settle_precision
from nmt.training.progress import peak_memory
from nmt.utils.errors import UserError
from nmt.utils.progress import tracked

_SIDE = 2048  # of the square matrices whose product tells the machine's rate
_PRODUCTS = 5
_BETWEEN = 50  # steps between two measurements of that rate: it drifts on shared machines


class Measured(NamedTuple):
    """What a training was seen to do."""

    target_tokens_per_second: float
    milliseconds_per_step: float
    gflop_per_second: float  # of the matrix products of real tokens; padding counts for nothing
    product_gflop_per_second: float  # of one large product in full precision, for scale
    share_of_product_rate: float
    padding_share: float  # of the positions of the batches
    input_wait_share: float  # of the time, until the next batch was there
    peak_memory_gib: float  # of the process
    first_steps_seconds: float  # before measuring: tracing, compiling, and the steps themselves
    batch_shapes: int
    steps: int


def measure(config: Config, folder: Path, steps: int, message: Callable[[str], None]) -> Measured:
    """Trains for some steps and measures; nothing is kept but the prepared data.

    Args:
        config: what to train; validation and checkpoints are left out.
        folder: for the prepared data, made if need be.
        steps: that are measured, after the first of each batch shape.
        message: is given lines for people about what is being done.

    Raises:
        UserError: for whatever is wrong with the settings, the data, or the folder.
    """
    settings = config.training
    if settings.strategy != "one_device":
        raise UserError(f"training.strategy {settings.strategy}: only one_device can be measured")
    config = settle_precision(config, message=message)
    prepare(config, folder)
    tokenizers, shapes = load_tokenizers(folder, config.tokenizer.placeholders), load_shapes(folder)
    trainer = make_trainer(build_model(config, *tokenizers), settings)
    if settings.xla == "auto":
        trainer.compile_extent(choose_extent(trainer, Distribution(), shapes, settings.max_steps, message))
    ids = tf.TensorSpec((None, None), tf.int32)
    step = tf.function(
        trainer.train_step,
        jit_compile=trainer.extent == "step",
        input_signature=[(ids, ids)],
        autograph=False,
    )
    start = time.perf_counter()
    for batch in tracked(random_batches(shapes, trainer.model.vocabulary_size), "compiling", len(shapes)):
        step(batch)
    first = time.perf_counter() - start

    settled = Position(settings.curriculum_epochs, 0)  # with sentences of all lengths
    batches = iter(training_batches(folder, config, shapes, settled))
    waits, times, rates = [], [], [product_rate()]
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
        if done % _BETWEEN == _BETWEEN - 1:
            rates.append(product_rate())
    seconds, rate = sum(times), statistics.median(rates)
    return Measured(
        target_tokens_per_second=round(tokens / seconds, 1),
        milliseconds_per_step=round(1000 * seconds / steps, 2),
        gflop_per_second=round(flops / seconds / 1e9, 2),
        product_gflop_per_second=round(rate, 2),
        share_of_product_rate=round(flops / seconds / 1e9 / rate, 4),
        padding_share=round(1 - real / positions, 4),
        input_wait_share=round(sum(waits) / seconds, 4),
        peak_memory_gib=round(peak_memory() / 2**30, 3),
        first_steps_seconds=round(first, 2),
        batch_shapes=len(shapes),
        steps=steps,
    )


def product_rate() -> float:
    """Billions of multiplications and additions a second in one large product in full precision."""
    matrix = tf.random.stateless_normal((_SIDE, _SIDE), (1, 2))
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    product()
    times = []
    for _ in range(_PRODUCTS):
        start = time.perf_counter()
        product().numpy()
        times.append(time.perf_counter() - start)
    return 2 * _SIDE**3 / statistics.median(times) / 1e9
