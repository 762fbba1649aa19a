"""The cell against Keras's and finite differences; the sequence layer against stepping the cell."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.layers.cudnn import cudnn_parameters
from nmt.layers.dropout import dropout
from nmt.layers.gru import GRU, GRUCell
from nmt.layers.recurrence import LoopOptions, StepResult, run_recurrence


def keras_twin(cell: GRUCell, features: int) -> keras.layers.GRUCell:
    """Keras's cell with the weights of ours, those of z negated."""
    twin = keras.layers.GRUCell(cell.units, reset_after=cell.reset_after, dtype=cell.dtype_policy)
    twin.build((None, features))
    sign = np.repeat([-1.0, 1.0, 1.0], cell.units)
    kernel, recurrent_kernel, bias = (
        weight.numpy() * sign for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
    )
    if cell.reset_after:
        bias = np.stack([bias, np.concatenate([np.zeros(2 * cell.units), cell.candidate_bias.numpy()])])
    twin.set_weights([kernel, recurrent_kernel, bias])
    return twin


def randomize(layer: keras.layers.Layer, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(0.3 if "scale" in weight.path else 0.0, 0.5, weight.shape))


def test_is_a_keras_layer():
    assert issubclass(GRUCell, tf.keras.layers.Layer)
    assert issubclass(GRU, tf.keras.layers.Layer)


@pytest.mark.parametrize("reset_after", [False, True])
def test_cell_equals_keras_cell_with_update_weights_negated(reset_after):
    generator = np.random.default_rng(0)
    cell = GRUCell(7, reset_after=reset_after)
    cell.build((None, 5))
    randomize(cell, 1)
    twin = keras_twin(cell, 5)
    inputs, state = generator.normal(size=(4, 5)).astype("float32"), generator.normal(size=(4, 7)).astype("float32")
    ours, _ = cell(inputs, [state])
    theirs, _ = twin(inputs, [state])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("variant", [{}, {"layer_normalization": True}, {"reset_after": True}])
def test_cell_gradient_equals_finite_differences(variant):
    generator = np.random.default_rng(0)
    cell = GRUCell(3, **variant, dtype="float64")
    cell.build((None, 2))
    randomize(cell, 1)
    inputs, state, weights = (tf.constant(generator.normal(size=shape)) for shape in ((2, 2), (2, 3), (2, 3)))

    def loss() -> tf.Tensor:
        return tf.reduce_sum(weights * cell(inputs, [state])[0])

    with tf.GradientTape() as tape:
        tape.watch([inputs, state])
        value = loss()
    gradients = tape.gradient(value, [weight.value for weight in cell.trainable_weights])
    for weight, gradient in zip(cell.trainable_weights, gradients, strict=True):
        original = weight.numpy()
        for index in np.ndindex(original.shape):
            step = np.zeros_like(original)
            step[index] = 1e-6
            weight.assign(original + step)
            above = loss()
            weight.assign(original - step)
            below = loss()
            np.testing.assert_allclose((above - below) / 2e-6, gradient[index], rtol=1e-5, atol=1e-8)
        weight.assign(original)


def stepped(cell, sequence, state, mask, dropout_mask):
    """The equations written out once more, step by step, for automatic differentiation."""
    states, units = [], cell.units
    kernel, recurrent, bias = (tf.convert_to_tensor(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias))

    def gate(inputs, visible, index):
        part = slice(index * units, (index + 1) * units)
        values = inputs @ kernel[:, part] + visible @ recurrent[:, part]
        if cell.layer_normalization:
            mean, variance = tf.nn.moments(values, -1, keepdims=True)
            values = (values - mean) / tf.sqrt(variance + 1e-5) * cell.scale[part]
        return values + bias[part]

    def candidate_of(inputs, visible, reset):
        if not cell.reset_after:
            return tf.tanh(gate(inputs, reset * visible, 2))
        part = slice(2 * units, 3 * units)
        return tf.tanh(
            inputs @ kernel[:, part] + bias[part] + reset * (visible @ recurrent[:, part] + cell.candidate_bias)
        )

    for t in range(sequence.shape[1]):
        inputs, visible = sequence[:, t], state * dropout_mask
        update, reset = tf.sigmoid(gate(inputs, visible, 0)), tf.sigmoid(gate(inputs, visible, 1))
        candidate = candidate_of(inputs, visible, reset)
        state = tf.where(mask[:, t, None], (1 - update) * state + update * candidate, state)
        states.append(state)
    return tf.stack(states, 1), state


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    batch=st.integers(1, 3),
    time=st.integers(1, 5),
    features=st.integers(1, 4),
    units=st.integers(1, 4),
    variant=st.sampled_from([{}, {"layer_normalization": True}, {"reset_after": True}]),
    go_backwards=st.booleans(),
    masked=st.booleans(),
    training=st.sampled_from([True, None, False]),  # False takes the loop without a gradient by hand
    seed=st.integers(0, 1000),
)
def test_sequence_and_gradient_equal_the_stepped_cell(
    batch, time, features, units, variant, go_backwards, masked, training, seed
):
    dropped = training is True
    generator = np.random.default_rng(seed)
    layer = GRU(
        units,
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
        **variant,
        recurrent_dropout=0.5 if dropped else 0.0,
        seed=seed,
        dtype="float64",
    )
    layer.build((None, None, features))
    randomize(layer, seed)
    sequence = tf.constant(generator.normal(size=(batch, time, features)))
    initial = tf.constant(generator.normal(size=(batch, units)))
    mask = tf.constant(generator.random((batch, time)) < (0.6 if masked else 2.0))
    weights, last_weights = (tf.constant(generator.normal(size=s)) for s in ((batch, time, units), (batch, units)))
    dropout_mask = tf.ones((batch, units), tf.float64)
    if dropped:  # the mask that the layer is about to draw
        twin = keras.random.SeedGenerator(0)
        twin.state.assign(layer.seed_generator.state)
        dropout_mask = dropout(dropout_mask, 0.5, twin)

    variables = [weight.value for weight in layer.trainable_weights]
    results = []
    for reference in (False, True):
        with tf.GradientTape() as tape:
            tape.watch([sequence, initial])
            if reference:
                order = -1 if go_backwards else 1
                states, last = stepped(layer.cell, sequence[:, ::order], initial, mask[:, ::order], dropout_mask)
            else:
                states, last = layer(sequence, initial_state=initial, mask=mask, training=training)
            loss = tf.reduce_sum(states * weights) + tf.reduce_sum(last * last_weights)
        results.append([states, last, *tape.gradient(loss, [sequence, initial, *variables])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_with_unknown_shapes(jit_compile):
    layer = GRU(4, return_sequences=True)
    layer.build((None, None, 3))

    @tf.function(jit_compile=jit_compile, input_signature=[tf.TensorSpec((None, None, 3))])
    def step(sequence):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(sequence) ** 2)
        return loss, tape.gradient(loss, [weight.value for weight in layer.trainable_weights])

    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(sequence) ** 2)
    expected = tape.gradient(loss, [weight.value for weight in layer.trainable_weights])
    compiled_loss, gradients = step(sequence)
    np.testing.assert_allclose(compiled_loss, loss, rtol=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("within_function", [False, True])
@pytest.mark.parametrize("variant", [{"layer_normalization": True, "go_backwards": True}, {"reset_after": True}])
def test_compiled_loops_change_nothing(variant, within_function):
    generator = np.random.default_rng(0)
    sequence, mask = tf.constant(generator.normal(size=(3, 5, 2))), tf.constant(generator.random((3, 5)) < 0.6)
    results = []
    for compile_loops in (False, True):
        layer = GRU(
            4,
            return_sequences=True,
            recurrent_dropout=0.5,
            seed=1,
            compile_loops=compile_loops,
            dtype="float64",
            **variant,
        )
        layer.build((None, None, 2))
        randomize(layer, 1)

        def step(sequence, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(sequence)
                loss = tf.reduce_sum(layer(sequence, mask=mask, training=True) ** 2)
            return loss, tape.gradient(loss, [sequence, *(weight.value for weight in layer.trainable_weights)])

        results.append(tf.nest.flatten((tf.function(step) if within_function else step)(sequence)))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_cell_inside_keras_rnn_equals_the_layer():
    layer = GRU(4, return_sequences=True)
    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    mask = tf.constant([[True] * 6, [True] * 4 + [False] * 2])
    ours = layer(sequence, mask=mask)
    theirs = keras.layers.RNN(layer.cell, return_sequences=True)(sequence, mask=mask)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)
    np.testing.assert_allclose(ours[1, :4], theirs[1, :4], atol=1e-6)


def test_layer_equals_keras_layer_with_cudnn_equations():
    """The whole layer, masked and backwards, against the Keras layer that has cuDNN's equations."""
    layer = GRU(4, return_sequences=True, return_state=True, reset_after=True, go_backwards=True)
    layer.build((None, None, 3))
    randomize(layer, 1)
    twin = keras.layers.GRU(4, return_sequences=True, return_state=True, go_backwards=True)
    twin.build((None, None, 3))
    twin.set_weights(keras_twin(layer.cell, 3).get_weights())
    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    mask = tf.constant([[True] * 6, [True] * 4 + [False] * 2])
    for ours, theirs in zip(layer(sequence, mask=mask), twin(sequence, mask=mask), strict=True):
        np.testing.assert_allclose(ours[-1:], theirs[-1:], atol=1e-6)


def test_cudnn_takes_the_weights_as_keras_packs_them():
    """No GPU is needed to see that cuDNN's flat array is the one that Keras makes of the same cell."""
    rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")
    cell = GRUCell(4, reset_after=True)
    cell.build((None, 3))
    randomize(cell, 1)
    twin = keras_twin(cell, 3)
    kernels = [
        *tf.split(tf.convert_to_tensor(twin.kernel), 3, 1),
        *tf.split(tf.convert_to_tensor(twin.recurrent_kernel), 3, 1),
    ]
    biases = tf.split(tf.reshape(twin.bias, (-1,)), 6)
    z_and_r_exchanged = [1, 0, 2, 4, 3, 5]  # as Keras does where TensorFlow was built for CUDA
    theirs = rnn._standardize_cudnn_weights(
        [kernels[i] for i in z_and_r_exchanged], [biases[i] for i in z_and_r_exchanged], tf.constant([-1]), True
    )
    ours = cudnn_parameters(cell.kernel, cell.recurrent_kernel, cell.bias, cell.candidate_bias)
    np.testing.assert_array_equal(ours, theirs)


class Counter:
    """The least equations: no gradient of their own, two states."""

    residual_widths = ()

    def step(self, projected, states, weights, dropout_mask):
        total, last = states
        return StepResult((tf.tanh(total + projected * weights[0] + last), projected))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_new_cell_needs_no_more_than_its_step(jit_compile):
    generator = np.random.default_rng(0)
    projected, first, second = (tf.constant(generator.normal(size=s)) for s in ((5, 2, 3), (2, 3), (2, 3)))
    weight = tf.constant(generator.normal(size=3))
    results = []
    for reference in (False, True):
        with tf.GradientTape() as tape:
            tape.watch([projected, first, second, weight])
            if reference:
                states, outputs = (first, second), []
                for t in range(5):
                    states, _ = Counter().step(projected[t], states, (weight,), None)
                    outputs.append(states[0])
                outputs = tf.stack(outputs)
            else:
                options = LoopOptions(jit_compile=jit_compile)
                outputs, states = run_recurrence(Counter(), projected, (first, second), (weight,), options=options)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(states[0]) + tf.reduce_sum(states[1] ** 2)
        results.append([outputs, *states, *tape.gradient(loss, [projected, first, second, weight])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_inside_keras_bidirectional_padding_never_changes_a_result():
    layer = keras.layers.Bidirectional(GRU(4, return_sequences=True, return_state=True))
    sequence = tf.random.stateless_normal((1, 4, 3), (1, 2))
    padded = tf.concat([sequence, tf.random.stateless_normal((1, 3, 3), (3, 4))], 1)
    mask = tf.constant([[True] * 4 + [False] * 3])
    alone = layer(sequence)
    together = layer(padded, mask=mask)
    np.testing.assert_allclose(together[0][:, :4], alone[0], atol=1e-6)
    for ours, theirs in zip(together[1:], alone[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_serializes_as_keras_expects(tmp_path):
    inputs = keras.Input((None, 3))
    outputs = keras.layers.Bidirectional(GRU(4, dropout=0.1, recurrent_dropout=0.1, layer_normalization=True, seed=3))(
        inputs
    )
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    np.testing.assert_array_equal(model(sequence), loaded(sequence))
    assert loaded.layers[1].forward_layer.get_config() == model.layers[1].forward_layer.get_config()


def test_half_precision_products_keep_full_precision_states():
    layer = GRU(4, return_state=True, return_sequences=True, dtype="mixed_bfloat16")
    states, last = layer(tf.random.stateless_normal((2, 6, 3), (1, 2)))
    assert states.dtype == tf.bfloat16
    assert last.dtype == tf.float32
    assert all(weight.dtype == "float32" for weight in layer.weights)
    whole = GRU(4, return_sequences=True)
    whole.build((None, None, 3))
    whole.set_weights(layer.get_weights())
    # Rounding the inputs' products, and nothing in the loop: the error does not grow with time.
    error = np.abs(tf.cast(states, tf.float32) - whole(tf.random.stateless_normal((2, 6, 3), (1, 2))))
    assert 0 < error.max() < 2**-7


def test_dropout_only_in_training():
    layer = GRU(4, dropout=0.5, recurrent_dropout=0.5, seed=1)
    sequence = tf.random.stateless_normal((2, 6, 3), (1, 2))
    np.testing.assert_array_equal(layer(sequence), layer(sequence))
    assert np.abs(layer(sequence, training=True) - layer(sequence)).max() > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GRUCell(0), "GRUCell: expected `units` to be a positive integer, got 0"),
        (lambda: GRUCell(3, layer_normalization=True, reset_after=True), "expected `layer_normalization` or"),
        (lambda: GRU(3, dropout=1.0), "GRU: expected `dropout` to be at least 0 and below 1, got 1.0"),
    ],
)
def test_wrong_arguments_say_what_was_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
