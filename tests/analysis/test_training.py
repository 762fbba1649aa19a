"""The small network, its initial biases, and its growing delays."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.analysis.network import MemoryNetwork, chrono_bias
from nmt.analysis.tasks import TASKS, CopyTask
from nmt.analysis.training import LEARNED, score, train
from nmt.layers.cells import CELLS


@pytest.mark.parametrize("cell", CELLS)
def test_the_seed_makes_the_weights(cell):
    one, same, other = (MemoryNetwork(cell, 4, TASKS["copy"], seed, chrono=9) for seed in (1, 1, 2))
    for a, b, c in zip(one.get_weights(), same.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not a.any() or (a != c).any()


@pytest.mark.parametrize("task", TASKS)
def test_answers_the_last_steps(task):
    network = MemoryNetwork("gru", 4, TASKS[task], 1)
    inputs, targets = TASKS[task].batch(3, 6, np.random.default_rng(0))
    predictions = network(tf.constant(inputs))
    assert predictions.shape == (*targets.shape, TASKS[task].outputs)
    states = network.recurrent(tf.constant(inputs))
    np.testing.assert_allclose(predictions[:, -1], network.answer(states[:, -1]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "rnn"])
def test_chrono_makes_gates_keep_states_for_up_to_the_delay(cell):
    """With no input and no state, what a step keeps of a state is 1 - 1 / u, u between 2 and the delay."""
    units, longest = 200, 50
    width = CELLS[cell].cell_class.gates * units
    bias = chrono_bias(cell, np.zeros(width), longest, np.random.default_rng(3))
    parts = np.split(bias, CELLS[cell].cell_class.gates)
    kept = 1 / (1 + np.exp({"lstm": -parts[1], "ssru": -parts[0]}.get(cell, parts[0])))
    assert 0.5 <= kept.min() < 0.75
    assert 0.975 < kept.max() <= 1 - 1 / longest
    if cell == "lstm":
        np.testing.assert_allclose(parts[0], -parts[1])
        np.testing.assert_array_equal(parts[2:], 0)


def test_the_traditional_network_has_no_gates_to_make():
    plain, chrono = (MemoryNetwork("rnn", 4, TASKS["copy"], 1, longest) for longest in (None, 9))
    for one, other in zip(plain.get_weights(), chrono.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_delays_grow_with_success():
    network, told = MemoryNetwork("gru", 16, CopyTask(symbols=4, remembered=1), 1), []
    learned = train(network, longest=3, steps=1500, seed=1, learning_rate=0.003, on_stage=told.append)
    assert [stage.delay for stage in learned.stages] == [1, 2, 3]
    assert learned.longest == 3
    assert [record.longest for record in told] == [1, 2, 3]
    assert 0 < learned.steps <= 1500
    assert learned.stages[-1].step == learned.steps
    assert score(network, 3, np.random.default_rng(9)).accuracy >= LEARNED - 0.02


def test_ends_with_its_steps():
    learned = train(MemoryNetwork("rnn", 2, TASKS["adding"], 1), longest=50, steps=50, seed=1, learning_rate=0.003)
    assert (learned.steps, learned.longest, learned.stages) == (50, 0, [])
