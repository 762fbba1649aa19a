"""The counted arithmetic against every matrix product that the model really makes."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.models.arithmetic import language_model_operations, training_operations
from nmt.models.language_model import make_language_model
from nmt.models.seq2seq import make_model

SENTENCES, SOURCE, TARGET, VOCABULARY = 3, 5, 4, 50


@pytest.fixture
def counts(monkeypatch):
    """The operations of every product made, one after the other."""
    counted = []
    multiply, contract = tf.matmul, tf.tensordot

    def counting(a, b, *arguments, **options):
        result = multiply(a, b, *arguments, **options)
        inner = a.shape[-2] if options.get("transpose_a") else a.shape[-1]
        counted.append(2 * int(np.prod(result.shape)) * inner)
        return result

    def counting_contraction(a, b, axes):
        result = contract(a, b, axes)
        counted.append(2 * int(np.prod(result.shape)) * b.shape[0])
        return result

    monkeypatch.setattr(tf, "matmul", counting)
    monkeypatch.setattr(tf, "tensordot", counting_contraction)  # of Keras's dense layers
    return counted


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"attention": "additive"},
        {"attention": "multi_head", "attention_heads": 2},
        {"encoder_layers": 2, "decoder_layers": 3, "units": 6},
        {"cell": "rnn", "encoder_layers": 2},
        {"cell": "lstm", "decoder_layers": 2},
        {"cell": "min_gru", "encoder_layers": 2, "decoder_layers": 2},
        {"cell": "ssru"},
    ],
)
def test_counts_the_products_of_the_forward_pass_three_times(shape, counts):
    settings = ModelSettings(**{"units": 8, "embedding": 10, "tied_embeddings": "all"} | shape)
    model = make_model(settings, VOCABULARY, VOCABULARY, seed=1)
    counts.clear()
    ids = tf.ones((SENTENCES, SOURCE), tf.int32), tf.ones((SENTENCES, TARGET), tf.int32)
    model.logits(model({"source": ids[0], "target": ids[1]}))
    expected = training_operations(
        settings, VOCABULARY, SENTENCES, SENTENCES * SOURCE, SENTENCES * TARGET, SENTENCES * SOURCE * TARGET
    )
    assert sum(counts) == pytest.approx(expected / 3)


@pytest.mark.parametrize("shape", [{}, {"decoder_layers": 3, "units": 6}, {"cell": "lstm"}, {"cell": "ssru"}])
def test_counts_those_of_a_language_model(shape, counts):
    settings = ModelSettings(**{"units": 8, "embedding": 10} | shape)
    model = make_language_model(settings, VOCABULARY, seed=1)
    counts.clear()
    model.logits(model({"target": tf.ones((SENTENCES, TARGET), tf.int32)}))
    assert sum(counts) == pytest.approx(language_model_operations(settings, VOCABULARY, SENTENCES * TARGET) / 3)
