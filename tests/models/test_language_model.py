"""The language model steps as it runs over whole texts, and padding changes nothing."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.constants import END
from nmt.models.language_model import make_language_model
from nmt.models.token_model import shift_right

VOCABULARY = 40
SHAPES = [
    {},
    {"decoder_layers": 3, "layer_normalization": True},
    {"cell": "lstm", "decoder_layers": 2, "tied_embeddings": "none"},
    {"cell": "ssru"},
]
TEXTS = np.array([[5, 6, 7, 8, END], [9, 4, END, 0, 0]], np.int32)


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_give_what_whole_texts_give(shape):
    model = make_language_model(ModelSettings(**{"units": 8, "embedding": 6} | shape), VOCABULARY, seed=1)
    whole = model({"target": tf.constant(TEXTS)})
    states = tuple(state[:, None] for state in model.decoder.zeros(2))
    step, inputs = model.decoder.stepper(), shift_right(tf.constant(TEXTS))
    for t in range(TEXTS.shape[1]):
        vectors, weights, states = step(inputs[:, t : t + 1], (), states)
        assert weights == ()
        np.testing.assert_allclose(vectors[0, 0], whole[0, t], atol=1e-6)
    alone = model({"target": tf.constant(TEXTS[1:, :3]), "source": tf.constant([[END]])})
    np.testing.assert_allclose(alone[0], whole[1, :3], atol=1e-6)


def test_weights_are_those_of_the_settings():
    model = make_language_model(ModelSettings(units=8, embedding=6, dropout=0.5), VOCABULARY, seed=1)
    names = {weight.path.split("/", 1)[1] for weight in model.weights}
    assert not [name for name in names if "bridge" in name or "attention" in name]
    assert len([name for name in names if "embedding" in name]) == 1
    same = make_language_model(ModelSettings(units=8, embedding=6, dropout=0.5), VOCABULARY, seed=1)
    for ours, theirs in zip(model.weights, same.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [len(list(model.recurrent_layers())), model.vocabulary] == [1, VOCABULARY]
