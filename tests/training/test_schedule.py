"""The learning rate at its corners."""

import pytest

from nmt.config import TrainingSettings
from nmt.training.schedule import LearningRate


def rates(steps, **settings):
    schedule = LearningRate(TrainingSettings(learning_rate=0.5, max_steps=100, **settings))
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize("schedule", ["constant", "inverse_square_root", "linear", "plateau"])
def test_rises_linearly_over_the_warmup(schedule):
    assert rates([0, 4, 9], schedule=schedule, warmup_steps=10) == pytest.approx([0.05, 0.25, 0.5])


def test_falls_as_named():
    assert rates([10, 99], schedule="constant", warmup_steps=10) == pytest.approx([0.5, 0.5])
    assert rates([39, 89], schedule="inverse_square_root", warmup_steps=10) == pytest.approx([0.25, 0.5 / 3])
    linear = rates([9, 54, 99], schedule="linear", warmup_steps=10)
    assert linear[0] == pytest.approx(0.5)
    assert linear[0] > linear[1] > linear[2] > 0


def test_plateau_follows_its_variable():
    schedule = LearningRate(TrainingSettings(learning_rate=0.5, schedule="plateau", warmup_steps=0))
    assert float(schedule(7)) == pytest.approx(0.5)
    schedule.reduction.assign(0.25)
    assert float(schedule(7)) == pytest.approx(0.125)


def test_counts_updates_not_batches():
    assert rates([0, 3, 4, 39], warmup_steps=10, accumulate=4) == pytest.approx([0.05, 0.05, 0.1, 0.5])


def test_survives_serialization():
    schedule = LearningRate(TrainingSettings(learning_rate=0.25))
    assert float(LearningRate.from_config(schedule.get_config())(5)) == float(schedule(5))
