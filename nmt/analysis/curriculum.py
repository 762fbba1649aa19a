"""Trains a network on a task whose delay grows: as soon as one delay is learned, a longer one follows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from nmt.analysis.network import TaskNetwork
from nmt.analysis.tasks import Scores

LEARNED_ACCURACY = 0.99  # from which a delay counts as learned
DELAY_GROWTH = 1.5  # factor from one delay to the next
STEPS_PER_EVALUATION = 50  # training steps between two evaluations
BATCH_SIZE = 64
EVALUATION_SEQUENCES = 256


class Stage(NamedTuple):
    """A delay that was learned, and the training steps and the seconds that had passed by then."""

    delay: int
    training_steps: int
    seconds: float


@dataclass(frozen=True)
class CurriculumResult:
    """How far the training of a network came.

    Attributes:
        stages: the delays that were learned, in order.
        training_steps: number of training steps made.
        seconds: time taken.
    """

    stages: list[Stage] = field(default_factory=list)
    training_steps: int = 0
    seconds: float = 0.0

    @property
    def longest_delay(self) -> int:
        """The longest delay that was learned; 0 if there is none."""
        return self.stages[-1].delay if self.stages else 0


def delays_up_to(longest: int) -> list[int]:
    """Returns the delays of the curriculum, in order.

    Args:
        longest: the last delay, at least 1.

    Example:

    >>> delays_up_to(10)
    [1, 2, 3, 4, 6, 9, 10]
    """
    delays = [1]
    while delays[-1] < longest:
        delays.append(min(max(delays[-1] + 1, round(DELAY_GROWTH * delays[-1])), longest))
    return delays


def train_curriculum(
    network: TaskNetwork,
    longest_delay: int,
    max_steps: int,
    seed: int,
    learning_rate: float,
    on_stage: Callable[[CurriculumResult], None] = lambda result: None,
) -> CurriculumResult:
    """Trains a network with Adam and gradients clipped to a norm of 1, on growing delays.

    Args:
        network: an untrained network.
        longest_delay: delay after which the training ends.
        max_steps: maximum number of training steps.
        seed: seed of the sequences.
        learning_rate: Adam's learning rate.
        on_stage: called with the result so far whenever a delay has been learned.

    Returns:
        The result of the whole training.
    """
    task, generator, start = network.task, np.random.default_rng(seed), time.perf_counter()
    network.compile(optimizer=keras.optimizers.Adam(learning_rate, clipnorm=1.0), loss=task.losses, jit_compile=False)
    result = CurriculumResult()
    for delay in delays_up_to(longest_delay):
        while score(network, delay, generator).accuracy < LEARNED_ACCURACY:
            if result.training_steps >= max_steps:
                return result
            batch = task.batch(BATCH_SIZE * STEPS_PER_EVALUATION, delay, generator)
            network.fit(*batch, batch_size=BATCH_SIZE, shuffle=False, verbose=0)
            steps = result.training_steps + STEPS_PER_EVALUATION
            result = replace(result, training_steps=steps, seconds=time.perf_counter() - start)
        stage = Stage(delay, result.training_steps, time.perf_counter() - start)
        result = replace(result, stages=[*result.stages, stage], seconds=stage.seconds)
        on_stage(result)
    return result


def score(network: TaskNetwork, delay: int, generator: np.random.Generator) -> Scores:
    """Computes the loss and accuracy of a network on fresh sequences.

    Args:
        network: the network.
        delay: delay of the sequences, in steps.
        generator: random generator of the sequences.
    """
    task = network.task
    inputs, targets = map(tf.constant, task.batch(EVALUATION_SEQUENCES, delay, generator))
    predictions = network(inputs, training=False)
    means = (tf.reduce_mean(measure(targets, predictions)) for measure in (task.losses, task.correct))
    return Scores(*map(float, means))
