"""The vanishing gradient of each cell before, during and after training on a task that needs a long memory."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.analysis.curriculum import CurriculumResult, score, train_curriculum
from nmt.analysis.gradients import (
    Curve,
    gradient_curves,
    gradient_norm_bound,
    norms_by_distance,
    spectral_norm,
    state_gradients,
)
from nmt.analysis.network import TaskNetwork
from nmt.analysis.tasks import TASKS, Scores
from nmt.layers.cells import CELLS
from nmt.layers.simple_rnn import SimpleRNN
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)

MEASURED_SEQUENCES = 128


class ExperimentSettings(NamedTuple):
    """Settings of an experiment.

    Attributes:
        cells: keys of `CELLS`, the cells to train.
        task: a key of `TASKS`.
        delay: delay in steps up to which a network is trained, and at which gradients are measured.
        units: width of the states.
        steps: maximum number of training steps.
        learning_rate: learning rate of Adam.
        seed: seed of the weights and of the sequences.
        chrono: whether the gates are initialised to retain states for up to `delay` steps (Tallec and Ollivier 2018).
    """

    cells: tuple[str, ...] = tuple(CELLS)
    task: str = "copy"
    delay: int = 100
    units: int = 64
    steps: int = 5000
    learning_rate: float = 0.003
    seed: int = 1
    chrono: bool = False

    @property
    def distance(self) -> int:
        """The distance in steps at which norms are compared: the delay, or the whole sequence if that is shorter."""
        return min(self.delay, TASKS[self.task].length(self.delay) - 1)


class Measurement(NamedTuple):
    """Gradients of the loss at the last step with respect to the states, at one point of the training.

    Attributes:
        training_steps: number of training steps made before.
        longest_delay: the longest delay learned before.
        curves: norms by distance: `all` for all states of the cell together, and one for each state of an LSTM, all
            relative to `all` at the last step.
        bound: upper bound of the norms for the traditional network, on the same sequences; None for other cells.
        spectral_norm: largest singular value of the traditional network's recurrent matrix; None for other cells.
    """

    training_steps: int
    longest_delay: int
    curves: dict[str, Curve]
    bound: Curve | None
    spectral_norm: float | None


class CellResult(NamedTuple):
    """The results of one cell.

    Attributes:
        curriculum: how far the training came.
        scores: scores after training, at the delay of the settings.
        measurements: the gradients; the first before training, the last after it.
    """

    curriculum: CurriculumResult
    scores: Scores
    measurements: list[Measurement]


def run_experiment(settings: ExperimentSettings) -> dict[str, CellResult]:
    """Trains a network of each cell, and measures its gradients before, during and after training.

    Args:
        settings: the cells, the task and the training.

    Returns:
        The result of each cell, by its name.

    Raises:
        UserError: if a cell or the task does not exist.

    Example:

    >>> results = run_experiment(ExperimentSettings(cells=("gru",), delay=2, units=4, steps=0))
    >>> results["gru"].measurements[0].curves["all"].median[:1].tolist()
    [1.0]
    """
    for cell in settings.cells:
        if cell not in CELLS:
            raise UserError(f"`cells`: expected some of {', '.join(CELLS)}, got {cell!r}")
    if settings.task not in TASKS:
        raise UserError(f"`task`: expected one of {', '.join(TASKS)}, got {settings.task!r}")
    return {cell: _run_cell(cell, settings) for cell in dict.fromkeys(settings.cells)}


def _run_cell(cell: str, settings: ExperimentSettings) -> CellResult:
    task, seed, delay = TASKS[settings.task], settings.seed, settings.delay
    network = TaskNetwork(cell, settings.units, task, seed, max(delay, 2) if settings.chrono else None)
    measure = _make_measure(network, delay, seed)
    measurements = [measure(0, 0)]

    def on_stage(result: CurriculumResult) -> None:
        steps = result.training_steps
        _LOG.info("%s: learned delay %d after %d steps, %.0f s", cell, result.longest_delay, steps, result.seconds)
        if result.longest_delay >= 2 * measurements[-1].longest_delay:
            measurements.append(measure(steps, result.longest_delay))

    result = train_curriculum(network, delay, settings.steps, seed, settings.learning_rate, on_stage)
    if result.longest_delay < delay:
        _LOG.info("%s: no longer delay within %d steps, %.0f s", cell, result.training_steps, result.seconds)
    if measurements[-1].training_steps < result.training_steps or len(measurements) == 1:
        measurements.append(measure(result.training_steps, result.longest_delay))
    return CellResult(result, score(network, delay, np.random.default_rng(seed)), measurements)


def _make_measure(network: TaskNetwork, delay: int, seed: int) -> Callable[[int, int], Measurement]:
    """Returns a function that measures a network's gradients, always on the same sequences."""
    layer = network.recurrent
    # Training draws its sequences from the seed alone, so these are others.
    inputs, targets = map(tf.constant, network.task.batch(MEASURED_SEQUENCES, delay, np.random.default_rng((seed, 1))))

    def last_loss() -> tf.Tensor:
        return network.task.losses(targets, network(inputs, training=False))[:, -1]

    # Traced once; every call reads the current weights.
    gradients = tf.function(lambda: state_gradients([layer], last_loss)[0], autograph=False).get_concrete_function()

    def measure(training_steps: int, longest_delay: int) -> Measurement:
        curves = gradient_curves(gradients())
        if not isinstance(layer, SimpleRNN):
            return Measurement(training_steps, longest_delay, curves, None, None)
        bound = norms_by_distance(gradient_norm_bound(layer, layer(inputs)))
        return Measurement(training_steps, longest_delay, curves, bound, spectral_norm(layer))

    return measure
