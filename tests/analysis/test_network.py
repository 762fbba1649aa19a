"""The network for the tasks: reproducible weights, chrono initialisation, answers at the last steps."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.analysis.network import TaskNetwork
from nmt.analysis.tasks import TASKS
from nmt.layers.cells import CELLS


@pytest.mark.parametrize("cell", CELLS)
def test_equal_seeds_give_equal_weights(cell):
    one, same, other = (TaskNetwork(cell, 4, TASKS["copy"], seed, longest_memory=9) for seed in (1, 1, 2))
    for a, b, c in zip(one.get_weights(), same.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not a.any() or (a == 1).all() or (a != c).any()


@pytest.mark.parametrize("task", TASKS)
def test_answers_the_last_steps(task):
    network = TaskNetwork("gru", 4, TASKS[task], 1)
    inputs, targets = TASKS[task].batch(3, 6, np.random.default_rng(0))
    predictions = network(tf.constant(inputs))
    assert predictions.shape == (*targets.shape, TASKS[task].num_outputs)
    states = network.recurrent(tf.constant(inputs))
    np.testing.assert_allclose(predictions[:, -1], network.readout(states[:, -1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "rnn"])
def test_gates_are_initialised_for_the_longest_memory(cell):
    plain, chrono = (TaskNetwork(cell, 4, TASKS["copy"], 1, longest).recurrent.cell for longest in (None, 50))
    assert chrono.longest_memory == 50
    assert (np.abs(chrono.bias.numpy() - plain.bias.numpy()) > 0.01).any()


def test_the_traditional_network_has_no_gates_to_initialise():
    plain, chrono = (TaskNetwork("rnn", 4, TASKS["copy"], 1, longest) for longest in (None, 9))
    for one, other in zip(plain.get_weights(), chrono.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
