"""Linear recurrences h_t = a_t h_{t-1} + b_t over all steps at once, in a number of rounds that grows like log(time).

Two consecutive steps of such a recurrence are one step of the same kind, and they may be grouped in any way (Blelloch
1990). So the sequence is cut into blocks. All blocks compute their steps at the same time, in one large operation for
each place in a block. Then the blocks are combined in rounds; each round reaches back twice as far as the one
before. In the end, the state before each block is added to its steps. That is about twice the arithmetic of the plain
loop, in a few large operations instead of many small ones. Nothing is divided, so that long sequences do not overflow.

With its gradient, `keras.ops.associative_scan` takes 7 to 14 times as long at 16 to 2,048 steps; in TensorFlow it works
neither under XLA nor for sequences of unknown length (benchmarks/keras_parts.py).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.layers.recurrence import Tensors

_BLOCK = 16  # steps
LOG_OF_ZERO = -1e30  # its exponential is 0; it is finite, and so are its sums and differences


class _Arithmetic(NamedTuple):
    """Multiplication and addition, and their neutral elements: of numbers, or of logarithms."""

    multiply: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    add: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    one: float
    zero: float


def linear_scan(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor, jit_compile: bool = False) -> tf.Tensor:
    """h_t = a_t h_{t-1} + b_t for all t (Blelloch 1990, section 1.4.1).

    Args:
        a: float `[time, batch, units]`, between -1 and 1, so that long sequences do not overflow.
        b: float `[time, batch, units]`.
        initial: float `[batch, units]`, h before the first step.
        jit_compile: bool, whether XLA compiles this and its gradient, each by itself.

    Returns:
        h after each step, float `[time, batch, units]`.

    Example:

    >>> half, one = tf.fill((3, 1, 1), 0.5), tf.ones((3, 1, 1))
    >>> linear_scan(half, one, tf.zeros((1, 1))).numpy().ravel().tolist()
    [1.0, 1.5, 1.75]
    """

    @tf.custom_gradient
    def scan(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor) -> Any:
        states = _compiled(_forward, jit_compile)(a, b, initial)

        def gradient(d_states: tf.Tensor) -> Tensors:
            return _compiled(_backward, jit_compile)(a, states, initial, d_states)

        return states, gradient

    return scan(a, b, initial)


def log_space_scan(log_a: tf.Tensor, log_b: tf.Tensor, initial: tf.Tensor, jit_compile: bool = False) -> tf.Tensor:
    """h_t = a_t h_{t-1} + b_t for all t, from the logarithms of a and b.

    The sums over time are computed from logarithms too (Feng et al. 2024, appendix B), those of the gradient from plain
    numbers.

    Args:
        log_a: float `[time, batch, units]`, at most 0.
        log_b: float `[time, batch, units]`.
        initial: float `[batch, units]`, h before the first step, of any sign.
        jit_compile: bool, whether XLA compiles this and its gradient, each by itself.

    Returns:
        h after each step, float `[time, batch, units]`.

    Example:

    >>> log_half, log_one = tf.math.log(tf.fill((3, 1, 1), 0.5)), tf.zeros((3, 1, 1))
    >>> log_space_scan(log_half, log_one, tf.zeros((1, 1))).numpy().round(5).ravel().tolist()
    [1.0, 1.5, 1.75]

    Reference:
        [Feng et al. 2024](https://arxiv.org/abs/2410.01201).
    """

    @tf.custom_gradient
    def scan(log_a: tf.Tensor, log_b: tf.Tensor, initial: tf.Tensor) -> Any:
        states = _compiled(_forward_from_logarithms, jit_compile)(log_a, log_b, initial)

        def gradient(d_states: tf.Tensor) -> Tensors:
            a = tf.exp(log_a)
            d_a, d_b, d_initial = _compiled(_backward, jit_compile)(a, states, initial, d_states)
            return a * d_a, tf.exp(log_b) * d_b, d_initial

        return states, gradient

    return scan(log_a, log_b, initial)


@functools.cache
def _compiled(function: Callable[..., Any], jit_compile: bool) -> Callable[..., Any]:
    """The function, compiled if asked for; cached, so that each is compiled once for a shape."""
    return tf.function(function, jit_compile=True, autograph=False) if jit_compile else function


def _forward(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """All h, from a and b."""
    products, states = _cumulate(a, b, _NUMBERS)
    return states + products * initial


def _forward_from_logarithms(log_a: tf.Tensor, log_b: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """All h, from the logarithms of a and b."""
    log_products, log_states = _cumulate(log_a, log_b, _LOGARITHMS)
    return tf.exp(log_states) + tf.exp(log_products) * initial


def _backward(a: tf.Tensor, states: tf.Tensor, initial: tf.Tensor, d_states: tf.Tensor) -> Tensors:
    """The gradients of a, b and the initial state.

    The gradient of b is the same recurrence from the end: g_t = d_t + a_{t+1} g_{t+1}.
    """
    following = tf.concat([a[1:], tf.zeros_like(a[:1])], 0)
    d_b = _forward(tf.reverse(following, (0,)), tf.reverse(d_states, (0,)), tf.zeros_like(initial))
    d_b = tf.reverse(d_b, (0,))
    before = tf.concat([initial[None], states[:-1]], 0)
    return d_b * before, d_b, a[0] * d_b[0]


def _add_logarithms(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """log(exp(x) + exp(y))."""
    return tf.maximum(x, y) + tf.math.log1p(tf.exp(-tf.abs(x - y)))


_NUMBERS = _Arithmetic(tf.multiply, tf.add, 1.0, 0.0)
_LOGARITHMS = _Arithmetic(tf.add, _add_logarithms, 0.0, LOG_OF_ZERO)


def _cumulate(a: tf.Tensor, b: tf.Tensor, arithmetic: _Arithmetic) -> tuple[tf.Tensor, tf.Tensor]:
    """For each t, the product of a_0 to a_t, and h_t from an initial state of zero."""
    multiply, add, one, zero = arithmetic
    steps, rest = tf.shape(a)[0], tf.shape(a)[1:]
    blocks = -(-steps // _BLOCK)

    def in_blocks(values: tf.Tensor, filling: float) -> list[tf.Tensor]:
        filled = tf.pad(values, ((0, blocks * _BLOCK - steps), (0, 0), (0, 0)), constant_values=filling)
        return tf.unstack(tf.reshape(filled, tf.concat([(blocks, _BLOCK), rest], 0)), _BLOCK, 1)

    def in_steps(values: list[tf.Tensor]) -> tf.Tensor:
        return tf.reshape(tf.stack(values, 1), tf.concat([(blocks * _BLOCK,), rest], 0))[:steps]

    products, states = in_blocks(a, one), in_blocks(b, zero)
    for place in range(1, _BLOCK):
        states[place] = add(multiply(products[place], states[place - 1]), states[place])
        products[place] = multiply(products[place], products[place - 1])
    product_before, state_before = _before_blocks(products[-1], states[-1], arithmetic)
    states = [add(state, multiply(product, state_before)) for state, product in zip(states, products, strict=True)]
    return in_steps([multiply(product, product_before) for product in products]), in_steps(states)


def _before_blocks(product: tf.Tensor, state: tf.Tensor, arithmetic: _Arithmetic) -> tuple[tf.Tensor, tf.Tensor]:
    """Product and state of all blocks before each one, from those of each block (Hillis and Steele 1986)."""
    multiply, add, one, zero = arithmetic
    blocks = tf.shape(product)[0]
    places = tf.range(blocks)

    def earlier(values: tf.Tensor, distance: tf.Tensor, filling: float) -> tf.Tensor:
        shifted = tf.gather(values, tf.maximum(places - distance, 0))
        return tf.where((places >= distance)[:, None, None], shifted, tf.cast(filling, values.dtype))

    def combine(distance: tf.Tensor, product: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        combined = add(state, multiply(product, earlier(state, distance, zero)))
        return 2 * distance, multiply(product, earlier(product, distance, one)), combined

    distance = tf.constant(1)
    _, product, state = tf.while_loop(
        lambda distance, *_: distance < blocks,
        combine,
        (distance, earlier(product, distance, one), earlier(state, distance, zero)),
    )
    return product, state
