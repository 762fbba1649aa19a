"""How much of a training step XLA compiles, chosen by measuring."""

import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, get_args

import keras
import tensorflow as tf

from nmt.data.shapes import Shape
from nmt.training.distribution import Distribution
from nmt.training.state import variables_of
from nmt.training.trainer import Extent, Trainer
from nmt.utils.progress import tracked

_LOG = logging.getLogger(__name__)

_TIMED_STEPS = 4  # after the first, which traces and compiles


class StepTimes(NamedTuple):
    """What the steps of one batch shape cost with an extent of compilation, in seconds.

    Attributes:
        compiling: float, the additional time of its first step, without that for tracing, which is done once for all
            shapes.
        later: float, each step after it.
    """

    compiling: float
    later: float


def choose_extent(trainer: Trainer, distribution: Distribution, shapes: Sequence[Shape], steps: int) -> Extent:
    """Measures a step with each extent of compilation, on a batch of the middle shape, and chooses the cheapest.

    Compiling costs seconds for each batch shape and saves some of the time of each step. What is more depends on the
    device, the model, and the number of steps:

        cost = number of shapes * compiling + steps * later

    The training's variables are as before afterwards.

    Args:
        trainer: the trainer.
        distribution: the devices of the training. All workers follow the chief's choice.
        shapes: the shapes of the batches.
        steps: int, the number of batches left to train on.

    Returns:
        The extent. What was measured is logged.
    """
    if isinstance(distribution.strategy, tf.distribute.TPUStrategy):
        return "step"  # a TPU runs nothing else
    with variables_restored(trainer):
        measured = _measure_extents(trainer, distribution, shapes[len(shapes) // 2])
    costs = [times.compiling * len(shapes) + times.later * steps for times in measured.values()]
    (choice,) = distribution.run_on_chief(lambda: [float(costs.index(min(costs)))], 1)
    chosen = list(measured)[int(choice)]
    listed = ", ".join(f"{extent} {1000 * times.later:.0f} ms" for extent, times in measured.items())
    _LOG.info("XLA compiles: %s (a step takes, with each: %s)", chosen, listed)
    return chosen


def _measure_extents(trainer: Trainer, distribution: Distribution, shape: Shape) -> dict[Extent, StepTimes]:
    """Measures what a step costs with each extent of compilation; this trains.

    Args:
        trainer: the trainer.
        distribution: the devices of the training.
        shape: the shape of the batches.
    """
    measured: dict[Extent, StepTimes] = {}
    tracing = 0.0
    for extent in get_args(Extent):
        trainer.compile_extent(extent)
        first, *others = time_steps(trainer, distribution, [shape] * (1 + _TIMED_STEPS))
        later = statistics.median(others)
        tracing = first - later if extent == "none" else tracing  # without XLA the first step takes no longer otherwise
        measured[extent] = StepTimes(max(first - later - tracing, 0.0), later)
    return measured


def time_steps(trainer: Trainer, distribution: Distribution, shapes: Sequence[Shape]) -> list[float]:
    """Makes training steps on batches of random tokens, and returns the seconds that each took.

    Args:
        trainer: the trainer.
        distribution: the devices of the training.
        shapes: the shapes of the batches, one for each step.
    """
    clock = _Clock(len(shapes))
    batches = distribution.random_batches(shapes, trainer.model.vocabulary_size)
    trainer.fit(batches, steps_per_epoch=len(shapes), callbacks=[clock], shuffle=False, verbose=0)
    return clock.times


@contextmanager
def variables_restored(trainer: Trainer) -> Iterator[None]:
    """Gives all variables of a training their values back when the block ends.

    Args:
        trainer: the trainer, which may train within the block.
    """
    variables = list(variables_of(trainer).values())
    before = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


class _Clock(keras.callbacks.Callback):
    """Measures the time of each step, and shows how many are done."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.times: list[float] = []
        self.progress = tracked(range(steps), "compiling", steps)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Starts the clock."""
        next(self.progress)
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops the clock once the results of the step are there."""
        float((logs or {})["loss"])
        self.times.append(time.perf_counter() - self.start)

    def on_train_end(self, logs: Any = None) -> None:
        """Removes the progress line."""
        next(self.progress, None)
