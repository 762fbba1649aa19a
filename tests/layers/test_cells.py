"""Every cell against Keras's or a stepped reference; the parallel scan against its loop."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.layers.cells import CELLS, make_recurrent
from nmt.layers.dropout import dropout
from nmt.layers.linear_recurrence import LinearRecurrent
from nmt.layers.lstm import LSTM, LSTMCell
from nmt.layers.min_gru import MinGRU
from nmt.layers.scan import linear_scan
from nmt.layers.simple_rnn import SimpleRNN

LINEAR = [name for name, kind in CELLS.items() if issubclass(kind, LinearRecurrent)]
GATED = [name for name, kind in CELLS.items() if any(kind.cell_class.retention_signs)]
VARIANTS = [(name, variant) for name in CELLS for variant in ({}, {"layer_normalization": True})]
VARIANTS += [
    (name, {"reset_after": True}) for name, kind in CELLS.items() if "reset_after" in inspect.signature(kind).parameters
]


def randomize(layer: keras.layers.Layer, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(0.3 if "scale" in weight.path else 0.0, 0.5, weight.shape))


def twin_of(seed_generator: keras.random.SeedGenerator) -> keras.random.SeedGenerator:
    twin = keras.random.SeedGenerator(0)
    twin.state.assign(seed_generator.state)
    return twin


def test_a_cell_that_does_not_exist():
    with pytest.raises(ValueError, match="expected `cell` to be one of gru, lstm, rnn, min_gru, ssru, got 'gruu'"):
        make_recurrent("gruu", 8)


@pytest.mark.parametrize("name", CELLS)
def test_is_a_keras_layer(name):
    assert issubclass(CELLS[name], tf.keras.layers.Layer)
    assert issubclass(CELLS[name].cell_class, tf.keras.layers.Layer)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs"), [(SimpleRNN, keras.layers.SimpleRNN), (LSTM, keras.layers.LSTM)], ids=["rnn", "lstm"]
)
def test_equals_the_layer_of_keras_with_its_gradient(ours, theirs, go_backwards):
    generator = np.random.default_rng(0)
    options = {"return_sequences": True, "return_state": True, "go_backwards": go_backwards, "dtype": "float64"}
    sequence = tf.constant(generator.normal(size=(3, 6, 4)))
    mask = tf.constant([[True] * 6, [True] * 4 + [False] * 2, [False] * 2 + [True] * 4])
    layers = [ours(5, **options), theirs(5, **options)]
    results = []
    for layer in layers:
        layer.build((None, None, 4))
        randomize(layer, 1)
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            outputs, *states = layer(sequence, mask=mask)
            # What stands at a padded place is the layer's own affair.
            real = tf.cast(mask[:, ::-1] if go_backwards else mask, tf.float64)[..., None]
            loss = tf.reduce_sum((outputs * real) ** 2) + sum(tf.reduce_sum(tf.sin(state)) for state in states)
        gradients = tape.gradient(loss, [sequence, *(weight.value for weight in layer.trainable_weights)])
        results.append([outputs * real, *states, *gradients])
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-10)


def test_initial_weights_are_as_keras_makes_them():
    ours, theirs = LSTM(6), keras.layers.LSTM(6)
    for layer in (ours, theirs):
        layer.build((None, None, 4))
    np.testing.assert_array_equal(ours.get_weights()[2], theirs.get_weights()[2])
    recurrent = LSTMCell(6)
    recurrent.build((None, 4))
    product = recurrent.recurrent_kernel.numpy() @ recurrent.recurrent_kernel.numpy().T
    np.testing.assert_allclose(product, np.eye(6), atol=1e-5)


def gru(cell, gate, inputs, states, visible):
    z, r, part = tf.sigmoid(gate(inputs, visible, 0)), tf.sigmoid(gate(inputs, visible, 1)), slice(2 * cell.units, None)
    if cell.reset_after:
        product = visible @ cell.recurrent_kernel.value[:, part] + cell.candidate_bias
        candidate = tf.tanh(inputs @ cell.kernel.value[:, part] + cell.bias.value[part] + r * product)
    else:
        candidate = tf.tanh(gate(inputs, r * visible, 2))
    return ((1 - z) * states[0] + z * candidate,)


def lstm(cell, gate, inputs, states, visible):
    i, f, g, o = (gate(inputs, visible, index) for index in range(4))
    c = tf.sigmoid(f) * states[1] + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def min_gru(cell, gate, inputs, states, visible):
    z, v = tf.sigmoid(gate(inputs, visible, 0)), gate(inputs, visible, 1)
    return ((1 - z) * states[0] + z * tf.where(v >= 0, v + 0.5, tf.sigmoid(v)),)


def ssru(cell, gate, inputs, states, visible):
    f = tf.sigmoid(gate(inputs, visible, 0))
    return (f * states[0] + (1 - f) * gate(inputs, visible, 1),)


# The equations once more, each gate written out. A cell that is missing here is held against its own single steps.
WRITTEN_OUT = {
    "gru": gru,
    "lstm": lstm,
    "rnn": lambda cell, gate, inputs, states, visible: (tf.tanh(gate(inputs, visible, 0)),),
    "min_gru": min_gru,
    "ssru": ssru,
}
OUTPUTS = {"ssru": tf.nn.relu}


def stepped(name, cell, sequence, states, mask, dropout_mask):
    """The cell step by step, for automatic differentiation."""
    units, outputs = cell.units, []

    def gate(inputs, visible, index):
        part = slice(index * units, (index + 1) * units)
        values = inputs @ cell.kernel.value[:, part]
        if cell.reads_state:
            values += visible @ cell.recurrent_kernel.value[:, part]
        if cell.layer_normalization:
            mean, variance = tf.nn.moments(values, -1, keepdims=True)
            values = (values - mean) / tf.sqrt(variance + 1e-5) * cell.scale.value[part]
        return values + cell.bias.value[part]

    for t in range(sequence.shape[1]):
        if name in WRITTEN_OUT:
            new = WRITTEN_OUT[name](cell, gate, sequence[:, t], states, states[0] * dropout_mask)
        else:
            projected = cell.project(sequence[:, t])
            new = cell.equations.step(projected, states, cell.recurrent_weights(), dropout_mask).states
        states = tuple(tf.where(mask[:, t, None], after, before) for after, before in zip(new, states, strict=True))
        outputs.append(OUTPUTS.get(name, cell.output if name not in WRITTEN_OUT else tf.identity)(states[0]))
    return tf.stack(outputs, 1), *states


@settings(max_examples=60)
@given(
    variant=st.sampled_from(VARIANTS),
    batch=st.integers(1, 3),
    time=st.integers(1, 20),
    features=st.integers(1, 4),
    units=st.integers(1, 4),
    go_backwards=st.booleans(),
    masked=st.booleans(),
    training=st.sampled_from([True, None, False]),  # False takes the loop without a gradient by hand
    seed=st.integers(0, 1000),
)
def test_sequence_and_gradient_equal_the_stepped_cell(
    variant, batch, time, features, units, go_backwards, masked, training, seed
):
    name, options = variant
    dropped = training is True and CELLS[name].cell_class.reads_state
    generator = np.random.default_rng(seed)
    layer = CELLS[name](
        units,
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
        **options,
        recurrent_dropout=0.5 if dropped else 0.0,
        seed=seed,
        dtype="float64",
    )
    layer.build((None, None, features))
    randomize(layer, seed)
    sequence = tf.constant(generator.normal(size=(batch, time, features)))
    initial = [tf.constant(generator.normal(size=(batch, units))) for _ in range(layer.cell.num_states)]
    mask = tf.constant(generator.random((batch, time)) < (0.6 if masked else 2.0))
    weights = tf.constant(generator.normal(size=(batch, time, units)))
    last_weights = [tf.constant(generator.normal(size=(batch, units))) for _ in initial]
    dropout_mask = tf.ones((batch, units), tf.float64)
    if dropped:  # the mask that the layer is about to draw
        dropout_mask = dropout(dropout_mask, 0.5, twin_of(layer.seed_generator))

    variables = [weight.value for weight in layer.trainable_weights]

    def differentiated(run):
        with tf.GradientTape() as tape:
            tape.watch([sequence, *initial])
            outputs, *last = run()
            loss = tf.reduce_sum(outputs * weights)
            loss += sum(tf.reduce_sum(x * weight) for x, weight in zip(last, last_weights, strict=True))
        return [outputs, *last, *tape.gradient(loss, [sequence, *initial, *variables])]

    order = -1 if go_backwards else 1
    expected = differentiated(
        lambda: stepped(name, layer.cell, sequence[:, ::order], tuple(initial), mask[:, ::order], dropout_mask)
    )
    actual = differentiated(lambda: layer(sequence, initial_state=initial, mask=mask, training=training))
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", LINEAR)
def test_parallel_scan_equals_the_loop_over_2000_steps(name, jit_compile):
    generator = np.random.default_rng(0)
    time, batch, units = 2000, 2, 8
    layer = CELLS[name](units, return_sequences=True, compile_loops=jit_compile)
    layer.build((None, None, 3))
    # Gates that are wide open and shut for long, so that what began comes far and much is forgotten.
    layer.cell.kernel.assign(generator.normal(size=layer.cell.kernel.shape) * 2)
    sequence = generator.normal(size=(batch, time, 3)).astype("float32")
    initial = generator.normal(size=(batch, units)).astype("float32")
    weights = generator.normal(size=(batch, time, units)) / time
    projected = layer.cell.project(tf.constant(sequence)).numpy().astype("float64")
    a, b = (x.numpy() for x in layer.cell.equations.coefficients(tf.constant(projected)))

    state, states = initial.astype("float64"), []
    for t in range(time):
        state = a[:, t] * state + b[:, t]
        states.append(state)
    states = np.stack(states, 1)
    slopes = (layer.cell.output(tf.constant(states + 1e-6)) - layer.cell.output(tf.constant(states))).numpy() / 1e-6
    d_state, d_initial = np.zeros((batch, units)), None
    for t in reversed(range(time)):
        d_state = (d_state if t == time - 1 else d_state * a[:, t + 1]) + weights[:, t] * slopes[:, t]
    d_initial = d_state * a[:, 0]

    @tf.function(autograph=False)
    def run(initial):
        with tf.GradientTape() as tape:
            tape.watch(initial)
            outputs = layer(sequence, initial_state=initial, training=True)
            loss = tf.reduce_sum(outputs * weights.astype("float32"))
        return outputs, tape.gradient(loss, initial)

    outputs, gradient = run(tf.constant(initial))
    np.testing.assert_allclose(outputs, layer.cell.output(states), atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(gradient, d_initial, atol=1e-5, rtol=1e-5)


@settings(max_examples=30)
@given(time=st.integers(1, 70), seed=st.integers(0, 100))
def test_linear_scan_equals_the_loop_for_any_length_and_sign(time, seed):
    generator = np.random.default_rng(seed)
    a, b = generator.uniform(-1, 1, (time, 2, 3)), generator.normal(size=(time, 2, 3))
    state, states = generator.normal(size=(2, 3)), []
    initial = state
    for t in range(time):
        state = a[t] * state + b[t]
        states.append(state)
    np.testing.assert_allclose(linear_scan(*map(tf.constant, (a, b, initial))), np.stack(states), atol=1e-12)


def test_gates_at_their_ends_leave_log_space_finite():
    """Gates shut and open as far as can be: a logarithm of nothing must not become infinite, forward or back."""
    layer = MinGRU(1, return_sequences=True)
    layer.build((None, None, 2))
    layer.cell.kernel.assign([[-1.0, 0.0], [0.0, 1.0]])
    inputs = np.zeros((1, 3000, 2), "float32")
    inputs[:, ::2, 0] = -1e4  # shut, and
    inputs[:, 1::2, 0] = 1e4  # open to the end
    sequence = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(sequence)
        outputs = layer(sequence)
        loss = tf.reduce_sum(outputs)
    assert np.isfinite(outputs).all()
    assert np.isfinite(tape.gradient(loss, sequence)).all()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_with_unknown_shapes(name, jit_compile):
    layer = CELLS[name](4, return_sequences=True, compile_loops=not jit_compile)
    layer.build((None, None, 3))

    @tf.function(jit_compile=jit_compile, input_signature=[tf.TensorSpec((None, None, 3))], autograph=False)
    def step(sequence):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(sequence, training=True) ** 2)
        return loss, tape.gradient(loss, [weight.value for weight in layer.trainable_weights])

    for time in (6, 40):
        sequence = tf.random.stateless_normal((2, time, 3), (1, 2))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(sequence) ** 2)
        expected = tape.gradient(loss, [weight.value for weight in layer.trainable_weights])
        compiled_loss, gradients = step(sequence)
        np.testing.assert_allclose(compiled_loss, loss, rtol=1e-5)
        for ours, theirs in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_inside_keras_bidirectional_padding_never_changes_a_result(name):
    layer = keras.layers.Bidirectional(CELLS[name](4, return_sequences=True, return_state=True))
    sequence = tf.random.stateless_normal((1, 4, 3), (1, 2))
    padded = tf.concat([sequence, tf.random.stateless_normal((1, 3, 3), (3, 4))], 1)
    alone, together = layer(sequence), layer(padded, mask=tf.constant([[True] * 4 + [False] * 3]))
    np.testing.assert_allclose(together[0][:, :4], alone[0], atol=1e-6)
    for ours, theirs in zip(together[1:], alone[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_serializes_as_keras_expects(name, tmp_path):
    inputs = keras.Input((None, 3))
    dropped = {"recurrent_dropout": 0.1} if CELLS[name].cell_class.reads_state else {}
    layer = CELLS[name](4, dropout=0.1, layer_normalization=True, bias_initializer="ones", seed=3, **dropped)
    outputs = keras.layers.Bidirectional(layer)(inputs)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    np.testing.assert_array_equal(model(sequence), loaded(sequence))
    assert loaded.layers[1].forward_layer.get_config() == model.layers[1].forward_layer.get_config()


@pytest.mark.parametrize("name", CELLS)
def test_half_precision_products_keep_full_precision_states(name):
    layer = CELLS[name](4, return_state=True, return_sequences=True, dtype="mixed_bfloat16")
    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    outputs, *last = layer(sequence)
    assert outputs.dtype == tf.bfloat16
    assert all(state.dtype == tf.float32 for state in last)
    assert all(weight.dtype == "float32" for weight in layer.weights)
    whole = CELLS[name](4, return_sequences=True)
    whole.build((None, None, 3))
    whole.set_weights(layer.get_weights())
    error = np.abs(tf.cast(outputs, tf.float32) - whole(sequence))
    assert 0 < error.max() < 2**-6


@pytest.mark.parametrize("name", CELLS)
def test_cell_steps_inside_keras_rnn(name):
    layer = CELLS[name](4, return_sequences=True)
    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    whole = layer(sequence)
    np.testing.assert_allclose(keras.layers.RNN(layer.cell, return_sequences=True)(sequence), whole, atol=1e-6)


@pytest.mark.parametrize("name", LINEAR)
def test_a_cell_that_does_not_read_its_state_takes_no_recurrent_dropout(name):
    with pytest.raises(ValueError, match=r"expected no `recurrent_dropout`, as no product reads the state, got 0\.1"):
        CELLS[name](3, recurrent_dropout=0.1)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("name", GATED)
def test_units_begin_with_memories_of_2_to_the_longest_steps(name, normalized):
    units, longest = 500, 20
    cell = CELLS[name](units, longest_memory=longest, layer_normalization=normalized).cell
    cell.build((None, 3))
    nothing = tf.zeros((1, 3))
    for weight in cell.trainable_weights:
        if "kernel" in weight.name:
            weight.assign(tf.zeros_like(weight))  # inputs and state say nothing
    # How much of the last state is retained: its effect on the state after it.
    before = [[tf.zeros((1, units))] * (cell.num_states - 1) + [tf.fill((1, units), value)] for value in (0.0, 1.0)]
    without, with_it = (cell(nothing, states)[1][-1][0] for states in before)
    steps = 1 / (1 - (with_it - without).numpy())
    assert 2 - 1e-3 < steps.min() < 2.5
    assert longest - 1 < steps.max() < longest + 1e-3
    assert abs(steps.mean() - (2 + longest) / 2) < 1
    first, second = (
        CELLS[name](units, longest_memory=longest).cell.initial_bias((cell.num_gates * units,)) for _ in "ab"
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("name", "longest", "message"), [("gru", 1, "at least 2, got 1"), ("rnn", 9, "no gates")])
def test_a_memory_that_cannot_be_is_refused(name, longest, message):
    with pytest.raises(ValueError, match=message):
        CELLS[name](4, longest_memory=longest)
