"""Two tasks that nothing but a long memory solves: the copy problem and the adding problem.

Both come from Hochreiter and Schmidhuber 1997 (sections 5.1 to 5.4), in the form of Arjovsky et al. 2016. Of each it is
known what an answer without memory scores, so that a network's score tells whether it remembers.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class Batch(NamedTuple):
    """Sequences of the same length."""

    inputs: npt.NDArray[np.float32]  # [batch, time, features]
    targets: npt.NDArray[np.float32]  # [batch, answers], for the last steps of the sequence


class Scores(NamedTuple):
    """How well something answers."""

    loss: float
    accuracy: float


class Task(Protocol):
    """Sequences of a chosen delay, answered at their last steps."""

    @property
    def features(self) -> int:
        """Width of the inputs."""

    @property
    def outputs(self) -> int:
        """Width of the predictions."""

    @property
    def answers(self) -> int:
        """How many of the last steps are answered."""

    @property
    def chance(self) -> Scores:
        """What the best answer without memory scores, the same at every delay."""

    def length(self, delay: int) -> int:
        """Steps of a sequence."""

    def batch(self, size: int, delay: int, generator: np.random.Generator) -> Batch:
        """Draws sequences."""

    def losses(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """`[batch, answers]` from targets, of that shape too, and predictions `[batch, answers, outputs]`."""

    def correct(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Whether each answer counts as right, 0.0 or 1.0, `[batch, answers]`."""


@dataclass(frozen=True)
class CopyTask:
    """Some symbols, blanks, a cue, and then the same symbols are to be said.

    The cue comes so that the first symbol is due `delay` steps after the last one was shown; each has to be kept for
    `delay + remembered` steps. All inputs are one-hot: the symbols, then the blank, then the cue. The loss is the
    cross-entropy; without memory nothing is better than equal probabilities.

    Args:
        symbols: to choose from.
        remembered: symbols of a sequence.

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
    def features(self) -> int:
        """The symbols, the blank and the cue."""
        return self.symbols + 2

    @property
    def outputs(self) -> int:
        """A score for each symbol."""
        return self.symbols

    @property
    def answers(self) -> int:
        """One for each symbol that was shown."""
        return self.remembered

    @property
    def chance(self) -> Scores:
        """Of equal probabilities."""
        return Scores(float(np.log(self.symbols)), 1 / self.symbols)

    def length(self, delay: int) -> int:
        """The symbols, the delay, and the symbols again."""
        return delay + 2 * self.remembered

    def batch(self, size: int, delay: int, generator: np.random.Generator) -> Batch:
        """See `Task.batch`; the delay is at least 1."""
        shown = generator.integers(self.symbols, size=(size, self.remembered))
        ids = np.full((size, self.length(delay)), self.symbols)
        ids[:, : self.remembered] = shown
        ids[:, self.remembered + delay - 1] = self.symbols + 1
        return Batch(np.eye(self.features, dtype=np.float32)[ids], shown.astype(np.float32))

    def losses(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of each symbol."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(targets, tf.int32), predictions)

    def correct(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Whether the likeliest symbol is the right one."""
        return tf.cast(tf.argmax(predictions, -1, tf.int32) == tf.cast(targets, tf.int32), tf.float32)


@dataclass(frozen=True)
class AddingTask:
    """Many numbers, two of them marked; their sum is to be said at the end.

    The numbers are uniform between 0 and 1; one is marked in each half of the sequence, which is `delay` steps long.
    The loss is the squared error. Without memory nothing is better than to say 1 always: 1/6, the variance of the sum;
    with a memory of the second number alone, 1/12. An answer counts as right within 0.08, which is Hochreiter and
    Schmidhuber's 0.04 for their sums, scaled to half as wide a range.

    Example:

    >>> inputs, targets = AddingTask().batch(5, 10, np.random.default_rng(0))
    >>> inputs.shape, targets.shape
    ((5, 10, 2), (5, 1))
    """

    name: ClassVar[str] = "adding"
    features: ClassVar[int] = 2  # number and mark
    outputs: ClassVar[int] = 1
    answers: ClassVar[int] = 1
    tolerance: ClassVar[float] = 0.08

    @property
    def chance(self) -> Scores:
        """Of always saying 1: the sum's density falls from 1 there to 0 at 0 and 2."""
        return Scores(1 / 6, 2 * self.tolerance - self.tolerance**2)

    def length(self, delay: int) -> int:
        """The delay, and at least a step for each marked number."""
        return max(delay, 2)

    def batch(self, size: int, delay: int, generator: np.random.Generator) -> Batch:
        """See `Task.batch`."""
        length, rows = self.length(delay), np.arange(size)
        numbers = generator.random((size, length))
        marks = np.zeros((size, length))
        for begin, end in ((0, length // 2), (length // 2, length)):
            marks[rows, generator.integers(begin, end, size)] = 1
        sums = (numbers * marks).sum(1, keepdims=True)
        return Batch(np.stack([numbers, marks], -1).astype(np.float32), sums.astype(np.float32))

    def losses(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """The squared error."""
        return tf.square(predictions[..., 0] - tf.cast(targets, predictions.dtype))

    def correct(self, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Whether the error is within the tolerance."""
        return tf.cast(self.losses(targets, predictions) <= self.tolerance**2, tf.float32)


TASKS: dict[str, Task] = {"copy": CopyTask(), "adding": AddingTask()}
