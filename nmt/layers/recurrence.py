"""A cell over time: one loop forward and one back, for every cell.

Three things make it fast, and all leave the result exactly what stepping the cell gives:

* the products of the inputs are made for all steps before the loop, in one large matrix product;
* the loop that goes back only carries the gradient of the states. The gradients of the weights are formed after it,
  in large products over all steps; automatic differentiation would add up a full weight gradient at every step;
* the loops alone may be compiled by XLA, which joins their many small operations, while the large products stay with
  the faster library outside (benchmarks/recurrent_layers.py).

A cell takes part by writing its `Equations`: one step, and, only for speed, that step's gradient.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import tensorflow as tf

Tensors = tuple[tf.Tensor, ...]


class Step(NamedTuple):
    """What one step leaves."""

    states: Tensors  # the new ones, [batch, units]; the first is the output
    saved: Tensors = ()  # what the step's gradient needs besides, [batch, ...]


class BackStep(NamedTuple):
    """What the gradient of one step leaves."""

    states: Tensors  # gradients of the states before the step
    sums: Tensors  # gradients of what the step added up, [batch, ...]; the first is that of its input products


class Equations(Protocol):
    """One step of a cell: plain values that tell its variant, and no weights. Equal ones share compiled loops."""

    def __hash__(self) -> int:
        """Equal equations have the same."""

    @property
    def saved_widths(self) -> Sequence[int]:
        """The width of each of `Step.saved`."""

    def advance(self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None) -> Step:
        """Makes a step.

        Args:
            projected: the step's input products, `[batch, width]`.
            states: `[batch, units]` each.
            weights: those that the step needs.
            dropout_mask: zeros and scaled ones, `[batch, units]`, for what the products see of the first state.
        """


@runtime_checkable
class DifferentiatedEquations(Equations, Protocol):
    """Equations with a gradient written by hand."""

    @property
    def sum_widths(self) -> Sequence[int]:
        """The width of each of `BackStep.sums`."""

    def transposed(self, weights: Tensors) -> Tensors:
        """What `retreat` needs of the weights, made once before the loop."""

    def retreat(
        self, d_states: Tensors, states: Tensors, saved: Tensors, transposed: Tensors, dropout_mask: tf.Tensor | None
    ) -> BackStep:
        """Goes back one step.

        Args:
            d_states: gradients of the states after it.
            states: the states before it.
            saved: of `Step`.
            transposed: see there.
            dropout_mask: as in `advance`.
        """

    def weight_gradients(
        self, sums: Tensors, states: Tensors, saved: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> Sequence[tf.Tensor]:
        """The gradient of each weight from all steps at once; all but weights and mask are `[time, batch, ...]`.

        Args:
            sums: of `BackStep`.
            states: those before each step.
            saved: of `Step`.
            weights: as in `advance`.
            dropout_mask: as in `advance`.
        """


class Options(NamedTuple):
    """How a loop runs."""

    reverse: bool = False  # from the last step to the first
    jit_compile: bool = False  # by XLA, the loops alone, within a tf.function and where the equations have a gradient
    hand_written: bool = True  # takes the equations' gradient where they have one; else nothing is kept for it


_DEFAULT = Options()


def recur(
    equations: Equations,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: Tensors,
    mask: tf.Tensor | None = None,
    dropout_mask: tf.Tensor | None = None,
    options: Options = _DEFAULT,
) -> tuple[tf.Tensor, Tensors]:
    """Runs a cell over time.

    Args:
        equations: of the cell; where they have a gradient it is used, else the loop is differentiated automatically.
        projected: input products, `[time, batch, width]`.
        initial_states: `[batch, units]` each, in the precision that the states shall keep.
        weights: for the equations, in the same precision.
        mask: True where a step is real, `[time, batch]`; a padded step leaves the states as they were.
        dropout_mask: zeros and scaled ones, `[batch, units]`, the same for all steps (Gal and Ghahramani 2016).
        options: direction and compilation. With `reverse` the outputs keep the order of the inputs.

    Returns:
        The first state after each step, `[time, batch, units]`, and all last states.
    """
    projected = tf.cast(projected, initial_states[0].dtype)
    if tf.executing_eagerly():  # an eager tape would look into what is compiled, and cannot
        options = options._replace(jit_compile=False)
    if not (options.hand_written and isinstance(equations, DifferentiatedEquations)):
        # TensorFlow cannot differentiate a loop that XLA compiles apart from what is around it.
        outputs, _, _, last = _forward(
            equations, options.reverse, projected, initial_states, weights, mask, dropout_mask, keep=False
        )
        return outputs, last
    count = len(initial_states)

    @tf.custom_gradient
    def scan(projected: tf.Tensor, *tensors: tf.Tensor) -> Any:
        initial_states, weights = tensors[:count], tensors[count:]
        outputs, others, saved, last = _looping(_forward, equations, options)(
            projected, initial_states, weights, mask, dropout_mask
        )

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> Tensors:
            before = tuple(
                _before(states, initial, options.reverse)
                for states, initial in zip((outputs, *others), initial_states, strict=True)
            )
            sums, d_initial = _looping(_backward, equations, options)(
                d_outputs, d_last, before, saved, equations.transposed(weights), mask, dropout_mask
            )
            d_weights = equations.weight_gradients(sums, before, saved, weights, dropout_mask)
            return sums[0], *d_initial, *d_weights

        return (outputs, *last), gradient

    outputs, *last = scan(projected, *initial_states, *weights)
    return outputs, tuple(last)


def over_all_steps(inputs: tf.Tensor, d_sums: tf.Tensor, dtype: str) -> tf.Tensor:
    """The gradient of a kernel, `inputs^T d_sums` over time and batch: a product in `dtype`, then in theirs again."""
    flat, d_flat = (tf.cast(tf.reshape(x, (-1, x.shape[-1])), dtype) for x in (inputs, d_sums))
    return tf.cast(tf.matmul(flat, d_flat, transpose_a=True), d_sums.dtype)


def visible_state(values: tf.Tensor, dropout_mask: tf.Tensor | None) -> tf.Tensor:
    """What the products see of a state, or the gradient of it from that of what they see."""
    return values if dropout_mask is None else values * dropout_mask


def _before(states: tf.Tensor, initial: tf.Tensor, reverse: bool) -> tf.Tensor:
    """The state before each step, from those after."""
    return tf.concat([states[1:], initial[None]] if reverse else [initial[None], states[:-1]], 0)


def _forward(
    equations: Equations,
    reverse: bool,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: Tensors,
    mask: tf.Tensor | None,
    dropout_mask: tf.Tensor | None,
    keep: bool = True,
) -> tuple[tf.Tensor, Tensors, Tensors, Tensors]:
    """The loop over time: first states, other states and saved values of all steps, and the last states.

    The second and third are what the gradient needs; empty without `keep`.
    """
    steps, count = _length(projected), len(initial_states)
    # Outside XLA the reading of an array is one small operation where a slice is four; XLA compiles slices better.
    at_time = (lambda values: values.__getitem__) if keep else _reader
    inputs, real_at = at_time(projected), None if mask is None else at_time(mask[:, :, None])

    def body(i: tf.Tensor, states: Tensors, arrays: tuple[tf.TensorArray, ...]) -> Any:
        t = steps - 1 - i if reverse else i
        new, saved = equations.advance(inputs(t), states, weights, dropout_mask)
        if real_at is not None:
            real = real_at(t)
            new = tuple(tf.where(real, after, before) for after, before in zip(new, states, strict=True))
        return i + 1, new, _write(arrays, t, (*new, *saved) if keep else new[:1])

    widths = [state.shape[-1] for state in initial_states]
    widths = [*widths, *equations.saved_widths] if keep else widths[:1]
    arrays = _arrays(projected, steps, widths)
    _, last, arrays = tf.while_loop(
        lambda i, *_: i < steps, body, (0, initial_states, arrays), maximum_iterations=steps
    )
    outputs, *kept = (array.stack() for array in arrays)
    return outputs, tuple(kept[: count - 1]), tuple(kept[count - 1 :]), last


def _backward(
    equations: DifferentiatedEquations,
    reverse: bool,
    d_outputs: tf.Tensor,
    d_last: Tensors,
    before: Tensors,
    saved: Tensors,
    transposed: Tensors,
    mask: tf.Tensor | None,
    dropout_mask: tf.Tensor | None,
) -> tuple[Tensors, Tensors]:
    """The loop back in time: `BackStep.sums` of all steps, and the gradients of the initial states."""
    steps = _length(d_outputs)

    def body(i: tf.Tensor, d_states: Tensors, arrays: tuple[tf.TensorArray, ...]) -> Any:
        t = i if reverse else steps - 1 - i
        d_states = (d_states[0] + d_outputs[t], *d_states[1:])
        d_new = d_states
        if mask is not None:
            # A step's gradient is linear in what comes in: where that is zero, so is all that comes out.
            real = mask[t][:, None]
            d_new = tuple(tf.where(real, d_state, 0) for d_state in d_states)
        d_before, sums = equations.retreat(
            d_new, tuple(x[t] for x in before), tuple(x[t] for x in saved), transposed, dropout_mask
        )
        if mask is not None:
            d_before = tuple(tf.where(real, *pair) for pair in zip(d_before, d_states, strict=True))
        return i + 1, d_before, _write(arrays, t, sums)

    arrays = _arrays(d_outputs, steps, equations.sum_widths)
    _, d_initial, arrays = tf.while_loop(lambda i, *_: i < steps, body, (0, d_last, arrays), maximum_iterations=steps)
    return tuple(array.stack() for array in arrays), d_initial


@functools.cache
def _looping(loop: Any, equations: Equations, options: Options) -> Any:
    """A loop of a cell, compiled if need be; kept, so that layers of the same shape share what was compiled."""
    looping = functools.partial(loop, equations, options.reverse)
    return tf.function(looping, jit_compile=True, autograph=False) if options.jit_compile else looping


def _reader(values: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Gives `values` `[time, ...]` step by step."""
    return tf.TensorArray(values.dtype, _length(values), element_shape=values.shape[1:]).unstack(values).read


def _length(values: tf.Tensor) -> tf.Tensor | int:
    return values.shape[0] if values.shape[0] is not None else tf.shape(values)[0]


def _arrays(like: tf.Tensor, steps: tf.Tensor | int, widths: Sequence[int]) -> tuple[tf.TensorArray, ...]:
    """Arrays for each step's values, of the type and the batch of `like`, `[time, batch, ...]`."""
    return tuple(tf.TensorArray(like.dtype, steps, element_shape=(like.shape[1], width)) for width in widths)


def _write(arrays: tuple[tf.TensorArray, ...], t: tf.Tensor, values: Sequence[tf.Tensor]) -> tuple[tf.TensorArray, ...]:
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))
