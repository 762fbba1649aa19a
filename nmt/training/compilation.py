"""How much of a training step XLA compiles, chosen by measuring, and all batch shapes compiled before training."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, get_args

import keras
import tensorflow as tf

from nmt.data.shapes import Shape
from nmt.training.distribution import Distribution
from nmt.training.state import variables_of
from nmt.training.trainer import Extent, Trainer
from nmt.utils.progress import tracked

_STEPS = 4  # that are timed, after the first


class Measurement(NamedTuple):
    """What an extent of compilation costs, in seconds."""

    first: float  # step of a shape: tracing and compiling above all
    later: float


def choose_extent(
    trainer: Trainer,
    distribution: Distribution,
    shapes: Sequence[Shape],
    steps: int,
    message: Callable[[str], None],
) -> Extent:
    """Measures a step with each extent of compilation, on a batch of the middle shape, and takes the cheapest.

    Compiling costs seconds for each batch shape and saves some of the time of each step; which is more depends on the
    device, the model, and the number of steps. The training's variables are as before afterwards.

    Args:
        trainer: what is trained.
        distribution: on which devices. The chief's choice is everyone's.
        shapes: of the batches.
        steps: batches that are left to train on.
        message: is told what was measured.
    """
    if isinstance(distribution.strategy, tf.distribute.TPUStrategy):
        return "step"  # it knows no other
    middle = shapes[len(shapes) // 2]
    extents: tuple[Extent, ...] = get_args(Extent)

    def measure(extent: Extent) -> Measurement:
        trainer.compile_extent(extent)
        first, *later = times_of_steps(trainer, distribution, [middle] * (1 + _STEPS))
        return Measurement(first, statistics.median(later))

    with unchanged(trainer):
        measured = [measure(extent) for extent in extents]
    costs = [
        one.first * (1 if extent == "none" else len(shapes)) + one.later * steps
        for extent, one in zip(extents, measured, strict=True)
    ]
    (choice,) = distribution.by_chief(lambda: [float(costs.index(min(costs)))], 1)
    extent = extents[int(choice)]
    told = ", ".join(f"{name} {1000 * one.later:.0f} ms" for name, one in zip(extents, measured, strict=True))
    message(f"XLA compiles: {extent} (a step takes, with each: {told})")
    return extent


def compile_shapes(
    trainer: Trainer, distribution: Distribution, shapes: Sequence[Shape], message: Callable[[str], None]
) -> float:
    """Compiles the step for all batch shapes, and tells how long it took, in seconds.

    Each is run once, as there is no other way to have it compiled; the training's variables are as before afterwards.

    Args:
        trainer: what is trained.
        distribution: on which devices.
        shapes: of the batches.
        message: is told the time.
    """
    start = time.perf_counter()
    with unchanged(trainer):
        times_of_steps(trainer, distribution, shapes)
    seconds = time.perf_counter() - start
    message(f"{len(shapes)} batch shapes compiled in {seconds:.0f} s")
    return seconds


def times_of_steps(trainer: Trainer, distribution: Distribution, shapes: Sequence[Shape]) -> list[float]:
    """The seconds of training steps on batches of random tokens."""
    clock = _Clock(len(shapes))
    batches = distribution.random_batches(shapes, trainer.model.vocabulary_size)
    trainer.fit(batches, steps_per_epoch=len(shapes), callbacks=[clock], shuffle=False, verbose=0)
    return clock.times


@contextmanager
def unchanged(trainer: Trainer) -> Iterator[None]:
    """Within, the trainer can train; afterwards all its variables are as before."""
    variables = list(variables_of(trainer).values())
    before = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


class _Clock(keras.callbacks.Callback):
    """Takes the time of each step, and shows how many are done."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.times: list[float] = []
        self.progress = tracked(range(steps), "compiling", steps)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Starts."""
        next(self.progress)
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops, once the step's results are there."""
        float((logs or {})["loss"])
        self.times.append(time.perf_counter() - self.start)

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the line away."""
        next(self.progress, None)
