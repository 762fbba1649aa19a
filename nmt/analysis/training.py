"""How long a cell can learn to remember: a network is trained on a task whose delay grows with its success."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from nmt.analysis.network import MemoryNetwork
from nmt.analysis.tasks import Scores

LEARNED = 0.99  # the accuracy at which a delay counts as learned
GROWTH = 1.5  # each delay to the next
ROUND = 50  # training steps between two looks at the accuracy
BATCH = 64
EVALUATED = 256  # sequences of such a look


class Stage(NamedTuple):
    """A delay that was learned."""

    delay: int
    step: int  # training steps that had been made when it was
    seconds: float  # and the time


@dataclass(frozen=True)
class Learned:
    """How far a network came."""

    cell: str
    units: int
    seed: int
    stages: list[Stage] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    @property
    def longest(self) -> int:
        """The longest delay learned; 0 if not even the shortest was."""
        return self.stages[-1].delay if self.stages else 0


def delays_up_to(longest: int) -> list[int]:
    """The delays that are learned one after the other.

    >>> delays_up_to(10)
    [1, 2, 3, 4, 6, 9, 10]
    """
    delays = [1]
    while delays[-1] < longest:
        delays.append(min(max(delays[-1] + 1, round(GROWTH * delays[-1])), longest))
    return delays


def train(
    network: MemoryNetwork,
    longest: int,
    steps: int,
    seed: int,
    learning_rate: float,
    on_stage: Callable[[Learned], None] = lambda learned: None,
) -> Learned:
    """Trains a network on delays that grow: as soon as one is learned, the next one follows.

    Args:
        network: not yet trained.
        longest: delay, at which training ends.
        steps: at most.
        seed: of the sequences.
        learning_rate: of Adam; gradients are clipped to a norm of 1.
        on_stage: is told whenever a delay has been learned.
    """
    task, generator, start = network.task, np.random.default_rng(seed), time.perf_counter()
    network.compile(optimizer=keras.optimizers.Adam(learning_rate, clipnorm=1.0), loss=task.losses, jit_compile=False)
    learned = Learned(network.recurrent.name, network.recurrent.cell.units, seed)
    for delay in delays_up_to(longest):
        while score(network, delay, generator).accuracy < LEARNED:
            if learned.steps >= steps:
                return learned
            batch = task.batch(BATCH * ROUND, delay, generator)
            network.fit(*batch, batch_size=BATCH, shuffle=False, verbose=0)
            learned = replace(learned, steps=learned.steps + ROUND, seconds=time.perf_counter() - start)
        stage = Stage(delay, learned.steps, time.perf_counter() - start)
        learned = replace(learned, stages=[*learned.stages, stage], seconds=stage.seconds)
        on_stage(learned)
    return learned


def score(network: MemoryNetwork, delay: int, generator: np.random.Generator) -> Scores:
    """Loss and accuracy on sequences drawn anew."""
    task = network.task
    inputs, targets = map(tf.constant, task.batch(EVALUATED, delay, generator))
    predictions = network(inputs, training=False)
    means = (tf.reduce_mean(measure(targets, predictions)) for measure in (task.losses, task.correct))
    return Scores(*map(float, means))
