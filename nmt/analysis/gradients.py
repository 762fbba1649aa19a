"""How much a loss depends on the states of a recurrent layer many steps before: the gradient that vanishes or not.

To each state after each step a zero is added, and the loss is differentiated by these zeros. So one pass back gives
d(loss)/d(state after step t) for all t, along every path by which that state reaches the loss, in whatever model the
layer stands.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nmt.layers.recurrence import Equations, Options, Step, Tensors, recur
from nmt.layers.recurrent import Recurrent
from nmt.layers.simple_rnn import SimpleRNN

Array = npt.NDArray[np.float64]


def state_gradients(layers: Sequence[Recurrent], loss: Callable[[], tf.Tensor]) -> list[Tensors]:
    """The gradient of a loss by the states after each step.

    Args:
        layers: whose states.
        loss: runs each of the layers once, in whatever model they stand, and returns losses of any shape, of which the
            sum is differentiated. Where each is of one sequence of a batch, so are the gradients.

    Returns:
        For each layer, one tensor `[batch, time, units]` for each state of its cell. Time is that of the layer's
        inputs, also where it reads them backwards. At padded steps the gradient is zero.

    Example:

    >>> layer = SimpleRNN(3)
    >>> sequence = tf.ones((2, 5, 4))
    >>> ((gradient,),) = state_gradients([layer], lambda: layer(sequence))
    >>> tuple(gradient.shape), gradient[0, -1].numpy().tolist()
    ((2, 5, 3), [1.0, 1.0, 1.0])
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape, ExitStack() as stack:
        zeros = [stack.enter_context(_zeros_added(layer, tape)) for layer in layers]
        total = tf.reduce_sum(loss())
    gradients = tape.gradient(total, zeros, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tuple(tf.transpose(gradient, (1, 0, 2)) for gradient in of_layer) for of_layer in gradients]


class Curve(NamedTuple):
    """Norms relative to one at each sequence's last step, by distance from it, over a batch of sequences."""

    median: Array  # [distance]
    lower: Array  # quartile
    upper: Array
    sequences: npt.NDArray[np.int64]  # that are so long


def by_distance(norms: npt.ArrayLike, mask: npt.ArrayLike | None = None, relative_to: Any = None) -> Curve:
    """Norms over time as a function of the number of steps to the end.

    Args:
        norms: `[batch, time]`.
        mask: True where a step is real, likewise; all are if absent. A sequence of no real step is left out.
        relative_to: norms of which that at the last real step counts as 1, likewise, by default the same; where it is
            zero, the sequence is left out too.

    Example:

    >>> by_distance([[1, 2, 4, 0], [9, 3, 3, 3]], [[True, True, True, False], [True] * 4]).median.tolist()
    [1.0, 0.75, 0.625, 3.0]
    """
    values = np.asarray(norms, np.float64)
    references = values if relative_to is None else np.asarray(relative_to, np.float64)
    real = np.ones(values.shape, bool) if mask is None else np.asarray(mask)
    rows: list[Array] = []
    for row, reference, there in zip(values, references, real, strict=True):
        if there.any() and (last := reference[there][-1]) > 0:
            rows.append(row[there][::-1] / last)
    longest = max(map(len, rows), default=0)
    columns = [[row[distance] for row in rows if distance < len(row)] for distance in range(longest)]
    quartiles = np.array([np.quantile(column, (0.25, 0.5, 0.75)) for column in columns]).reshape(-1, 3)
    lower, median, upper = quartiles.T
    return Curve(median, lower, upper, np.array([len(column) for column in columns], np.int64))


def joint_norm(gradients: Sequence[Any]) -> Array:
    """The norm over all states of a cell together, `[batch, time]`, from `[batch, time, units]` each."""
    return np.sqrt(sum(np.square(np.asarray(gradient, np.float64)).sum(-1) for gradient in gradients))


def curves(gradients: Sequence[Any], mask: npt.ArrayLike | None = None) -> dict[str, Curve]:
    """Norms of a cell's gradients by distance: of all states together and, where there are several, of each.

    Args:
        gradients: `[batch, time, units]` of each state.
        mask: see `by_distance`.
    """
    together = joint_norm(gradients)
    result = {"all": by_distance(together, mask)}
    if len(gradients) > 1:
        for name, gradient in zip(("h", "c"), gradients, strict=True):
            result[name] = by_distance(joint_norm([gradient]), mask, relative_to=together)
    return result


def rnn_bound(layer: SimpleRNN, states: npt.ArrayLike) -> Array:
    """What the gradient of the traditional recurrent network cannot exceed.

    From one step to the one before, the gradient is multiplied by diag(1 - h^2) and by U^T, so its norm at most by the
    greatest 1 - h_i^2 and by the greatest singular value of U (Bengio et al. 1994; Pascanu et al. 2013, section 2.1).

    Args:
        layer: without layer normalisation.
        states: after each step, `[batch, time, units]`.

    Returns:
        For each step the product over all that follow, `[batch, time]`: the bound of the gradient's norm relative to
        that at the last step, for a loss that depends on the last state alone.

    Raises:
        ValueError: with layer normalisation, which divides by a deviation that may be as small as it likes.
    """
    if layer.cell.layer_normalization:
        raise ValueError("rnn_bound: expected a layer without layer normalisation")
    slopes = (1 - np.square(np.asarray(states, np.float64))).max(-1)
    following = np.concatenate([greatest_singular_value(layer) * slopes[:, 1:], np.ones_like(slopes[:, :1])], 1)
    return np.cumprod(following[:, ::-1], 1)[:, ::-1]


def greatest_singular_value(layer: SimpleRNN) -> float:
    """Of the matrix U that carries the state on. Its power T - t is a coarser bound, whatever the states are."""
    return float(np.linalg.norm(layer.cell.recurrent_kernel.numpy().astype(np.float64), 2))


@contextmanager
def _zeros_added(layer: Recurrent, tape: tf.GradientTape) -> Iterator[list[tf.Tensor]]:
    """Within it the layer, when it runs, adds zeros to its states, which the tape watches: `[time, batch, units]`."""
    zeros: list[tf.Tensor] = []

    def run(
        sequence: tf.Tensor, states: Tensors, mask: tf.Tensor | None, dropout_mask: tf.Tensor | None, options: Options
    ) -> tuple[tf.Tensor, Tensors]:
        """As `Recurrent.run`, always stepped."""
        cell = layer.cell
        projected = tf.cast(cell.project(tf.transpose(sequence, (1, 0, 2))), cell.state_dtype)
        shape = tf.concat([tf.shape(projected)[:2], [cell.units]], 0)
        zeros.extend(tf.zeros(shape, cell.state_dtype) for _ in states)
        tape.watch(zeros)
        outputs, last = recur(
            _Perturbed(cell.equations, projected.shape[-1], cell.units),
            tf.concat([projected, *zeros], -1),
            states,
            cell.recurrent_weights(),
            mask=None if mask is None else tf.transpose(mask),
            dropout_mask=dropout_mask,
            options=Options(reverse=options.reverse),
        )
        outputs = tf.reverse(outputs, (0,)) if options.reverse else outputs
        return tf.transpose(outputs, (1, 0, 2)), last

    layer.__dict__["run"] = run  # hides the class's method
    try:
        yield zeros
    finally:
        del layer.__dict__["run"]


@dataclass(frozen=True)
class _Perturbed:
    """A cell's step, and then something is added to each new state: what stands beside the input products.

    Args:
        equations: of the cell.
        width: of the input products.
        units: of a state.
    """

    equations: Equations
    width: int
    units: int
    saved_widths: tuple[int, ...] = ()

    def advance(self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None) -> Step:
        """See `Equations.advance`."""
        inputs, *added = tf.split(projected, [self.width, *[self.units] * len(states)], 1)
        new = self.equations.advance(inputs, states, weights, dropout_mask).states
        return Step(tuple(state + zero for state, zero in zip(new, added, strict=True)))
