"""Two tasks that only a long memory solves: the copy problem and the adding problem.

Both come from Hochreiter and Schmidhuber (1997, sections 5.1 to 5.4), in the form of Arjovsky et al. (2016). The best
score without memory is known for each, so a network's score shows whether it remembers.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class Batch(NamedTuple):
    """Sequences of the same length, and the answers to give at their last steps."""

    inputs: npt.NDArray[np.float32]  # [batch, time, features]
    targets: npt.NDArray[np.float32]  # [batch, answers]


class Scores(NamedTuple):
    """Mean loss and accuracy of predictions."""

    loss: float
    accuracy: float


class Task(Protocol):
    """The interface of a task: sequences of any delay, whose answers are due at their last steps."""

    @property
    def num_features(self) -> int:
        """Width of the inputs."""

    @property
    def num_outputs(self) -> int:
        """Width of a prediction."""

    @property
    def num_answers(self) -> int:
        """Number of steps at the end of a sequence that have an answer."""

    @property
    def chance(self) -> Scores:
        """The best scores without memory, the same for every delay."""

    def length(self, delay: int) -> int:
        """Returns the length in steps of a sequence with the given delay."""

    def batch(self, size: int, delay: int, generator: np.random.Generator) -> Batch:
        """Draws sequences.

        Args:
            size: number of sequences.
            delay: steps over which the network has to remember, at least 1.
            generator: random generator.
        """

    def losses(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Computes the loss of each answer.

        Args:
            targets: float32 `[batch, answers]`.
            predictions: float32 `[batch, answers, outputs]`.

        Returns:
            float32 `[batch, answers]`.
        """

    def correct(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Decides which answers are correct.

        Args:
            targets: float32 `[batch, answers]`.
            predictions: float32 `[batch, answers, outputs]`.

        Returns:
            float32 `[batch, answers]`, 1.0 where an answer is correct, else 0.0.
        """


@dataclass(frozen=True)
class CopyTask:
    """The copy problem: a sequence shows some symbols, then blanks, then a cue to repeat the symbols.

    The first symbol has to be repeated `delay` steps after the last one was shown, so each has to be remembered for
    `delay + remembered` steps. The inputs are one-hot vectors of the symbols, the blank and the cue, in this order.
    The loss is the cross-entropy; the best predictions without memory are equal probabilities.

    Args:
        symbols: number of different symbols.
        remembered: number of symbols to repeat.

    Example:

    >>> task = CopyTask(symbols=3, remembered=2)
    >>> inputs, targets = task.batch(1, 4, np.random.default_rng(0))
    >>> inputs[0].argmax(1).tolist(), targets[0].tolist()
    ([2, 1, 3, 3, 3, 4, 3, 3], [2.0, 1.0])
    """

    symbols: int = 8
    remembered: int = 3

    name: ClassVar[str] = "copy"

    @property
    def num_features(self) -> int:
        """One for each symbol, the blank and the cue."""
        return self.symbols + 2

    @property
    def num_outputs(self) -> int:
        """One logit for each symbol."""
        return self.symbols

    @property
    def num_answers(self) -> int:
        """One for each symbol to repeat."""
        return self.remembered

    @property
    def chance(self) -> Scores:
        """The scores of equal probabilities."""
        return Scores(float(np.log(self.symbols)), 1 / self.symbols)

    def length(self, delay: int) -> int:
        """The symbols, the delay, and the symbols again; see `Task.length`."""
        return delay + 2 * self.remembered

    def batch(self, size: int, delay: int, generator: np.random.Generator) -> Batch:
        """Draws sequences of random symbols; see `Task.batch`."""
        shown = generator.integers(self.symbols, size=(size, self.remembered))
        ids = np.full((size, self.length(delay)), self.symbols)
        ids[:, : self.remembered] = shown
        ids[:, self.remembered + delay - 1] = self.symbols + 1
        return Batch(np.eye(self.num_features, dtype=np.float32)[ids], shown.astype(np.float32))

    def losses(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Computes the cross-entropy of each symbol; see `Task.losses`."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(targets, tf.int32), predictions)

    def correct(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Compares the most likely symbol with the target; see `Task.correct`."""
        return tf.cast(tf.argmax(predictions, -1, tf.int32) == tf.cast(targets, tf.int32), tf.float32)


@dataclass(frozen=True)
class AddingTask:
    """The adding problem: a sequence of numbers, two of them marked; the answer at the end is the sum of these two.

    The numbers are uniform between 0 and 1. One is marked in each half of the sequence, which is `delay` steps long.
    The loss is the squared error. The best prediction without memory is always 1, with a loss of 1/6, the variance of
    the sum; a network that remembers only the second number reaches 1/12. An answer counts as correct within 0.08,
    the 0.04 of Hochreiter and Schmidhuber (1997), whose targets range from 0 to 1, scaled to sums from 0 to 2.

    Example:

    >>> inputs, targets = AddingTask().batch(5, 10, np.random.default_rng(0))
    >>> inputs.shape, targets.shape
    ((5, 10, 2), (5, 1))
    """

    name: ClassVar[str] = "adding"
    num_features: ClassVar[int] = 2  # the number, and 1.0 if it is marked
    num_outputs: ClassVar[int] = 1
    num_answers: ClassVar[int] = 1
    tolerance: ClassVar[float] = 0.08

    @property
    def chance(self) -> Scores:
        """The scores of always predicting 1: the density of the sum falls from 1 at 1 to 0 at 0 and 2."""
        return Scores(1 / 6, 2 * self.tolerance - self.tolerance**2)

    def length(self, delay: int) -> int:
        """The delay, but at least one step for each marked number; see `Task.length`."""
        return max(delay, 2)

    def batch(self, size: int, delay: int, generator: np.random.Generator) -> Batch:
        """Draws sequences of random numbers; see `Task.batch`."""
        length, rows = self.length(delay), np.arange(size)
        numbers = generator.random((size, length))
        marks = np.zeros((size, length))
        for begin, end in ((0, length // 2), (length // 2, length)):
            marks[rows, generator.integers(begin, end, size)] = 1
        sums = (numbers * marks).sum(1, keepdims=True)
        return Batch(np.stack([numbers, marks], -1).astype(np.float32), sums.astype(np.float32))

    def losses(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Computes the squared error of each sum; see `Task.losses`."""
        return tf.square(predictions[..., 0] - tf.cast(targets, predictions.dtype))

    def correct(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Compares the error with the tolerance; see `Task.correct`."""
        return tf.cast(self.losses(targets, predictions) <= self.tolerance**2, tf.float32)


TASKS: dict[str, Task] = {"copy": CopyTask(), "adding": AddingTask()}
