"""The model's two decoders agree; padding and batching never change a result."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.constants import BEGIN
from nmt.models.seq2seq import Seq2Seq, make_model
from nmt.models.token_model import shift_right

VOCABULARY = 40
SHAPES = [
    {},
    {"attention": "additive", "encoder_layers": 2, "decoder_layers": 3},
    {"attention": "multi_head", "attention_heads": 2, "decoder_layers": 2, "layer_normalization": True},
    {"tied_embeddings": "none", "embedding": 6},
    {"tied_embeddings": "target", "encoder_layers": 3, "dropout": 0.4, "recurrent_dropout": 0.3},
    {"cell": "rnn", "encoder_layers": 2, "layer_normalization": True},
    {"cell": "lstm", "encoder_layers": 2, "decoder_layers": 2, "recurrent_dropout": 0.3},
    {"cell": "min_gru", "decoder_layers": 2, "layer_normalization": True},
    {"cell": "ssru", "encoder_layers": 2, "decoder_layers": 2},
]


def make(**shape) -> Seq2Seq:
    return make_model(ModelSettings(**({"units": 8, "embedding": 8} | shape)), VOCABULARY, VOCABULARY, seed=1)


def sentences(count: int, lengths: range, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    ids = np.zeros((count, max(lengths) + 1), np.int32)
    for row, length in zip(ids, itertools.cycle(lengths), strict=False):
        row[:length] = generator.integers(4, VOCABULARY, length)
        row[length] = 3
    return ids


@pytest.mark.parametrize("shape", SHAPES)
def test_stepped_decoder_gives_the_whole_sequence_decoders_log_probabilities(shape):
    model = make(**shape)
    source, target = sentences(4, range(2, 6)), sentences(4, range(1, 5), seed=1)
    outputs, attention = model.attend({"source": source, "target": target})
    whole = tf.nn.log_softmax(model.logits(outputs)).numpy()
    memory, states = model.begin(source)
    states = tuple(state[:, None] for state in states)
    step = model.decoder.stepper()
    for t, ids in enumerate(shift_right(target).numpy().T):
        outputs, weights, states = step(ids[:, None], memory, states)
        np.testing.assert_allclose(tf.nn.log_softmax(model.logits(outputs))[:, 0], whole[:, t], atol=1e-5)
        np.testing.assert_allclose(weights[:, 0], attention[:, t], atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_and_batching_never_change_a_result(shape):
    model = make(**shape)
    source, target = sentences(4, range(2, 6)), sentences(4, range(1, 5), seed=1)
    together = model({"source": np.pad(source, ((0, 0), (0, 3))), "target": np.pad(target, ((0, 0), (0, 2)))})
    for row in range(4):
        s, t = source[row][source[row] > 0][None], target[row][target[row] > 0][None]
        alone = model({"source": s, "target": t})
        np.testing.assert_allclose(together[row, : t.shape[1]], alone[0], atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_weight_learns(shape):
    model = make(**shape)
    batch = {"source": sentences(4, range(2, 6)), "target": sentences(4, range(1, 5), seed=1)}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.logits(model(batch, training=True)) ** 2)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.abs(gradient).max() > 0, weight.path


def test_hypotheses_of_a_sentence_share_its_memory():
    model = make(decoder_layers=2)
    memory, states = model.begin(sentences(2, range(3, 5)))
    ids = np.array([[5, 6, 7], [8, 9, 10]], np.int32)
    tiled = tuple(tf.repeat(state[:, None], 3, axis=1) for state in states)
    step = model.decoder.stepper()
    together, _, _ = step(ids, memory, tiled)
    for hypothesis in range(3):
        alone, _, _ = step(ids[:, hypothesis, None], memory, tuple(state[:, None] for state in states))
        np.testing.assert_allclose(together[:, hypothesis], alone[:, 0], atol=1e-5)


@pytest.mark.parametrize(("tied", "tables"), [("all", 1), ("target", 2), ("none", 3)])
def test_embeddings_are_tied_three_ways(tied, tables):
    model = make(tied_embeddings=tied)
    assert sum("embeddings" in weight.path for weight in model.weights) == tables


def test_weights_have_names_of_their_own():
    model = make(encoder_layers=2, decoder_layers=2, layer_normalization=True)
    paths = [weight.path for weight in model.weights]
    assert len(set(paths)) == len(paths)
    assert "seq2seq/encoder/layer_1/forward_gru/cell/recurrent_kernel" in paths


def test_half_precision_keeps_the_logits_in_full():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make(decoder_layers=2)
        assert all(weight.dtype == "float32" for weight in model.weights)
        logits = first_logits(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, first_logits(make(decoder_layers=2)), atol=0.1)


def first_logits(model: Seq2Seq) -> tf.Tensor:
    memory, states = model.begin(sentences(2, range(3, 5)))
    begin = np.full((2, 1), BEGIN, np.int32)
    outputs, _, _ = model.decoder.stepper()(begin, memory, tuple(state[:, None] for state in states))
    return model.logits(outputs)


def test_tied_embeddings_need_one_vocabulary():
    with pytest.raises(ValueError, match="expected one vocabulary for tied embeddings, got 40 and 41"):
        Seq2Seq(ModelSettings(), 40, 41)


def test_all_layers_begin_with_the_memory_that_is_set():
    first, again, without = (
        make(decoder_layers=2, **more) for more in ({"longest_memory": 9}, {"longest_memory": 9}, {})
    )
    batch = {"source": sentences(2, range(2, 4)), "target": sentences(2, range(2, 4), seed=1)}
    for model in (first, again, without):
        model(batch)
    for layer, same, other in zip(*(model.recurrent_layers() for model in (first, again, without)), strict=True):
        of_gate = layer.cell.bias[:8].numpy()
        assert -np.log(8) <= of_gate.min() < of_gate.max() <= 0
        np.testing.assert_array_equal(layer.cell.bias, same.cell.bias)
        np.testing.assert_array_equal(other.cell.bias, 0)
