"""Attention's scores in half precision."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.layers.attention import DotAttention, MultiHeadAttention


@pytest.mark.parametrize("make", [DotAttention, lambda units, dtype: MultiHeadAttention(units, 2, dtype=dtype)])
def test_scores_are_not_rounded_to_half_precision(make):
    attention = make(8, dtype="mixed_bfloat16")
    # Two products that differ by less than half precision tells apart at their size.
    queries = tf.constant([[1.0, 1, 0, 0, 0, 0, 0, 0]], tf.bfloat16)[None]
    keys = tf.constant([[64.0, 0, 0, 0, 0, 0, 0, 0], [64.0, 0.25, 0, 0, 0, 0, 0, 0]], tf.bfloat16)[None]
    scores = attention.products(queries, tf.cast(keys, tf.float32))
    assert scores.dtype == tf.float32
    np.testing.assert_array_equal(scores[0, 0], [64.0, 64.25])


def test_keys_are_remembered_in_full_precision_and_stay_so():
    attention = DotAttention(8, dtype="mixed_bfloat16")
    keys, values = attention.remember(tf.random.stateless_normal((1, 5, 6), (1, 2)))
    assert (keys.dtype, values.dtype) == (tf.float32, tf.float32)
    exact = keys + 1e-3 * tf.random.stateless_normal(keys.shape, (3, 4))  # no longer what half precision can tell
    queries = 9 * tf.random.stateless_normal((1, 2, 8), (5, 6))
    _, weights = attention(queries, exact, values, tf.ones((1, 5), tf.bool))
    np.testing.assert_allclose(weights, tf.nn.softmax(queries @ tf.transpose(exact, (0, 2, 1))), rtol=1e-6)
