"""What the GRU has beyond the other cells: its two places of the reset gate, Keras's twin, cuDNN's weights."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.layers.cudnn import cudnn_parameters
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
