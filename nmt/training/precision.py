"""The precision of the matrix products, chosen by measuring."""

import logging
import statistics
import time

import tensorflow as tf

from nmt.config import Config
from nmt.runs.folder import RunFolder
from nmt.runs.metrics import read_metrics
from nmt.training.distribution import Distribution

_LOG = logging.getLogger(__name__)

_ROWS, _UNITS, _VOCABULARY = 512, 256, 4096  # a product the size of the logits of a chunk of tokens
_ROUNDS = 5
_LEAST_GAIN = 1.2  # below that, casting costs what the products gain


def settle_precision(config: Config, run: RunFolder | None = None, distribution: Distribution | None = None) -> Config:
    """Replaces `training.precision: auto` by `bfloat16` where the device multiplies faster in it, else by `float32`.

    Processors without instructions for bfloat16 multiply it several times more slowly, those with them twice as fast.

    Args:
        config: the settings.
        run: the run folder. A training that has begun there keeps its precision.
        distribution: the devices of the training. All workers follow what the chief measures.

    Returns:
        The settings, with a precision other than `auto`. What was measured is logged.
    """
    if config.training.precision != "auto":
        return config
    precision = _begun_precision(run) if run is not None else None
    if precision is None:
        (gain,) = (distribution or Distribution()).run_on_chief(lambda: [measure_gain()], 1)
        precision = "bfloat16" if gain >= _LEAST_GAIN else "float32"
        _LOG.info("precision of products: %s (bfloat16 is %.1f times as fast as float32)", precision, gain)
    return config.model_copy(update={"training": config.training.model_copy(update={"precision": precision})})


def measure_gain() -> float:
    """Measures how many times as fast a large product is in bfloat16 as in float32, on the device that trains."""
    product = tf.function(lambda left, right: tf.reduce_sum(tf.cast(tf.matmul(left, right), tf.float32)))
    sides = [tf.random.stateless_normal(shape, (1, 2)) for shape in ((_ROWS, _UNITS), (_UNITS, _VOCABULARY))]
    times: dict[tf.DType, list[float]] = {tf.float32: [], tf.bfloat16: []}
    for number in range(_ROUNDS + 1):
        for dtype, measured in times.items():
            operands = [tf.cast(side, dtype) for side in sides]
            start = time.perf_counter()
            product(*operands).numpy()
            if number:  # the first traces
                measured.append(time.perf_counter() - start)
    return statistics.median(times[tf.float32]) / statistics.median(times[tf.bfloat16])


def _begun_precision(run: RunFolder) -> str | None:
    """The precision of a training that can go on; None if there is none."""
    lines = read_metrics(run) if run.last.exists() else []
    found = (line.get("config", {}).get("training", {}).get("precision") for line in lines)
    return next(filter(None, found), None)
