"""Gradients of a loss with respect to the states of a recurrent layer, which show whether they vanish over time.

A zero is added to each state after each step, and the loss is differentiated with respect to these zeros. A single
backward pass gives d(loss)/d(state after step t) for all t, over all paths from that state to the loss, for a layer in
any model.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nmt.layers.recurrence import Tensors
from nmt.layers.recurrent import Recurrent
from nmt.layers.simple_rnn import SimpleRNN

Array = npt.NDArray[np.float64]


def state_gradients(layers: Sequence[Recurrent], loss: Callable[[], tf.Tensor]) -> list[Tensors]:
    """Computes the gradients of a loss with respect to the states after each step.

    Args:
        layers: the recurrent layers.
        loss: function that calls each of `layers` once, directly or within a model, and returns losses of any shape.
            Their sum is differentiated; if each loss depends on one sequence of the batch only, so does its gradient.

    Returns:
        For each layer, one tensor `[batch, time, units]` for each state of its cell. The steps are in the order of
        the layer's inputs, also for a layer that reads them backwards. At padded steps the gradient is zero.

    Example:

    >>> layer = SimpleRNN(3)
    >>> sequence = tf.ones((2, 5, 4))
    >>> ((gradient,),) = state_gradients([layer], lambda: layer(sequence))
    >>> tuple(gradient.shape), gradient[0, -1].numpy().tolist()
    ((2, 5, 3), [1.0, 1.0, 1.0])
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape, ExitStack() as stack:
        zeros = [stack.enter_context(_watched_zeros(layer, tape)) for layer in layers]
        total = tf.reduce_sum(loss())
    gradients = tape.gradient(total, zeros, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tuple(tf.transpose(gradient, (1, 0, 2)) for gradient in by_state) for by_state in gradients]


class Curve(NamedTuple):
    """Quartiles over a batch of norms, relative to the norm at each sequence's last step, by the distance from it.

    Attributes:
        median: float64 `[distance]`.
        lower: float64 `[distance]`, the first quartile.
        upper: float64 `[distance]`, the third quartile.
        sequences: int64 `[distance]`, the number of sequences that are long enough.
    """

    median: Array
    lower: Array
    upper: Array
    sequences: npt.NDArray[np.int64]


def norms_by_distance(
    norms: npt.ArrayLike, mask: npt.ArrayLike | None = None, relative_to: npt.ArrayLike | None = None
) -> Curve:
    """Computes quartiles of norms as a function of the distance, in steps, from the end of each sequence.

    Args:
        norms: float `[batch, time]`.
        mask: boolean `[batch, time]`, True where a step is real; None if all are. Sequences without a real step are
            left out.
        relative_to: float `[batch, time]`, the norms whose value at the last real step counts as 1; None for `norms`.
            Sequences for which this value is zero are left out.

    Returns:
        The quartiles at each distance.

    Example:

    >>> norms_by_distance([[1, 2, 4, 0], [9, 3, 3, 3]], [[True, True, True, False], [True] * 4]).median.tolist()
    [1.0, 0.75, 0.625, 3.0]
    """
    values = np.asarray(norms, np.float64)
    references = values if relative_to is None else np.asarray(relative_to, np.float64)
    real = np.ones(values.shape, bool) if mask is None else np.asarray(mask)
    rows: list[Array] = []
    for row, reference, row_mask in zip(values, references, real, strict=True):
        if row_mask.any() and (last := reference[row_mask][-1]) > 0:
            rows.append(row[row_mask][::-1] / last)
    longest = max(map(len, rows), default=0)
    columns = [[row[distance] for row in rows if distance < len(row)] for distance in range(longest)]
    quartiles = np.array([np.quantile(column, (0.25, 0.5, 0.75)) for column in columns]).reshape(-1, 3)
    lower, median, upper = quartiles.T
    return Curve(median, lower, upper, np.array([len(column) for column in columns], np.int64))


def joint_norm(gradients: Sequence[Any]) -> Array:
    """Computes the Euclidean norm of the gradients with respect to all states of a cell together.

    Args:
        gradients: float `[batch, time, units]` for each state.

    Returns:
        float64 `[batch, time]`.

    Example:

    >>> joint_norm([np.full((1, 1, 1), 3.0), np.full((1, 1, 1), 4.0)]).tolist()
    [[5.0]]
    """
    return np.sqrt(sum(np.square(np.asarray(gradient, np.float64)).sum(-1) for gradient in gradients))


def gradient_curves(gradients: Sequence[Any], mask: npt.ArrayLike | None = None) -> dict[str, Curve]:
    """Computes the norms of a cell's gradients by distance.

    Args:
        gradients: float `[batch, time, units]` for each state.
        mask: boolean `[batch, time]`, True where a step is real; None if all are.

    Returns:
        A curve `all` for all states together and, for an LSTM, curves `h` and `c`, all relative to the norm of all
        states at the last step.
    """
    joint = joint_norm(gradients)
    result = {"all": norms_by_distance(joint, mask)}
    if len(gradients) > 1:
        for name, gradient in zip(("h", "c"), gradients, strict=True):
            result[name] = norms_by_distance(joint_norm([gradient]), mask, relative_to=joint)
    return result


def gradient_norm_bound(layer: SimpleRNN, states: npt.ArrayLike) -> Array:
    """Computes an upper bound of the gradient's norm in the traditional recurrent network.

    With h_k = tanh(W x_k + U h_(k-1) + b) and a loss that depends on the last state h_T only,

        |d(loss)/d(h_t)| <= |d(loss)/d(h_T)| * prod_(k=t+1..T) sigma(U) max_i (1 - h_(k,i)^2)

    where sigma is the spectral norm (Bengio et al. 1994; Pascanu et al. 2013, section 2.1).

    Args:
        layer: a layer without layer normalisation.
        states: float `[batch, time, units]`, the states after each step.

    Returns:
        float64 `[batch, time]`, for each step t the product in the equation.

    Raises:
        ValueError: if the layer has layer normalisation, whose gradient has no such bound.

    Example:

    >>> layer = SimpleRNN(2, return_sequences=True)
    >>> gradient_norm_bound(layer, layer(tf.ones((1, 3, 4)))).shape
    (1, 3)
    """
    if layer.cell.layer_normalization:
        raise ValueError("gradient_norm_bound: expected a layer without layer normalisation")
    slopes = (1 - np.square(np.asarray(states, np.float64))).max(-1)
    factors = np.concatenate([spectral_norm(layer) * slopes[:, 1:], np.ones_like(slopes[:, :1])], 1)
    return np.cumprod(factors[:, ::-1], 1)[:, ::-1]


def spectral_norm(layer: SimpleRNN) -> float:
    """Computes the largest singular value of the recurrent matrix U.

    Its power T - t is a coarser bound than `gradient_norm_bound`, but independent of the states.

    Args:
        layer: a layer that has been built.
    """
    return float(np.linalg.norm(layer.cell.recurrent_kernel.numpy().astype(np.float64), 2))


@contextmanager
def _watched_zeros(layer: Recurrent, tape: tf.GradientTape) -> Iterator[list[tf.Tensor]]:
    """Makes the layer add zeros, `[time, batch, units]`, to its states within the block, and yields them watched."""
    zeros: list[tf.Tensor] = []

    def make_zeros(shape: tf.Tensor, dtype: str) -> Tensors:
        zeros.extend(tf.zeros(shape, dtype) for _ in range(layer.cell.num_states))
        tape.watch(zeros)
        return tuple(zeros)

    with layer.offset_states(make_zeros):
        yield zeros
