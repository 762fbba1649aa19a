"""Gradients of states against finite differences and Keras's cells; the bound of the traditional network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.analysis.gradients import (
    gradient_norm_bound,
    joint_norm,
    norms_by_distance,
    spectral_norm,
    state_gradients,
)
from nmt.layers.cells import CELLS
from nmt.layers.lstm import LSTM
from nmt.layers.simple_rnn import SimpleRNN

BATCH, TIME, FEATURES, UNITS = 2, 5, 3, 4


def randomized(name, seed=0, **options):
    layer = CELLS[name](UNITS, return_sequences=True, dtype="float64", **options)
    layer.build((None, None, FEATURES))
    generator = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(0, 0.6, weight.shape))
    return layer


def random_sequence(seed=1):
    return tf.constant(np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)))


def stepped(cell, sequence, perturbed=None, amounts=0.0):
    """All outputs, the cell stepped by hand; at step t, `amounts` are added to one state, `perturbed = (t, which)`."""
    states, outputs = cell.get_initial_state(sequence.shape[0]), []
    for t in range(sequence.shape[1]):
        _, states = cell(sequence[:, t], list(states))
        if perturbed and perturbed[0] == t:
            states[perturbed[1]] = states[perturbed[1]] + amounts
        outputs.append(cell.output(states[0]) if hasattr(cell, "output") else states[0])
    return tf.stack(outputs, 1)


def loss_of(outputs):
    """Of each sequence, depending on the last two steps."""
    return tf.reduce_sum(tf.sin(outputs[:, -1]) + 0.5 * outputs[:, -2] ** 2, -1)


@pytest.mark.parametrize("name", CELLS)
def test_equal_finite_differences(name):
    layer, sequence = randomized(name), random_sequence()
    gradients = state_gradients([layer], lambda: loss_of(layer(sequence)))[0]
    assert len(gradients) == layer.cell.num_states
    epsilon = 1e-6
    for which, gradient in enumerate(gradients):
        assert gradient.shape == (BATCH, TIME, UNITS)
        for t in range(TIME):
            for unit in range(UNITS):
                amounts = epsilon * np.eye(UNITS)[unit]
                high, low = (loss_of(stepped(layer.cell, sequence, (t, which), sign * amounts)) for sign in (1, -1))
                np.testing.assert_allclose(gradient[:, t, unit], (high - low) / (2 * epsilon), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_equal_the_cells_of_keras(name):
    layer, sequence = randomized(name), random_sequence()
    theirs = {"rnn": keras.layers.SimpleRNNCell, "lstm": keras.layers.LSTMCell}[name](UNITS, dtype="float64")
    theirs.build((None, FEATURES))
    theirs.set_weights(layer.get_weights())
    with tf.GradientTape(persistent=True) as tape:
        states, after = [tf.zeros((BATCH, UNITS), tf.float64) for _ in range(layer.cell.num_states)], []
        for t in range(TIME):
            _, states = theirs(sequence[:, t], states)
            # What the tape watches is the state from here on.
            states = [tf.identity(state) for state in states]
            tape.watch(states)
            after.append(states)
        loss = loss_of(tf.stack([states[0] for states in after], 1))
    gradients = state_gradients([layer], lambda: loss_of(layer(sequence)))[0]
    for t in range(TIME):
        for mine, other in zip(gradients, tape.gradient(loss, after[t], unconnected_gradients="zero"), strict=True):
            np.testing.assert_allclose(mine[:, t], other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_the_layer_runs_as_before(name):
    layer, sequence = randomized(name), random_sequence()
    before, seen = layer(sequence), []

    def loss():
        seen.append(layer(sequence))
        return seen[0]

    state_gradients([layer], loss)
    after = layer(sequence)
    np.testing.assert_allclose(seen[0], after, rtol=1e-12)
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("name", ["gru", "ssru"])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_padded_steps_count_for_nothing(name, go_backwards):
    layer, sequence = randomized(name, go_backwards=go_backwards), random_sequence()
    mask = tf.constant([[True, True, True, False, False], [True] * 5])
    order = -1 if go_backwards else 1
    gradient = state_gradients([layer], lambda: layer(sequence, mask=mask)[:, -1])[0][0]
    np.testing.assert_array_equal(gradient[0, 3:], 0)
    alone = state_gradients([layer], lambda: layer(sequence[:1, :3])[:, -1])[0][0]
    np.testing.assert_allclose(gradient[0, :3], alone[0], rtol=1e-12)
    norms = joint_norm([gradient])[:, ::order]
    curve = norms_by_distance(norms, mask.numpy()[:, ::order])
    assert curve.sequences.tolist() == [2, 2, 2, 1, 1]
    assert curve.median[0] == 1.0


def test_in_a_graph_of_unknown_length():
    layer, sequence = randomized("lstm"), random_sequence()
    graph = tf.function(
        lambda values: state_gradients([layer], lambda: loss_of(layer(values)))[0],
        input_signature=[tf.TensorSpec((None, None, FEATURES), tf.float64)],
        autograph=False,
    )
    for one, other in zip(graph(sequence), state_gradients([layer], lambda: loss_of(layer(sequence)))[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_both_directions_at_once():
    layers = [randomized("gru"), randomized("rnn")]
    sequence = random_sequence()

    def loss():
        return tf.reduce_sum(layers[0](sequence)[:, -1] * layers[1](sequence)[:, -1], -1)

    both = state_gradients(layers, loss)
    for layer, gradients in zip(layers, both, strict=True):
        np.testing.assert_allclose(gradients[0], state_gradients([layer], loss)[0][0], rtol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 3.0), st.integers(1, 12))
def test_the_bound_holds(seed, scale, time):
    generator = np.random.default_rng(seed)
    layer = SimpleRNN(UNITS, return_sequences=True, dtype="float64")
    layer.build((None, None, FEATURES))
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(0, scale, weight.shape))
    sequence = tf.constant(generator.normal(size=(3, time, FEATURES)))
    direction = tf.constant(generator.normal(size=(3, UNITS)))
    gradients = state_gradients([layer], lambda: layer(sequence)[:, -1] * direction)[0]
    norms = joint_norm(gradients)
    bound = gradient_norm_bound(layer, layer(sequence))
    assert (norms <= norms[:, -1:] * bound * (1 + 1e-9)).all()
    power = spectral_norm(layer) ** np.arange(time)[::-1]
    assert (bound <= power * (1 + 1e-9)).all()


def test_the_bound_of_a_known_network():
    layer = SimpleRNN(1, return_sequences=True, dtype="float64")
    layer.build((None, None, 1))
    layer.set_weights([np.ones((1, 1)), np.full((1, 1), -0.5), np.zeros(1)])
    states = np.array([[[0.0], [0.6], [0.8]]])
    np.testing.assert_allclose(gradient_norm_bound(layer, states), [[0.5 * 0.64 * 0.5 * 0.36, 0.5 * 0.36, 1]])
    with pytest.raises(ValueError, match="without layer normalisation"):
        gradient_norm_bound(SimpleRNN(2, layer_normalization=True), states)


def test_quartiles_by_distance():
    curve = norms_by_distance([[1, 2, 4], [3, 2, 1], [0, 8, 8], [5, 5, 0]])
    assert curve.sequences.tolist() == [3, 3, 3]  # the one that ends in zero is left out
    np.testing.assert_allclose(curve.median, [1, 1, 0.25])
    np.testing.assert_allclose(curve.upper, [1, 1.5, 1.625])
    nothing = norms_by_distance([[1.0, 2.0]], [[False, False]])
    assert nothing.median.shape == (0,)


def test_the_two_states_of_an_lstm_have_gradients_of_their_own():
    layer = LSTM(3, return_sequences=True)
    sequence = tf.ones((2, 4, 2))
    h, c = state_gradients([layer], lambda: layer(sequence)[:, -1])[0]
    np.testing.assert_array_equal(c[:, -1], 0)  # the output is h, made already
    np.testing.assert_array_equal(h[:, -1], 1)
    np.testing.assert_allclose(joint_norm([h, c]) ** 2, tf.reduce_sum(h**2, -1) + tf.reduce_sum(c**2, -1), rtol=1e-6)
