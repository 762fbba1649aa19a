"""Training on growing delays."""

import numpy as np

from nmt.analysis.curriculum import LEARNED_ACCURACY, score, train_curriculum
from nmt.analysis.network import TaskNetwork
from nmt.analysis.tasks import TASKS, CopyTask


def test_delays_grow_as_they_are_learned():
    network, seen = TaskNetwork("gru", 16, CopyTask(symbols=4, remembered=1), 1), []
    result = train_curriculum(
        network, longest_delay=3, max_steps=1500, seed=1, learning_rate=0.003, on_stage=seen.append
    )
    assert [stage.delay for stage in result.stages] == [1, 2, 3]
    assert result.longest_delay == 3
    assert [one.longest_delay for one in seen] == [1, 2, 3]
    assert 0 < result.training_steps <= 1500
    assert result.stages[-1].training_steps == result.training_steps
    assert score(network, 3, np.random.default_rng(9)).accuracy >= LEARNED_ACCURACY - 0.02


def test_ends_after_its_training_steps():
    network = TaskNetwork("rnn", 2, TASKS["adding"], 1)
    result = train_curriculum(network, longest_delay=50, max_steps=50, seed=1, learning_rate=0.003)
    assert (result.training_steps, result.longest_delay, result.stages) == (50, 0, [])
