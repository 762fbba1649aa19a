"""The language model steps as it runs over whole texts, and padding changes nothing."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.constants import BEGIN, END
from nmt.models.language_model import LanguageModel
from nmt.models.token_model import shift_right

VOCABULARY = 40
SHAPES = [
    {},
    {"num_layers": 3, "layer_normalization": True},
    {"cell": "lstm", "num_layers": 2, "tied_embeddings": False},
    {"cell": "ssru"},
]
TEXTS = np.array([[5, 6, 7, 8, END], [9, 4, END, 0, 0]], np.int32)


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_give_what_whole_texts_give(shape):
    model = LanguageModel(VOCABULARY, **{"units": 8, "embedding_dim": 6, "seed": 1} | shape)
    whole = model.hidden(None, tf.constant(TEXTS))
    state = model.start(tf.constant(TEXTS))
    state = state._replace(states=tuple(one[:, None] for one in state.states))
    step, inputs = model.stepper(), shift_right(tf.constant(TEXTS), BEGIN)
    for t in range(TEXTS.shape[1]):
        vectors, weights, state = step(inputs[:, t : t + 1], state)
        assert weights == ()
        np.testing.assert_allclose(vectors[0, 0], whole[0, t], atol=1e-6)
    alone = model.hidden(tf.constant([[END]]), tf.constant(TEXTS[1:, :3]))
    np.testing.assert_allclose(alone[0], whole[1, :3], atol=1e-6)


def test_weights_are_those_of_a_decoder_without_a_source():
    model, same, other = (LanguageModel(VOCABULARY, units=8, embedding_dim=6, seed=seed) for seed in (1, 1, 2))
    names = {weight.path for weight in model.weights}
    assert not [name for name in names if "bridge" in name or "attention" in name]
    assert len([name for name in names if "embedding" in name]) == 1
    for ours, theirs in zip(model.weights, same.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(not np.array_equal(ours, theirs) for ours, theirs in zip(model.weights, other.weights, strict=True))
    assert [len(list(model.recurrent_layers())), model.vocabulary_size] == [1, VOCABULARY]
