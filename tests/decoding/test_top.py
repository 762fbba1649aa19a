"""The likeliest tokens, against sorting all of them."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.decoding.top import normalized_top, top_k


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("length", [7, 1021, 1024, 4000])  # small; a prime; of 64 and of 50 in a group
@pytest.mark.parametrize("distinct", [True, False])
def test_top_k_equals_tensorflows(length, count, distinct):
    generator = np.random.default_rng(length + count)
    values = (
        generator.normal(size=(20, length)).astype("float32")
        if distinct
        else np.round(generator.normal(size=(20, length)), 1).astype("float32")
    )
    count = min(count, length)
    ours, theirs = top_k(tf.constant(values), count), tf.math.top_k(values, count)
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("forbidden", [None, True, False])
@pytest.mark.parametrize("length", [5, 2048])
def test_the_highest_log_probabilities(length, forbidden):
    scores = tf.random.stateless_normal((3, length), (1, length)) * 4
    expected = tf.nn.log_softmax(scores).numpy()
    end = int(np.argmax(expected[0]))  # forbidding it matters
    of_end = expected[:, end, None].copy()
    if forbidden:
        expected[:, end] = -np.inf
    top, tokens, ending = normalized_top(scores, 3, end, None if forbidden is None else tf.constant(forbidden))
    order = np.argsort(-expected, axis=1)[:, :3]
    np.testing.assert_array_equal(tokens, order)
    np.testing.assert_allclose(top, np.take_along_axis(expected, order, 1), atol=1e-5)
    np.testing.assert_allclose(ending, of_end, atol=1e-5)


def test_a_token_next_to_impossible_has_a_finite_log_probability():
    top, _, ending = normalized_top(tf.constant([[0.0, -200.0]]), 2, end=1)
    np.testing.assert_allclose(top, [[0.0, -200.0]], atol=1e-4)
    np.testing.assert_allclose(ending, [[-200.0]], atol=1e-4)
