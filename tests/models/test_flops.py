"""The counted arithmetic against every matrix product that the model really makes."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.models.flops import training_flops
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq

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
        {"attention": "multi_head", "num_heads": 2},
        {"encoder_layers": 2, "decoder_layers": 3, "units": 6},
        {"cell": "rnn", "encoder_layers": 2},
        {"cell": "lstm", "decoder_layers": 2},
        {"cell": "min_gru", "encoder_layers": 2, "decoder_layers": 2},
        {"cell": "ssru"},
    ],
)
def test_counts_the_products_of_the_forward_pass_three_times(shape, counts):
    plain = {"units": 8, "embedding_dim": 10, "num_layers": 1, "attention": "dot", "layer_normalization": False}
    model = Seq2Seq(VOCABULARY, **plain | shape)
    counts.clear()
    model((tf.ones((SENTENCES, SOURCE), tf.int32), tf.ones((SENTENCES, TARGET), tf.int32)))
    expected = training_flops(model, SENTENCES, SENTENCES * SOURCE, SENTENCES * TARGET, SENTENCES * SOURCE * TARGET)
    assert sum(counts) == pytest.approx(expected / 3)


@pytest.mark.parametrize("shape", [{}, {"num_layers": 3, "units": 6}, {"cell": "lstm"}, {"cell": "ssru"}])
def test_counts_those_of_a_language_model(shape, counts):
    model = LanguageModel(VOCABULARY, **{"units": 8, "embedding_dim": 10} | shape)
    counts.clear()
    model(tf.ones((SENTENCES, TARGET), tf.int32))
    assert sum(counts) == pytest.approx(training_flops(model, SENTENCES, 0, SENTENCES * TARGET, 0) / 3)
