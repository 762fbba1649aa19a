"""Every public layer as a Keras user meets it: functional models, saving and loading, precision, seeds, masks."""

import inspect
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.layers.attention import AdditiveAttention, DotAttention, MultiHeadAttention
from nmt.layers.cells import CELLS
from nmt.layers.dropout import Dropout, EmbeddingDropout
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import Recurrent

BATCH, TIME, FEATURES, UNITS, VOCABULARY = 2, 6, 3, 4, 11
ATTENTIONS = {"additive": AdditiveAttention, "dot": DotAttention, "multi_head": MultiHeadAttention}
MASK = np.array([[True] * 6, [True] * 4 + [False] * 2])
IDS = np.array([[5, 6, 7, 1, 2, 3], [4, 9, 10, 3, 0, 0]], "int32")


def values(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


SEQUENCE = values(1, BATCH, TIME, FEATURES)


def every_option(name):
    """Arguments that differ from the default wherever the cell allows it."""
    options = {
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
        "dropout": 0.1,
        "variational_dropout": True,
        "layer_normalization": True,
        "kernel_initializer": "he_normal",
        "bias_initializer": keras.initializers.Constant(0.1),
        "compile_loops": True,
        "seed": 3,
        "name": "mine",
        "dtype": "float64",
    }
    cell = CELLS[name].cell_class
    if cell.reads_state:
        options |= {"recurrent_dropout": 0.2, "recurrent_initializer": "glorot_normal"}
    if any(cell.retention_signs):
        options |= {"longest_memory": 5}
    return options


def through_a_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def assert_same(model, loaded, inputs):
    for one, other in zip(tf.nest.flatten(model(inputs)), tf.nest.flatten(loaded(inputs)), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(tf.cast(one, tf.float64), tf.cast(other, tf.float64))


@pytest.mark.parametrize("name", CELLS)
def test_signature_spells_out_what_the_configuration_holds(name):
    for kind in (CELLS[name], CELLS[name].cell_class):
        parameters = inspect.signature(kind).parameters
        spelled_out = [one for one, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
        configuration = kind(UNITS).get_config()
        assert set(spelled_out) | {"name", "trainable", "dtype"} == set(configuration)
    assert {"return_sequences", "dropout", "recurrent_dropout", "longest_memory", "seed"} <= set(
        inspect.signature(CELLS[name]).parameters
    )


@pytest.mark.parametrize("name", CELLS)
def test_configuration_restores_the_layer(name):
    layer = CELLS[name](UNITS, **every_option(name))
    configuration = layer.get_config()
    restored = CELLS[name].from_config(configuration)
    assert restored.get_config() == configuration
    assert {key: configuration[key] for key in ("name", "seed", "dropout", "go_backwards")} == {
        "name": "mine", "seed": 3, "dropout": 0.1, "go_backwards": True
    }  # fmt: skip
    for one in (layer, restored):
        one.build((None, None, FEATURES))
    for one, other in zip(layer.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    cell = layer.cell.get_config()
    assert type(layer.cell).from_config(cell).get_config() == cell


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_recurrent_layer_in_a_functional_model(name, sequences, masked, dtype, tmp_path):
    inputs = keras.Input((None, FEATURES))
    sequence = keras.layers.Masking(0.0)(inputs) if masked else inputs
    outputs = CELLS[name](UNITS, return_sequences=sequences, return_state=True, dtype=dtype, seed=1)(sequence)
    model = keras.Model(inputs, outputs)
    given = np.where(MASK[..., None], SEQUENCE, 0) if masked else SEQUENCE
    assert_same(model, through_a_file(model, tmp_path), given)
    computed, *states = model(given)
    assert computed.dtype == keras.DTypePolicy(dtype).compute_dtype
    assert all(state.dtype == keras.DTypePolicy(dtype).variable_dtype for state in states)
    assert keras.DTypePolicy(dtype).compute_dtype == model.layers[-1].cell.compute_dtype
    if masked:
        short = model(given[1:, :4])[1]
        np.testing.assert_allclose(states[0][1], short[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_with_a_mask_and_a_first_state_that_are_inputs(name, tmp_path):
    layer = CELLS[name](UNITS, return_sequences=True, seed=1)
    sequence, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    first = [keras.Input((UNITS,)) for _ in range(layer.cell.num_states)]
    model = keras.Model([sequence, mask, *first], layer(sequence, initial_state=first, mask=mask))
    given = [SEQUENCE, MASK, *(values(9 + index, BATCH, UNITS) for index in range(len(first)))]
    assert_same(model, through_a_file(model, tmp_path), given)
    direct = layer(SEQUENCE, initial_state=[tf.constant(state) for state in given[2:]], mask=tf.constant(MASK))
    np.testing.assert_allclose(model(given), direct, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("seed", [None, 1])
def test_bidirectional_saves_and_its_directions_begin_differently(name, seed, tmp_path):
    ids = keras.Input((None,), dtype="int32")
    embedded = TiedEmbedding(VOCABULARY, FEATURES, seed=seed)(ids)
    both = keras.layers.Bidirectional(CELLS[name](UNITS, return_sequences=True, dropout=0.1, seed=seed))
    model = keras.Model(ids, keras.layers.GlobalAveragePooling1D()(both(embedded)))
    assert_same(model, through_a_file(model, tmp_path), IDS)
    assert not np.array_equal(both.forward_layer.cell.kernel, both.backward_layer.cell.kernel)
    generators = both.forward_layer.seed_generator, both.backward_layer.seed_generator
    assert not np.array_equal(*(generator.state for generator in generators))
    # The mask of the embedding goes through both directions to the pooling: padding changes nothing.
    np.testing.assert_allclose(model(IDS[1:]), model(IDS[1:, :4]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("kind", ATTENTIONS)
def test_attention_in_a_functional_model_reads_the_mask_of_its_memory(kind, dtype, tmp_path):
    ids, queries = keras.Input((None,), dtype="int32"), keras.Input((None, UNITS))
    memory = TiedEmbedding(VOCABULARY, UNITS, dtype=dtype, seed=1)(ids)
    context, weights = ATTENTIONS[kind](UNITS, dtype=dtype, seed=2)(queries, memory)
    model = keras.Model([queries, ids], [context, weights])
    given = [values(3, BATCH, 5, UNITS), IDS]
    assert_same(model, through_a_file(model, tmp_path), given)
    context, weights = model(given)
    assert context.dtype == keras.DTypePolicy(dtype).compute_dtype
    np.testing.assert_array_equal(weights[1, :, 4:], 0)
    np.testing.assert_allclose(tf.reduce_sum(weights, -1), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_attention_prefers_the_mask_that_is_given(kind, tmp_path):
    queries, memory, mask = (
        keras.Input((None, UNITS)),
        keras.Input((None, FEATURES)),
        keras.Input((None,), dtype="bool"),
    )
    layer = ATTENTIONS[kind](UNITS)
    model = keras.Model([queries, memory, mask], layer(queries, memory, mask=mask))
    given = [values(3, BATCH, 5, UNITS), SEQUENCE, MASK]
    assert_same(model, through_a_file(model, tmp_path), given)
    _, weights = model(given)
    np.testing.assert_array_equal(weights[1, :, 4:], 0)
    embedding = TiedEmbedding(VOCABULARY, FEATURES)
    _, weights = layer(tf.constant(given[0]), embedding(tf.constant(IDS)), mask=tf.ones((BATCH, TIME), tf.bool))
    assert np.all(weights[1, :, 4:] > 0)


def test_attention_hands_on_the_mask_of_its_queries():
    queries = TiedEmbedding(VOCABULARY, UNITS)(tf.constant(IDS))
    context, weights = DotAttention(UNITS)(queries, tf.constant(SEQUENCE))
    np.testing.assert_array_equal(context._keras_mask, IDS != 0)
    assert getattr(weights, "_keras_mask", None) is None


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float64"])
def test_embedding_in_both_directions(dtype, tmp_path):
    ids = keras.Input((None,), dtype="int32")
    embedding = TiedEmbedding(VOCABULARY, UNITS, dtype=dtype, seed=1)
    vectors = embedding(ids)
    model = keras.Model(ids, [vectors, embedding(vectors, reverse=True)])
    assert_same(model, through_a_file(model, tmp_path), IDS)
    vectors, logits = model(IDS)
    assert vectors.dtype == keras.DTypePolicy(dtype).compute_dtype
    assert logits.dtype == keras.DTypePolicy(dtype).variable_dtype
    np.testing.assert_array_equal(embedding(tf.constant(IDS))._keras_mask, IDS != 0)
    with pytest.raises(ValueError, match="expected integer ids, got "):
        embedding(tf.ones((2, 3)))


@pytest.mark.parametrize(
    "layer",
    [
        Dropout(0.5, shared_axes=(1,), seed=1),
        Dropout(0.0),
        EmbeddingDropout(0.5, word_rate=0.2, variational=True, seed=1),
        EmbeddingDropout(0.1, seed=2),
    ],
    ids=["dropout", "nothing dropped", "embedding dropout", "features alone"],
)
def test_dropout_in_a_functional_model(layer, tmp_path):
    ids = keras.Input((None,), dtype="int32")
    dropped = layer(TiedEmbedding(VOCABULARY, UNITS, seed=1)(ids))
    model = keras.Model(ids, CELLS["gru"](UNITS, seed=1)(dropped))
    loaded = through_a_file(model, tmp_path)
    assert_same(model, loaded, IDS)
    np.testing.assert_array_equal(model(IDS, training=True), loaded(IDS, training=True))
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    np.testing.assert_allclose(model(IDS[1:]), model(IDS[1:, :4]), atol=1e-6)  # the mask has come through


@pytest.mark.parametrize("name", CELLS)
def test_half_precision_needs_no_global_policy(name):
    layer = CELLS[name](UNITS, dtype="mixed_bfloat16")
    assert layer.cell.compute_dtype == layer.compute_dtype == "bfloat16"
    assert layer.cell.variable_dtype == "float32"


def makers(seed):
    for name, kind in CELLS.items():
        dropped = {"recurrent_dropout": 0.1} if kind.cell_class.reads_state else {}
        yield name, lambda kind=kind, dropped=dropped: kind(UNITS, dropout=0.1, seed=seed, **dropped)
        if any(kind.cell_class.retention_signs):
            yield f"{name}, longest memory", lambda kind=kind: kind(UNITS, longest_memory=9, seed=seed)
    for kind, attention in ATTENTIONS.items():
        yield kind, lambda attention=attention: attention(UNITS, seed=seed)
    yield "embedding", lambda: TiedEmbedding(VOCABULARY, FEATURES, seed=seed)
    yield "embedding dropout", lambda: EmbeddingDropout(0.1, word_rate=0.1, seed=seed)


def used(make):
    """A layer, called in training, with its weights and what it gave."""
    layer = make()
    inputs = [SEQUENCE]
    if isinstance(layer, TiedEmbedding):
        inputs = [IDS]
    elif not isinstance(layer, Recurrent | EmbeddingDropout):
        inputs = [values(3, BATCH, 5, UNITS), SEQUENCE]
    training = {"training": True} if isinstance(layer, Recurrent | EmbeddingDropout) else {}
    return layer, [*layer.get_weights(), *tf.nest.flatten(layer(*map(tf.constant, inputs), **training))]


@pytest.mark.parametrize("name", dict(makers(1)))
def test_a_seed_makes_weights_and_dropout_reproducible(name):
    first, again, other = (used(dict(makers(seed))[name])[1] for seed in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("name", dict(makers(1)))
def test_the_weights_of_a_layer_do_not_begin_alike(name):
    layer, _ = used(dict(makers(1))[name])
    drawn = [np.ravel(weight) / np.std(weight) for weight in layer.get_weights() if np.std(weight) > 0]
    assert len({tuple(weight[:4]) for weight in drawn}) == len(drawn)


def test_nothing_process_wide_changes(tmp_path):
    def state():
        return random.getstate(), [str(part) for part in np.random.get_state()], keras.config.dtype_policy().name

    before = state()
    for name, make in makers(1):
        layer, _ = used(make)
        assert state() == before, name
        type(layer).from_config(layer.get_config())
        assert state() == before, name
    inputs = keras.Input((None, FEATURES))
    outputs = CELLS["gru"](UNITS, dropout=0.1, seed=1, dtype="mixed_bfloat16")(inputs)
    model = keras.Model(inputs, outputs)
    loaded = through_a_file(model, tmp_path)
    loaded(SEQUENCE, training=True)
    assert state() == before
