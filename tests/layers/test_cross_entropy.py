"""The loss and its gradient against automatic differentiation of the definition."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.layers.cross_entropy import summed_losses


def random_rows(tokens):
    """Output vectors, a table, and targets."""
    generator = np.random.default_rng(0)
    outputs, table = (tf.constant(generator.normal(size=(rows, 5))) for rows in (tokens, 11))
    return outputs, table, tf.constant(generator.integers(0, 11, tokens), tf.int32)


def check_against(definition, outputs, table, compute):
    """What `compute` gives, and the gradients of its first value, tripled, against those of the definition."""
    results = []
    for function in (definition, compute):
        with tf.GradientTape() as tape:
            tape.watch([outputs, table])
            values = function()
            loss = 3 * values[0]
        results.append([*values, *tape.gradient(loss, [outputs, table])])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("chunk", [3, 7, 512])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_loss_and_gradient_equal_the_definition(smoothing, chunk, jit_compile):
    outputs, table, targets = random_rows(7)
    weights = tf.constant([1.0, 1, 0, 1, 0.5, 1, 0], tf.float64)

    def definition():
        log_probabilities = tf.nn.log_softmax(outputs @ tf.transpose(table))
        distribution = (1 - smoothing) * tf.one_hot(targets, 11, dtype=tf.float64) + smoothing / 11
        smoothed = -tf.reduce_sum(tf.reduce_sum(distribution * log_probabilities, -1) * weights)
        return smoothed, -tf.reduce_sum(tf.gather(log_probabilities, targets, batch_dims=1) * weights)

    check_against(
        definition,
        outputs,
        table,
        lambda: summed_losses(outputs, table, targets, weights, smoothing, 0.0, chunk, jit_compile),
    )


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("chunk", [2, 6, 512])
def test_consistency_and_its_gradient_equal_the_definition(chunk, jit_compile):
    """The sum over both passes of R-Drop (Liang et al. 2021)."""
    outputs, table, targets = random_rows(10)
    targets, weights = tf.repeat(targets[::2], 2), tf.repeat(tf.constant([1.0, 0, 1, 0.5, 1], tf.float64), 2)

    def definition():
        logs = tf.nn.log_softmax(outputs @ tf.transpose(table))
        plain = -tf.reduce_sum(tf.gather(logs, targets, batch_dims=1) * weights)
        p, q = logs[::2], logs[1::2]
        divergence = tf.reduce_sum(tf.exp(p) * (p - q), -1) + tf.reduce_sum(tf.exp(q) * (q - p), -1)
        return plain + 4.0 / 2 * tf.reduce_sum(divergence * weights[::2]), plain

    check_against(
        definition,
        outputs,
        table,
        lambda: summed_losses(outputs, table, targets, weights, 0.0, 4.0, chunk, jit_compile),
    )


def test_the_number_of_tokens_need_not_be_known_beforehand():
    arguments = tf.ones((7, 5)), tf.ones((11, 5)), tf.zeros((7,), tf.int32), tf.ones((7,))
    specs = [tf.TensorSpec((None, *argument.shape[1:]), argument.dtype) for argument in arguments]
    specs[1] = tf.TensorSpec((11, 5))
    traced = tf.function(
        lambda *values: summed_losses(*values, smoothing=0.1, chunk=4), input_signature=specs, autograph=False
    )
    np.testing.assert_allclose(traced(*arguments), summed_losses(*arguments, smoothing=0.1, chunk=4), rtol=1e-6)


def test_huge_logits_do_not_overflow():
    losses = summed_losses(
        tf.constant([[1000.0]]), tf.constant([[1.0], [-1.0]]), tf.constant([0]), tf.constant([1.0]), 0.0
    )
    assert float(losses.plain) == 0.0


def test_no_two_chunks_are_computed_at_once():
    """XLA's programs may crash where two threads run one for the first time at once."""
    specs = [tf.TensorSpec(shape) for shape in ((None, 5), (11, 5))]
    specs += [tf.TensorSpec((None,), dtype) for dtype in (tf.int32, tf.float32)]
    function = tf.function(
        lambda *rows: summed_losses(*rows, 0.1, chunk=3, jit_compile=True), input_signature=specs, autograph=False
    )
    graph = function.get_concrete_function().graph
    (loop,) = (operation for operation in graph.get_operations() if operation.type in ("While", "StatelessWhile"))
    assert loop.get_attr("parallel_iterations") == 1
