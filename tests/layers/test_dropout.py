"""What is dropped together: tokens, features at all steps, and nothing outside training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.layers.cells import CELLS
from nmt.layers.dropout import Dropout, EmbeddingDropout, dropout

EMBEDDED = tf.ones((20, 30, 8))


def dropped(*rates: float, **options: bool) -> np.ndarray:
    return np.asarray(EmbeddingDropout(*rates, **options, seed=1)(EMBEDDED, training=True))


def test_word_dropout_takes_whole_tokens():
    tokens = dropped(0.0, 0.25)
    assert set(np.unique(tokens)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (tokens == tokens[..., :1]).all()
    assert 0.2 < (tokens == 0).mean() < 0.3


@pytest.mark.parametrize("variational", [False, True])
def test_variational_dropout_takes_a_feature_at_all_steps(variational):
    features = dropped(0.25, variational=variational)
    assert (features == features[:, :1]).all() == variational
    assert (features == features[:1]).all() == np.False_  # never of all sentences
    assert 0.1 < (features == 0).mean() < 0.4


def test_both_together_and_neither_outside_training():
    both = dropped(0.5, 0.5, variational=True)
    assert set(np.unique(both)) == {np.float32(0), np.float32(4)}
    layer = EmbeddingDropout(0.5, word_rate=0.5)
    np.testing.assert_array_equal(layer(EMBEDDED, training=False), EMBEDDED)
    np.testing.assert_array_equal(layer(EMBEDDED), EMBEDDED)


@pytest.mark.parametrize("name", CELLS)
def test_a_recurrent_layer_reads_inputs_that_lack_the_same_features(name):
    layer = CELLS[name](4, return_sequences=True, dropout=0.5, variational_dropout=True, seed=3)
    sequence = tf.random.stateless_normal((2, 6, 8), [1, 2])
    twin = keras.random.SeedGenerator(0)
    twin.state.assign(layer.seed_generator.state)
    mask = dropout(tf.ones_like(sequence), 0.5, twin, (1,))
    assert bool(tf.reduce_all(mask == mask[:, :1]))
    np.testing.assert_allclose(layer(sequence, training=True), layer(sequence * mask, training=False), rtol=1e-5)


def test_a_share_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"expected `rate` to be at least 0 and below 1, got 1\.0"):
        Dropout(1.0)
