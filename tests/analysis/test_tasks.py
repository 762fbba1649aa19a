"""The tasks, against labels and scores made by hand."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.analysis.tasks import TASKS, AddingTask, CopyTask


def test_copy_shows_symbols_waits_cues_and_asks_for_them():
    task = CopyTask(symbols=4, remembered=3)
    inputs, targets = task.batch(5, 6, np.random.default_rng(0))
    assert inputs.shape == (5, task.length(6), task.num_features) == (5, 12, 6)
    ids = inputs.argmax(-1)
    np.testing.assert_array_equal(inputs.sum(-1), 1)
    np.testing.assert_array_equal(ids[:, :3], targets)
    blank, cue = 4, 5
    np.testing.assert_array_equal(ids[:, 3:], [[blank] * 5 + [cue] + [blank] * 3] * 5)
    assert len(np.unique(targets)) == 4


def test_at_the_shortest_delay_the_cue_follows_the_symbols():
    inputs, _ = CopyTask(symbols=2, remembered=1).batch(1, 1, np.random.default_rng(0))
    assert inputs[0].argmax(-1)[1:].tolist() == [3, 2]


@pytest.mark.parametrize("delay", [2, 3, 10])
def test_adding_marks_a_number_in_each_half(delay):
    inputs, targets = AddingTask().batch(200, delay, np.random.default_rng(1))
    assert inputs.shape == (200, delay, 2)
    numbers, marks = inputs[..., 0], inputs[..., 1]
    np.testing.assert_array_equal(marks[:, : delay // 2].sum(1), 1)
    np.testing.assert_array_equal(marks[:, delay // 2 :].sum(1), 1)
    for row in range(200):
        assert targets[row, 0] == pytest.approx(sum(numbers[row][marks[row] == 1]), abs=1e-6)
    assert set(np.flatnonzero(marks.any(0))) == set(range(delay))


@pytest.mark.parametrize("name", TASKS)
def test_answers_without_memory_score_what_is_said(name):
    task = TASKS[name]
    _, targets = task.batch(20_000, 5, np.random.default_rng(2))
    constant = np.zeros((*targets.shape, task.num_outputs)) if name == "copy" else np.ones((*targets.shape, 1))
    loss = tf.reduce_mean(task.losses(tf.constant(targets), tf.constant(constant, tf.float32)))
    accuracy = tf.reduce_mean(task.correct(tf.constant(targets), tf.constant(constant, tf.float32)))
    assert float(loss) == pytest.approx(task.chance.loss, abs=0.005)
    assert float(accuracy) == pytest.approx(task.chance.accuracy, abs=0.01)


def test_right_answers_are_right():
    task = AddingTask()
    right = task.correct(tf.constant([[1.0], [1.0]]), tf.constant([[[1.07]], [[0.91]]]))
    assert right.numpy().tolist() == [[1.0], [0.0]]
    predictions = tf.constant([[[0.0, 9.0], [9.0, 0.0]]])
    assert CopyTask(2, 2).correct(tf.constant([[1.0, 1.0]]), predictions).numpy().tolist() == [[1.0, 0.0]]


def test_the_same_seed_draws_the_same():
    for task in TASKS.values():
        one, other = (task.batch(3, 4, np.random.default_rng(7)) for _ in range(2))
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.targets, other.targets)
