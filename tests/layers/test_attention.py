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
    scores = attention.products(queries, keys)
    assert scores.dtype == tf.float32
    np.testing.assert_array_equal(scores[0, 0], [64.0, 64.25])
