"""The highest values, against sorting all of them."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.decoding.top_k import top_k


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
