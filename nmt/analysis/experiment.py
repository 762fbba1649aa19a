"""The vanishing gradient of each cell, before, during and after it is trained on a task that needs a long memory."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.analysis.gradients import Curve, by_distance, curves, greatest_singular_value, rnn_bound, state_gradients
from nmt.analysis.network import MemoryNetwork
from nmt.analysis.tasks import TASKS, Scores
from nmt.analysis.training import Learned, score, train
from nmt.layers.cells import CELLS
from nmt.layers.simple_rnn import SimpleRNN
from nmt.utils.errors import UserError

MEASURED = 128  # sequences whose gradients are taken


class Settings(NamedTuple):
    """What is tried."""

    cells: tuple[str, ...] = tuple(CELLS)
    task: str = "copy"
    delay: int = 100  # at which gradients are taken, and up to which a network is trained
    units: int = 64
    steps: int = 5000  # of training, at most
    learning_rate: float = 0.003
    seed: int = 1
    chrono: bool = False  # whether gates begin as made for the delay, see `chrono_bias`

    @property
    def distance(self) -> int:
        """Over which norms are compared: the delay, or all of a sequence that is no longer."""
        return min(self.delay, TASKS[self.task].length(self.delay) - 1)


class Point(NamedTuple):
    """The gradient of the loss at the last step, at one point of a training."""

    step: int
    learned: int  # the longest delay so far
    states: dict[str, Curve]  # of all states together, `all`, and of each; all relative to the former at the last step
    bound: Curve | None  # of the traditional network's, for the states of the same sequences
    singular_value: float | None  # the greatest of its matrix


class Outcome(NamedTuple):
    """What came of one cell."""

    learned: Learned
    scores: Scores  # at the delay, after training
    points: list[Point]  # the first before training, the last after it


def run_experiment(settings: Settings, message: Callable[[str], None]) -> dict[str, Outcome]:
    """Trains a network of each cell and measures its gradients on the way.

    Args:
        settings: what is tried.
        message: is given lines for people about what is being done.

    Raises:
        UserError: if there is no such cell.
    """
    for cell in settings.cells:
        if cell not in CELLS:
            raise UserError(f"--cell {cell}: there is no such cell; expected {', '.join(CELLS)}")
    return {cell: _try_cell(cell, settings, message) for cell in dict.fromkeys(settings.cells)}


def _try_cell(cell: str, settings: Settings, message: Callable[[str], None]) -> Outcome:
    task, seed, delay = TASKS[settings.task], settings.seed, settings.delay
    network = MemoryNetwork(cell, settings.units, task, seed, delay if settings.chrono else None)
    measure = _measurer(network, delay, seed)
    points = [measure(0, 0)]

    def on_stage(learned: Learned) -> None:
        message(f"{cell}: delay {learned.longest} learned after {learned.steps:,} steps, {learned.seconds:.0f} s")
        if learned.longest >= 2 * points[-1].learned:
            points.append(measure(learned.steps, learned.longest))

    learned = train(network, delay, settings.steps, seed, settings.learning_rate, on_stage)
    if learned.longest < delay:
        message(f"{cell}: not more within {learned.steps:,} steps, {learned.seconds:.0f} s")
    if points[-1].step < learned.steps or len(points) == 1:
        points.append(measure(learned.steps, learned.longest))
    return Outcome(learned, score(network, delay, np.random.default_rng(seed)), points)


def _measurer(network: MemoryNetwork, delay: int, seed: int) -> Callable[[int, int], Point]:
    """Takes a network's gradients, always on the same sequences."""
    layer = network.recurrent
    # Another generator than that of the training's sequences, which begins at the seed alone.
    inputs, targets = map(tf.constant, network.task.batch(MEASURED, delay, np.random.default_rng((seed, 1))))

    def last_loss() -> tf.Tensor:
        return network.task.losses(targets, network(inputs, training=False))[:, -1]

    # In the graph, and traced once: every call finds the weights as they are by then.
    gradients = tf.function(lambda: state_gradients([layer], last_loss)[0], autograph=False).get_concrete_function()

    def measure(step: int, learned: int) -> Point:
        of_states = gradients()
        bound = singular_value = None
        if isinstance(layer, SimpleRNN):
            bound = by_distance(rnn_bound(layer, layer(inputs)))
            singular_value = greatest_singular_value(layer)
        return Point(step, learned, curves(of_states), bound, singular_value)

    return measure
