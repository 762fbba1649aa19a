"""A cell over time: one loop forward and one backward, for every cell.

Three things make it fast, and none changes the result of stepping the cell:

* the products of the inputs are computed for all steps before the loop, in one large matrix product;
* the backward loop carries nothing but the gradients of the states. The gradients of the weights are formed after it,
  in large products over all steps; automatic differentiation would add up a full weight gradient at every step;
* the loops alone may be compiled by XLA, which fuses their many small operations, while the large products stay with
  the faster library outside (benchmarks/recurrent_layers.py).

A cell supplies its `Equations`: one step and, for speed, the gradient of that step.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import tensorflow as tf

Tensors = tuple[tf.Tensor, ...]


class StepResult(NamedTuple):
    """The result of one step."""

    states: Tensors  # the new states, [batch, units] each; the first is the output
    residuals: Tensors = ()  # what else the gradient of the step needs, [batch, ...] each


class StepGradient(NamedTuple):
    """The gradient of one step."""

    states: Tensors  # gradients of the states before the step, [batch, units] each
    pre_activations: Tensors  # gradients of the sums before each activation, [batch, ...]; the first: input products


class Equations(Protocol):
    """One step of a cell: plain values that select its variant, and no weights. Equal ones share compiled loops."""

    def __hash__(self) -> int:
        """Equal equations have equal hashes."""

    @property
    def residual_widths(self) -> Sequence[int]:
        """The width of each of `StepResult.residuals`."""

    def step(
        self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> StepResult:
        """Computes one step.

        Args:
            projected: the input products of the step, `[batch, width]`.
            states: the states before the step, `[batch, units]` each.
            weights: the recurrent weights.
            dropout_mask: zeros and scaled ones, `[batch, units]`, multiplied into what the products read of the first
                state; None for no dropout.

        Returns:
            `StepResult`.
        """


@runtime_checkable
class DifferentiatedEquations(Equations, Protocol):
    """Equations with a gradient written by hand."""

    @property
    def pre_activation_widths(self) -> Sequence[int]:
        """The width of each of `StepGradient.pre_activations`."""

    def backward_weights(self, weights: Tensors) -> Tensors:
        """The weights as `step_backward` reads them, computed once before the loop."""

    def step_backward(
        self,
        d_states: Tensors,
        states: Tensors,
        residuals: Tensors,
        backward_weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> StepGradient:
        """Goes back one step.

        Args:
            d_states: gradients of the states after the step, `[batch, units]` each.
            states: the states before the step, `[batch, units]` each.
            residuals: those of the step's `StepResult`.
            backward_weights: the result of the method of that name.
            dropout_mask: as in `step`.

        Returns:
            `StepGradient`.
        """

    def weight_gradients(
        self,
        d_pre_activations: Tensors,
        states: Tensors,
        residuals: Tensors,
        weights: Tensors,
        dropout_mask: tf.Tensor | None,
    ) -> Sequence[tf.Tensor]:
        """The gradient of each recurrent weight, from all steps at once.

        Args:
            d_pre_activations: `StepGradient.pre_activations` of all steps, `[time, batch, ...]` each.
            states: the states before each step, `[time, batch, units]` each.
            residuals: `StepResult.residuals` of all steps, `[time, batch, ...]` each.
            weights: as in `step`.
            dropout_mask: as in `step`, the same at all steps.

        Returns:
            One gradient for each of `weights`, of the same shape.
        """


class LoopOptions(NamedTuple):
    """How a loop over time runs."""

    reverse: bool = False  # from the last step to the first
    jit_compile: bool = False  # by XLA, the loops alone, in a tf.function and where the equations have a gradient
    hand_written: bool = True  # takes the equations' gradient where they have one; else no residuals are kept


_DEFAULT = LoopOptions()


def run_recurrence(
    equations: Equations,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: Tensors,
    mask: tf.Tensor | None = None,
    dropout_mask: tf.Tensor | None = None,
    options: LoopOptions = _DEFAULT,
    offsets: Tensors = (),
) -> tuple[tf.Tensor, Tensors]:
    """Runs a cell over time.

    Args:
        equations: the cell's. If they have a gradient, it is used; otherwise the loop is differentiated automatically.
        projected: input products, `[time, batch, width]`.
        initial_states: `[batch, units]` each, in the precision of the loop.
        weights: the recurrent weights, in the same precision.
        mask: boolean `[time, batch]`, True where a step is real; a padded step leaves the states as they were.
        dropout_mask: zeros and scaled ones, `[batch, units]`, the same at all steps (Gal and Ghahramani 2016).
        options: direction and compilation. With `reverse` the outputs keep the order of the inputs.
        offsets: if given, one tensor `[time, batch, units]` for each state, added to the new state of every step. The
            loop is then differentiated automatically, by the offsets too.

    Returns:
        The first state after each step, `[time, batch, units]`, and all last states, `[batch, units]` each.

    Example:

    >>> class Sum:
    ...     residual_widths = ()
    ...     def step(self, projected, states, weights, dropout_mask):
    ...         return StepResult((states[0] + projected,))
    >>> outputs, (last,) = run_recurrence(Sum(), tf.ones((3, 1, 1)), (tf.zeros((1, 1)),), ())
    >>> outputs[:, 0, 0].numpy().tolist(), last.numpy().tolist()
    ([1.0, 2.0, 3.0], [[3.0]])
    """
    projected = tf.cast(projected, initial_states[0].dtype)
    if offsets:
        equations = _OffsetEquations(equations, projected.shape[-1], tuple(x.shape[-1] for x in offsets))
        projected = tf.concat([projected, *offsets], -1)
    if tf.executing_eagerly():  # an eager tape cannot differentiate through what is compiled
        options = options._replace(jit_compile=False)
    if not (options.hand_written and isinstance(equations, DifferentiatedEquations)):
        # TensorFlow cannot differentiate a loop that XLA compiles apart from what is around it.
        outputs, _, _, last = _forward(
            equations, options.reverse, projected, initial_states, weights, mask, dropout_mask, keep_residuals=False
        )
        return outputs, last
    num_states = len(initial_states)

    @tf.custom_gradient
    def scan(projected: tf.Tensor, *tensors: tf.Tensor) -> Any:
        initial_states, weights = tensors[:num_states], tensors[num_states:]
        # A tensor, so that both directions are one program, which XLA compiles once.
        reverse = tf.constant(options.reverse) if options.jit_compile else options.reverse
        outputs, other_states, residuals, last = _get_loop(_forward, equations, options.jit_compile)(
            reverse, projected, initial_states, weights, mask, dropout_mask
        )

        def gradient(d_outputs: tf.Tensor, *d_last: tf.Tensor) -> Tensors:
            previous = tuple(
                _previous_states(states, initial, options.reverse)
                for states, initial in zip((outputs, *other_states), initial_states, strict=True)
            )
            d_pre_activations, d_initial = _get_loop(_backward, equations, options.jit_compile)(
                reverse, d_outputs, d_last, previous, residuals, equations.backward_weights(weights), mask, dropout_mask
            )
            d_weights = equations.weight_gradients(d_pre_activations, previous, residuals, weights, dropout_mask)
            return d_pre_activations[0], *d_initial, *d_weights

        return (outputs, *last), gradient

    outputs, *last = scan(projected, *initial_states, *weights)
    return outputs, tuple(last)


def kernel_gradient(inputs: tf.Tensor, d_products: tf.Tensor, dtype: str) -> tf.Tensor:
    """The gradient of a kernel, `inputs^T d_products` summed over time and batch.

    Args:
        inputs: what the kernel was multiplied by, `[time, batch, features]`.
        d_products: gradients of the products, `[time, batch, width]`.
        dtype: precision of this product.

    Returns:
        `[features, width]`, in the precision of `d_products`.

    Example:

    >>> kernel_gradient(tf.ones((7, 2, 3)), tf.ones((7, 2, 4)), "float32")[0].numpy().tolist()
    [14.0, 14.0, 14.0, 14.0]
    """
    flat, d_flat = (tf.cast(tf.reshape(x, (-1, x.shape[-1])), dtype) for x in (inputs, d_products))
    return tf.cast(tf.matmul(flat, d_flat, transpose_a=True), d_products.dtype)


def apply_dropout_mask(values: tf.Tensor, dropout_mask: tf.Tensor | None) -> tf.Tensor:
    """What the products read of a state; also the gradient of a state from that of what they read.

    Args:
        values: float `[..., batch, units]`.
        dropout_mask: zeros and scaled ones, `[batch, units]`, or None for no dropout.

    Returns:
        Float `[..., batch, units]`.

    Example:

    >>> apply_dropout_mask(tf.ones((1, 2)), tf.constant([[0.0, 2.0]])).numpy().tolist()
    [[0.0, 2.0]]
    """
    return values if dropout_mask is None else values * dropout_mask


@dataclass(frozen=True)
class _OffsetEquations:
    """A cell's step, after which an offset is added to each new state; the offsets follow the input products."""

    equations: Equations
    width: int  # of the input products
    state_widths: tuple[int, ...]
    residual_widths: tuple[int, ...] = ()

    def step(
        self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> StepResult:
        """See `Equations.step`."""
        inputs, *offsets = tf.split(projected, [self.width, *self.state_widths], 1)
        new = self.equations.step(inputs, states, weights, dropout_mask).states
        return StepResult(tuple(state + offset for state, offset in zip(new, offsets, strict=True)))


def _previous_states(states: tf.Tensor, initial: tf.Tensor, reverse: bool) -> tf.Tensor:
    """The state before each step, from the states after them, `[time, batch, units]`."""
    return tf.concat([states[1:], initial[None]] if reverse else [initial[None], states[:-1]], 0)


def _forward(
    equations: Equations,
    reverse: bool | tf.Tensor,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: Tensors,
    mask: tf.Tensor | None,
    dropout_mask: tf.Tensor | None,
    keep_residuals: bool = True,
) -> tuple[tf.Tensor, Tensors, Tensors, Tensors]:
    """The loop forward: first states, other states and residuals of all steps, and the last states.

    The second and third are for the gradient, and empty without `keep_residuals`.
    """
    steps, num_states = _length(projected), len(initial_states)
    # Outside XLA, reading from an array is one small operation; XLA compiles `tf.gather` better.
    reader = _gatherer if keep_residuals else functools.partial(_array_reader, steps)
    inputs_at, real_at = reader(projected), None if mask is None else reader(mask[:, :, None])

    def body(i: tf.Tensor, states: Tensors, arrays: tuple[tf.TensorArray, ...]) -> Any:
        t = _place(i, steps, reverse)
        new, residuals = equations.step(inputs_at(t), states, weights, dropout_mask)
        if real_at is not None:
            real = real_at(t)
            new = tuple(tf.where(real, after, before) for after, before in zip(new, states, strict=True))
        return i + 1, new, _write(arrays, t, (*new, *residuals) if keep_residuals else new[:1])

    widths = [state.shape[-1] for state in initial_states]
    widths = [*widths, *equations.residual_widths] if keep_residuals else widths[:1]
    arrays = _make_arrays(projected, steps, widths)
    _, last, arrays = tf.while_loop(
        lambda i, *_: i < steps, body, (0, initial_states, arrays), maximum_iterations=steps
    )
    outputs, *kept = (array.stack() for array in arrays)
    return outputs, tuple(kept[: num_states - 1]), tuple(kept[num_states - 1 :]), last


def _backward(
    equations: DifferentiatedEquations,
    reverse: bool | tf.Tensor,
    d_outputs: tf.Tensor,
    d_last: Tensors,
    previous: Tensors,
    residuals: Tensors,
    backward_weights: Tensors,
    mask: tf.Tensor | None,
    dropout_mask: tf.Tensor | None,
) -> tuple[Tensors, Tensors]:
    """The loop backward: `StepGradient.pre_activations` of all steps, and the gradients of the initial states."""
    steps = _length(d_outputs)
    d_outputs_at, real_at = _gatherer(d_outputs), None if mask is None else _gatherer(mask[:, :, None])
    previous_at, residuals_at = ([_gatherer(x) for x in tensors] for tensors in (previous, residuals))

    def body(i: tf.Tensor, d_states: Tensors, arrays: tuple[tf.TensorArray, ...]) -> Any:
        t = _place(steps - 1 - i, steps, reverse)
        d_states = (d_states[0] + d_outputs_at(t), *d_states[1:])
        d_new = d_states
        if real_at is not None:
            # The gradient of a step is linear in what comes in: zeros in, zeros out.
            real = real_at(t)
            d_new = tuple(tf.where(real, d_state, 0) for d_state in d_states)
        d_before, d_pre_activations = equations.step_backward(
            d_new, tuple(at(t) for at in previous_at), tuple(at(t) for at in residuals_at), backward_weights,
            dropout_mask,
        )  # fmt: skip
        if real_at is not None:
            d_before = tuple(tf.where(real, *pair) for pair in zip(d_before, d_states, strict=True))
        return i + 1, d_before, _write(arrays, t, d_pre_activations)

    arrays = _make_arrays(d_outputs, steps, equations.pre_activation_widths)
    _, d_initial, arrays = tf.while_loop(lambda i, *_: i < steps, body, (0, d_last, arrays), maximum_iterations=steps)
    return tuple(array.stack() for array in arrays), d_initial


@functools.cache
def _get_loop(loop: Any, equations: Equations, jit_compile: bool) -> Any:
    """A loop of a cell, compiled where asked for; cached, so that layers of the same shape share what was compiled."""
    bound = functools.partial(loop, equations)
    return tf.function(bound, jit_compile=True, autograph=False) if jit_compile else bound


def _place(i: tf.Tensor, steps: tf.Tensor | int, reverse: bool | tf.Tensor) -> tf.Tensor:
    """The place in the sequence of the step that comes `i`th, counted from 0."""
    if isinstance(reverse, bool):
        return steps - 1 - i if reverse else i
    return tf.where(reverse, steps - 1 - i, i)


def _gatherer(values: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a step to its slice of `values`, `[time, ...]`.

    XLA would compile `values[t]` anew for each direction: it takes the bounds of a slice for constants.
    """
    return functools.partial(tf.gather, values)


def _array_reader(steps: tf.Tensor | int, values: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a step to its slice of `values`, `[time, ...]`, of `steps` steps."""
    return tf.TensorArray(values.dtype, steps, element_shape=values.shape[1:]).unstack(values).read


def _length(values: tf.Tensor) -> tf.Tensor | int:
    """The size of the first axis, as an int where it is known."""
    return values.shape[0] if values.shape[0] is not None else tf.shape(values)[0]


def _make_arrays(like: tf.Tensor, steps: tf.Tensor | int, widths: Sequence[int]) -> tuple[tf.TensorArray, ...]:
    """Arrays for the values of all steps, in the precision and with the batch of `like`, `[time, batch, ...]`."""
    return tuple(tf.TensorArray(like.dtype, steps, element_shape=(like.shape[1], width)) for width in widths)


def _write(arrays: tuple[tf.TensorArray, ...], t: tf.Tensor, values: Sequence[tf.Tensor]) -> tuple[tf.TensorArray, ...]:
    """Writes the values of one step."""
    return tuple(array.write(t, value) for array, value in zip(arrays, values, strict=True))
