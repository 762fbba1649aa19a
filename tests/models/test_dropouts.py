"""What is dropped together: tokens, features at all steps, and nothing outside training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.layers.dropout import dropout
from nmt.layers.gru import GRU
from nmt.models.dropouts import EmbeddingDropout
from nmt.models.seq2seq import make_model

EMBEDDED = tf.ones((20, 30, 8))


def dropped(**settings: float) -> np.ndarray:
    keras.utils.set_random_seed(1)
    return np.asarray(EmbeddingDropout(ModelSettings(**settings))(EMBEDDED, training=True))


def test_word_dropout_takes_whole_tokens():
    tokens = dropped(word_dropout=0.25, dropout=0.0)
    assert set(np.unique(tokens)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (tokens == tokens[..., :1]).all()
    assert 0.2 < (tokens == 0).mean() < 0.3


@pytest.mark.parametrize("variational", [False, True])
def test_variational_dropout_takes_a_feature_at_all_steps(variational):
    features = dropped(dropout=0.25, variational_dropout=variational)
    assert (features == features[:, :1]).all() == variational
    assert (features == features[:1]).all() == np.False_  # never of all sentences
    assert 0.1 < (features == 0).mean() < 0.4


def test_both_together_and_neither_outside_training():
    both = dropped(word_dropout=0.5, dropout=0.5, variational_dropout=True)
    assert set(np.unique(both)) == {np.float32(0), np.float32(4)}
    layer = EmbeddingDropout(ModelSettings(word_dropout=0.5, dropout=0.5))
    np.testing.assert_array_equal(layer(EMBEDDED, training=False), EMBEDDED)


def test_a_recurrent_layer_reads_inputs_that_miss_the_same_features():
    layer = GRU(4, return_sequences=True, dropout=0.5, variational_dropout=True, seed=3)
    sequence = tf.random.stateless_normal((2, 6, 8), [1, 2])
    mask = dropout(tf.ones_like(sequence), 0.5, keras.random.SeedGenerator(3), (1,))
    assert bool(tf.reduce_all(mask == mask[:, :1]))
    np.testing.assert_allclose(layer(sequence, training=True), layer(sequence * mask, training=False), rtol=1e-5)
    copy = GRU.from_config(layer.get_config())
    assert copy.variational_dropout


def test_the_whole_model_draws_as_the_settings_say():
    settings = ModelSettings(
        units=8,
        embedding=8,
        encoder_layers=2,
        decoder_layers=2,
        dropout=0.3,
        word_dropout=0.2,
        variational_dropout=True,
    )
    model = make_model(settings, 20, 20, seed=1)
    batch = {"source": tf.constant([[5, 6, 3]]), "target": tf.constant([[7, 8, 3]])}
    assert not np.allclose(model(batch, training=True), model(batch, training=True))
    np.testing.assert_array_equal(model(batch, training=False), model(batch))
    layers = [*model.recurrent_layers()]
    assert all(layer.variational_dropout for layer in layers)
    assert [layer.dropout for layer in layers] == [0, 0, 0.3, 0.3, 0, 0.3]
