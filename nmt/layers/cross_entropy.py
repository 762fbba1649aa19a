"""Label-smoothed cross-entropy, straight from output vectors and the output embedding, and R-Drop's consistency."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.layers.xla import inside_xla

CHUNK = 512  # tokens whose logits are held at once: enough for the products to be fast (benchmarks/compiled_step.py)
_STEP = 64  # the number of tokens in a chunk is a multiple of this


class Losses(NamedTuple):
    """Sums over tokens, in natural logarithms."""

    objective: tf.Tensor  # what training minimises
    plain: tf.Tensor  # negative log-probabilities of the tokens, without a gradient


def summed_losses(
    outputs: tf.Tensor,
    table: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
    smoothing: float,
    consistency: float = 0.0,
    chunk: int = CHUNK,
    jit_compile: bool = False,
) -> Losses:
    """Cross-entropy with a share of the target spread evenly over the vocabulary (Szegedy et al. 2016, section 7).

        objective = sum_i w_i (log sum_v exp(l_iv) - (1 - s) l_i,target - s mean_v(l_iv)),    l = outputs table^T

    With a `consistency` c, rows 2i and 2i + 1 belong to one token that has passed through the model twice, with
    different dropout. Their distributions p and q add to the objective (R-Drop, Liang et al. 2021):

        w_i c / 2 (KL(p || q) + KL(q || p))

    The logits, `[tokens, vocabulary]`, are by far the largest array in training, and automatic differentiation of a
    log-softmax keeps several copies. Here they are computed, used and discarded chunk by chunk: the same pass computes
    the gradient of the chunk's outputs and adds to that of the table, both up to the factor by which the sum of losses
    is multiplied later. The two products of the gradient then find the chunk still in the processor's cache.

    Args:
        outputs: float `[tokens, units]`.
        table: float `[vocabulary, units]`, the output embeddings, in the same precision.
        targets: int32 `[tokens]`.
        weights: float `[tokens]`, 1 where a token is real, 0 where it is padding.
        smoothing: float, the share s.
        consistency: float, the weight c; 0 for rows that are not pairs.
        chunk: int, the most tokens computed at once; an even number where rows are pairs.
        jit_compile: bool, whether XLA compiles the arithmetic on a chunk's logits, where it does not compile the whole.

    Returns:
        `Losses` in full precision.

    Example:

    >>> losses = summed_losses(tf.zeros((2, 4)), tf.zeros((8, 4)), tf.constant([3, 0]), tf.constant([1.0, 0.0]), 0.1)
    >>> round(float(losses.plain), 4), round(float(losses.objective), 4)  # log 8
    (2.0794, 2.0794)
    """
    precision = tf.float64 if outputs.dtype == tf.float64 else tf.float32
    function = _differentiate_compiled if jit_compile else _differentiate
    differentiate = functools.partial(function, smoothing=smoothing, consistency=consistency)

    @tf.custom_gradient
    def losses(outputs: tf.Tensor, table: tf.Tensor) -> Any:
        objective, plain, d_outputs, d_table = _in_chunks(
            outputs, table, targets, tf.cast(weights, precision), differentiate, chunk
        )

        def gradient(d_objective: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tuple(tf.cast(d_objective * d, outputs.dtype) for d in (d_outputs, d_table))

        return (objective, plain), gradient

    return Losses(*losses(outputs, table))


def _in_chunks(
    outputs: tf.Tensor,
    table: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
    differentiate: Callable[..., tuple[Losses, tf.Tensor]],
    chunk: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Both sums, and the gradients of the objective by outputs and table, all in full precision."""
    if not inside_xla():  # XLA has to know sizes beforehand; otherwise padding is left out and takes no time
        places = tf.cast(tf.where(weights != 0), tf.int32)
        rows, targets, weights = (tf.gather(x, places[:, 0]) for x in (outputs, targets, weights))
        objective, plain, d_outputs, d_table = _in_even_chunks(rows, targets, weights, table, differentiate, chunk)
        return objective, plain, tf.scatter_nd(places, d_outputs, tf.shape(outputs)), d_table
    return _in_even_chunks(outputs, targets, weights, table, differentiate, chunk)


def _in_even_chunks(
    outputs: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
    table: tf.Tensor,
    differentiate: Callable[..., tuple[Losses, tf.Tensor]],
    max_tokens: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Does the same in the fewest chunks of at most `max_tokens`, all of one size."""
    precision, vocabulary, units, tokens = weights.dtype, table.shape[0], outputs.shape[-1], _length(outputs)
    chunks = _at_least(1, -(-tokens // max_tokens))
    # The last chunk is nearly full, and there are few different sizes.
    chunk = _at_most(max_tokens, _STEP * _at_least(1, -(-tokens // (chunks * _STEP))))
    missing = chunks * chunk - tokens  # rows of weight 0 fill the last chunk
    outputs = tf.reshape(tf.pad(outputs, ((0, missing), (0, 0))), (chunks, chunk, units))
    targets, weights = (tf.reshape(tf.pad(x, ((0, missing),)), (chunks, chunk)) for x in (targets, weights))

    def body(i: tf.Tensor, objective: tf.Tensor, plain: tf.Tensor, d_table: tf.Tensor, rows: tf.TensorArray) -> Any:
        logits = tf.matmul(outputs[i], table, transpose_b=True)
        losses, d_logits = differentiate(logits, targets[i], weights[i])
        return (
            i + 1,
            objective + losses.objective,
            plain + losses.plain,
            d_table + tf.cast(tf.matmul(d_logits, outputs[i], transpose_a=True), precision),
            rows.write(i, tf.cast(tf.matmul(d_logits, table), precision)),
        )

    zero = tf.zeros((), precision)
    rows = tf.TensorArray(precision, chunks, element_shape=(chunk if isinstance(chunk, int) else None, units))
    _, objective, plain, d_table, rows = tf.while_loop(
        lambda i, *_: i < chunks,
        body,
        (0, zero, zero, tf.zeros((vocabulary, units), precision), rows),
        maximum_iterations=chunks,
        # When two threads run the same XLA program for the first time at once, both append its constants to one list
        # without a lock (EmitYnnFusionBuilder in XLA's ynn_emitter.cc), and the process may crash. One chunk at a time
        # is as fast.
        parallel_iterations=1,
    )
    return objective, plain, tf.reshape(rows.stack(), (-1, units))[:tokens], d_table


def _differentiate(
    logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, smoothing: float, consistency: float
) -> tuple[Losses, tf.Tensor]:
    """Both sums, and the gradient of the objective by the logits, in their precision."""
    precision, tokens, vocabulary = logits.dtype, _length(logits), logits.shape[-1]
    logits = tf.cast(logits, weights.dtype)
    top = tf.reduce_max(logits, -1)
    exponentials = tf.exp(logits - top[:, None])
    total = tf.reduce_sum(exponentials, -1)
    log_total = top + tf.math.log(total)
    target_logits = tf.gather(logits, targets, batch_dims=1)
    losses = log_total - (1 - smoothing) * target_logits - smoothing * tf.reduce_mean(logits, -1)
    d_logits = exponentials * (weights / total)[:, None] - (smoothing / vocabulary * weights)[:, None]
    places = tf.stack([tf.range(tokens), targets], 1)
    d_logits = tf.tensor_scatter_nd_sub(d_logits, places, (1 - smoothing) * weights)
    if consistency:
        divergences, d_divergences = _divergences(exponentials / total[:, None], logits - log_total[:, None])
        losses += consistency / 2 * divergences
        d_logits += (consistency / 2 * weights)[:, None] * d_divergences
    sums = Losses(tf.reduce_sum(losses * weights), tf.reduce_sum((log_total - target_logits) * weights))
    return sums, tf.cast(d_logits, precision)


def _divergences(probabilities: tf.Tensor, log_probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """KL(row || the pair's other row) of each row, and the gradient of a pair's sum by its logits.

    With d = log p - log q, the sum is sum_v (p_v - q_v) d_v. Its derivative by log p_v is p_v d_v + p_v - q_v; from it
    the softmax subtracts p_v times its sum over v, which is KL(p || q).
    """
    others, log_others = (_swap_pairs(values) for values in (probabilities, log_probabilities))
    weighted = probabilities * (log_probabilities - log_others)
    divergences = tf.reduce_sum(weighted, -1)
    return divergences, weighted + probabilities - others - probabilities * divergences[:, None]


def _swap_pairs(values: tf.Tensor) -> tf.Tensor:
    """Exchanges the two rows of each pair."""
    pairs = tf.reshape(values, (-1, 2, values.shape[-1]))
    return tf.reshape(tf.reverse(pairs, (1,)), (-1, values.shape[-1]))


# It is compiled once for each size of chunk.
_differentiate_compiled = tf.function(_differentiate, jit_compile=True, autograph=False)


def _at_least(bound: int, number: tf.Tensor | int) -> tf.Tensor | int:
    return max(bound, number) if isinstance(number, int) else tf.maximum(bound, number)


def _at_most(bound: int, number: tf.Tensor | int) -> tf.Tensor | int:
    return min(bound, number) if isinstance(number, int) else tf.minimum(bound, number)


def _length(values: tf.Tensor) -> tf.Tensor | int:
    return values.shape[0] if values.shape[0] is not None else tf.shape(values)[0]
