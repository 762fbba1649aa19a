"""The precision of products, chosen by measuring."""

import json
import statistics
import time
from collections.abc import Callable

import tensorflow as tf

from nmt.config import Config
from nmt.runs.folder import RunFolder
from nmt.training.distribution import Distribution

_ROWS, _UNITS, _VOCABULARY = 512, 256, 4096  # of a product as of the logits of some tokens
_ROUNDS = 5
_WORTHWHILE = 1.2  # how much faster bfloat16 has to be: what is not a product gains nothing


def settle_precision(
    config: Config,
    run: RunFolder | None = None,
    distribution: Distribution | None = None,
    message: Callable[[str], None] = lambda _: None,
) -> Config:
    """Replaces `training.precision: auto` by `bfloat16` where that multiplies faster, else by `float32`.

    Processors without instructions for bfloat16 multiply it several times more slowly, those with them twice as fast.

    Args:
        config: the settings.
        run: a training that has begun keeps its precision.
        distribution: of the training. What the chief measures decides for all.
        message: is told what was measured.
    """
    if config.training.precision != "auto":
        return config
    precision = _begun(run) if run is not None else None
    if precision is None:
        (gain,) = (distribution or Distribution()).by_chief(lambda: [measured_gain()], 1)
        precision = "bfloat16" if gain >= _WORTHWHILE else "float32"
        message(f"precision of products: {precision} (bfloat16 is {gain:.1f} times as fast as float32)")
    return config.model_copy(update={"training": config.training.model_copy(update={"precision": precision})})


def measured_gain() -> float:
    """How many times as fast as in float32 a large product is in bfloat16, on the device that trains."""
    product = tf.function(lambda left, right: tf.reduce_sum(tf.cast(tf.matmul(left, right), tf.float32)))
    sides = [tf.random.stateless_normal(shape, (1, 2)) for shape in ((_ROWS, _UNITS), (_UNITS, _VOCABULARY))]
    times: dict[tf.DType, list[float]] = {tf.float32: [], tf.bfloat16: []}
    for number in range(_ROUNDS + 1):
        for dtype, taken in times.items():
            operands = [tf.cast(side, dtype) for side in sides]
            start = time.perf_counter()
            product(*operands).numpy()
            if number:  # the first traces
                taken.append(time.perf_counter() - start)
    return statistics.median(times[tf.float32]) / statistics.median(times[tf.bfloat16])


def _begun(run: RunFolder) -> str | None:
    """The precision of a training that can go on."""
    if not (run.last.exists() and run.metrics.exists()):
        return None
    for line in run.metrics.read_text(encoding="utf-8").splitlines():
        if precision := json.loads(line).get("config", {}).get("training", {}).get("precision"):
            return str(precision)
    return None
