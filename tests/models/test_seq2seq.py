"""The model's two decoders agree; padding and batching never change a result."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.constants import BEGIN
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import shift_right

VOCABULARY = 40
SHAPES = [
    {"attention": "dot"},
    {"attention": "additive", "encoder_layers": 2, "decoder_layers": 3},
    {"attention": "multi_head", "num_heads": 2, "decoder_layers": 2, "layer_normalization": True},
    {"tied_embeddings": "none", "embedding_dim": 6},
    {"tied_embeddings": "target", "encoder_layers": 3, "dropout": 0.4, "recurrent_dropout": 0.3},
    {"cell": "rnn", "encoder_layers": 2, "layer_normalization": True},
    {"cell": "lstm", "encoder_layers": 2, "decoder_layers": 2, "recurrent_dropout": 0.3},
    {"cell": "min_gru", "decoder_layers": 2, "layer_normalization": True},
    {"cell": "ssru", "encoder_layers": 2, "decoder_layers": 2, "attention": "dot"},
    {"decoder_cell": "ssru", "encoder_layers": 2, "decoder_layers": 2, "attention": "dot"},
    {"cell": "min_gru", "decoder_cell": "lstm", "attention": "multi_head", "num_heads": 2},
]


def make(**shape) -> Seq2Seq:
    plain = {"units": 8, "num_layers": 1, "layer_normalization": False, "seed": 1}
    return Seq2Seq(VOCABULARY, **plain | shape)


def sentences(count: int, lengths: range, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    ids = np.zeros((count, max(lengths) + 1), np.int32)
    for row, length in zip(ids, itertools.cycle(lengths), strict=False):
        row[:length] = generator.integers(4, VOCABULARY, length)
        row[length] = 3
    return ids


def first_state(model, source, hypotheses=1):
    state = model.start(tf.constant(source))
    return state._replace(states=tuple(tf.repeat(one[:, None], hypotheses, axis=1) for one in state.states))


@pytest.mark.parametrize("shape", SHAPES)
def test_stepped_decoder_gives_the_whole_sequence_decoders_log_probabilities(shape):
    model = make(**shape)
    source, target = sentences(4, range(2, 6)), sentences(4, range(1, 5), seed=1)
    whole, attention = tf.nn.log_softmax(model((source, target))).numpy(), model.attention_weights(source, target)
    state, step = first_state(model, source), model.stepper()
    for t, ids in enumerate(shift_right(tf.constant(target), BEGIN).numpy().T):
        outputs, weights, state = step(ids[:, None], state)
        np.testing.assert_allclose(tf.nn.log_softmax(model.logits(outputs))[:, 0], whole[:, t], atol=1e-5)
        np.testing.assert_allclose(weights[:, 0], attention[:, t], atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_and_batching_never_change_a_result(shape):
    model = make(**shape)
    source, target = sentences(4, range(2, 6)), sentences(4, range(1, 5), seed=1)
    together = model((np.pad(source, ((0, 0), (0, 3))), np.pad(target, ((0, 0), (0, 2)))))
    for row in range(4):
        s, t = source[row][source[row] > 0][None], target[row][target[row] > 0][None]
        np.testing.assert_allclose(together[row, : t.shape[1]], model((s, t))[0], atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_weight_learns(shape):
    model = make(**shape)
    source, target = sentences(4, range(2, 6)), sentences(4, range(1, 5), seed=1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model((source, target), training=True) ** 2)
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.abs(gradient).max() > 0, weight.path


def test_hypotheses_of_a_sentence_share_its_memory():
    model = make(decoder_layers=2)
    source = sentences(2, range(3, 5))
    ids = np.array([[5, 6, 7], [8, 9, 10]], np.int32)
    step = model.stepper()
    together, _, _ = step(ids, first_state(model, source, hypotheses=3))
    for hypothesis in range(3):
        alone, _, _ = step(ids[:, hypothesis, None], first_state(model, source))
        np.testing.assert_allclose(together[:, hypothesis], alone[:, 0], atol=1e-5)


@pytest.mark.parametrize(("tied", "tables"), [("all", 1), ("target", 2), ("none", 3)])
def test_embeddings_are_tied_three_ways(tied, tables):
    model = make(tied_embeddings=tied)
    assert sum("embeddings" in weight.path for weight in model.weights) == tables


def test_weights_have_names_of_their_own():
    model = make(encoder_layers=2, decoder_layers=2, layer_normalization=True, tied_embeddings="none")
    paths = [weight.path for weight in model.weights]
    assert len(set(paths)) == len(paths)
    assert "seq2seq/encoder/layer_1/forward_gru/cell/recurrent_kernel" in paths
    assert "seq2seq/decoder/attention/key/kernel" in paths


def test_half_precision_keeps_the_logits_in_full():
    model = make(decoder_layers=2, dtype="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert all(weight.dtype == "float32" for weight in model.weights)
    source, target = sentences(2, range(3, 5)), sentences(2, range(3, 5), seed=1)
    logits = model((source, target))
    assert logits.dtype == tf.float32
    exact = make(decoder_layers=2)((source, target))
    assert 0 < np.abs(logits - exact).max() < 0.1


def test_tied_embeddings_need_one_vocabulary():
    with pytest.raises(ValueError, match=r"expected one vocabulary for `tied_embeddings` 'all', got .* 40 and .* 41"):
        Seq2Seq(40, target_vocabulary_size=41)


def test_only_three_ways_of_tying():
    with pytest.raises(ValueError, match="expected `tied_embeddings` 'all', 'target' or 'none', got 'some'"):
        Seq2Seq(40, tied_embeddings="some")


def test_all_layers_begin_with_the_memory_that_is_set():
    first, again, without = (
        make(decoder_layers=2, **more) for more in ({"longest_memory": 9}, {"longest_memory": 9}, {})
    )
    for layer, same, other in zip(*(model.recurrent_layers() for model in (first, again, without)), strict=True):
        of_gate = layer.cell.bias[:8].numpy()
        assert -np.log(8) <= of_gate.min() < of_gate.max() <= 0
        np.testing.assert_array_equal(layer.cell.bias, same.cell.bias)
        np.testing.assert_array_equal(other.cell.bias, 0)


def test_dropout_draws_in_training_alone_as_the_arguments_say():
    model = make(encoder_layers=2, decoder_layers=2, dropout=0.3, word_dropout=0.2, variational_dropout=True)
    batch = tf.constant([[5, 6, 3]]), tf.constant([[7, 8, 3]])
    assert not np.allclose(model(batch, training=True), model(batch, training=True))
    np.testing.assert_array_equal(model(batch, training=False), model(batch))
    layers = [*model.recurrent_layers()]
    assert all(layer.variational_dropout for layer in layers)
    assert [layer.dropout for layer in layers] == [0, 0, 0.3, 0.3, 0, 0.3]


def test_greedy_generation_takes_the_most_probable_tokens():
    model, source = make(), sentences(3, range(2, 5))
    generated = model.generate(source, max_length=6).numpy()
    for row, padded in zip(source, generated, strict=True):
        ids = padded[padded > 0]
        logits = model((row[None], ids[None])).numpy()[0]
        np.testing.assert_array_equal(logits.argmax(-1), ids)
        assert len(ids) == 6 or ids[-1] == 3
