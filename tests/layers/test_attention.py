"""Attention's scores in half precision; its two halves against the whole; masks."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.layers.attention import DotAttention, dot_products, make_attention

KINDS = ("additive", "dot", "multi_head")


def random(seed, *shape):
    return tf.random.stateless_normal(shape, (seed, 0))


def test_scores_are_not_rounded_to_half_precision():
    # Two products that differ by less than half precision distinguishes at their size.
    queries = tf.constant([[1.0, 1, 0, 0, 0, 0, 0, 0]], tf.bfloat16)[None]
    keys = tf.constant([[64.0, 0, 0, 0, 0, 0, 0, 0], [64.0, 0.25, 0, 0, 0, 0, 0, 0]])[None]
    scores = dot_products(queries, keys)
    assert scores.dtype == tf.float32
    np.testing.assert_array_equal(scores[0, 0], [64.0, 64.25])


@pytest.mark.parametrize("kind", ["dot", "multi_head"])
def test_keys_are_projected_in_full_precision(kind):
    keys, _ = make_attention(kind, 8, dtype="mixed_bfloat16").project(random(1, 1, 5, 6))
    assert keys.dtype == tf.float32


def test_keys_stay_in_full_precision():
    attention = DotAttention(8, dtype="mixed_bfloat16")
    keys, values = attention.project(random(1, 1, 5, 6))
    assert (keys.dtype, values.dtype) == (tf.float32, tf.float32)
    exact = keys + 1e-3 * random(3, *keys.shape)  # no longer what half precision distinguishes
    queries = 9 * random(5, 1, 2, 8)
    _, weights = attention.attend(queries, exact, values, tf.ones((1, 5), tf.bool))
    np.testing.assert_allclose(weights, tf.nn.softmax(queries @ tf.transpose(exact, (0, 2, 1))), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_two_halves_are_the_whole(kind):
    attention, queries, memory = make_attention(kind, 8), random(1, 2, 3, 8), random(2, 2, 5, 6)
    mask = tf.constant([[True] * 5, [True] * 2 + [False] * 3])
    whole = attention(queries, memory, mask=mask)
    for one, other in zip(whole, attention.attend(queries, *attention.project(memory), mask), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_projected_before_it_is_built(kind):
    attention, queries, memory = make_attention(kind, 8, seed=1), random(1, 2, 3, 8), random(2, 2, 5, 6)
    halves = attention.attend(queries, *attention.project(memory))
    number = len(attention.weights)
    for one, other in zip(attention(queries, memory), halves, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(attention.weights) == number


@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_the_memory_never_changes_a_result(kind):
    attention, queries, memory = make_attention(kind, 8), random(1, 2, 3, 8), random(2, 2, 5, 6)
    padded = tf.concat([memory, random(3, 2, 2, 6)], 1)
    alone = attention(queries, memory)
    together = attention(queries, padded, mask=tf.constant([[True] * 5 + [False] * 2] * 2))
    np.testing.assert_allclose(together[0], alone[0], atol=1e-6)
    np.testing.assert_allclose(together[1][..., :5], alone[1], atol=1e-6)
    np.testing.assert_array_equal(together[1][..., 5:], 0)


def test_an_unknown_kind_and_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match='expected `kind` "additive", "dot" or "multi_head", got \'tanh\''):
        make_attention("tanh", 8)
    with pytest.raises(ValueError, match="expected `num_heads` to divide `units`, got 3 and 8"):
        make_attention("multi_head", 8, num_heads=3)
