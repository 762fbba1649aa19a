"""What XLA compiles is chosen by what it costs, and choosing leaves no trace in the training."""

import numpy as np
import pytest

from nmt.config import TrainingSettings
from nmt.data.shapes import Shape
from nmt.models.language_model import LanguageModel
from nmt.runs.checkpoints import load_arrays
from nmt.training import compilation
from nmt.training.compilation import choose_extent
from nmt.training.distribution import Distribution
from nmt.training.make_trainer import make_trainer
from nmt.training.state import variables_of
from nmt.training.train import train
from tests.helpers import reversal_config

SHAPES = [Shape(4, 3, 3), Shape(3, 5, 4)]


@pytest.fixture(scope="module")
def trainer():
    # The model that XLA compiles soonest; what is measured and restored is the trainer's.
    model = LanguageModel(20, units=8, num_layers=1, layer_normalization=False, dropout=0.2, seed=1)
    return make_trainer(model, TrainingSettings(warmup_steps=0, average_decay=0.9))


def values(trainer):
    return {name: variable.numpy().copy() for name, variable in variables_of(trainer).items()}


def test_measuring_changes_nothing(trainer, caplog):
    caplog.set_level("INFO", "nmt")
    before = values(trainer)
    extent = choose_extent(trainer, Distribution(), SHAPES, 100)
    after = values(trainer)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
    (chosen,) = (record.message for record in caplog.records if record.name.startswith("nmt."))
    assert chosen.startswith(f"XLA compiles: {extent} (a step takes, with each: none ")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (10, "none"),  # 1 + 10 * 1.0 against 2 * 10 + 10 * 0.8
        (100, "parts"),  # 1 + 100 against 20 + 80 and 60 + 70
        (10_000, "step"),
    ],
)
def test_the_least_time_in_all_decides(trainer, monkeypatch, steps, expected):
    costs = {"none": (1.0, 1.0), "parts": (10.0, 0.8), "step": (30.0, 0.7)}

    def times(trainer, distribution, shapes):
        first, later = costs[trainer.extent]
        assert shapes == [SHAPES[1]] * len(shapes)
        return [first] + [later] * (len(shapes) - 1)

    monkeypatch.setattr(compilation, "time_steps", times)
    assert choose_extent(trainer, Distribution(), SHAPES, steps) == expected


@pytest.mark.usefixtures("quick_validation")
def test_a_choice_once_made_stays(tmp_path, monkeypatch):
    def configured(steps):
        return reversal_config(
            tmp_path / "corpus",
            batches={"shapes": 1},
            training={"xla": "auto", "max_steps": steps, "validate_every": 2, "schedule": "constant"},
        )

    costs = iter([[3.0, 3.0], [1.0, 1.0], [2.0, 2.0]])
    with monkeypatch.context() as patched:
        patched.setattr(compilation, "time_steps", lambda *_: next(costs))
        train(configured(2), tmp_path / "run")
    monkeypatch.setattr("nmt.training.train.choose_extent", None)  # must not be asked again
    run = train(configured(4), tmp_path / "run")
    assert load_arrays(run.last)[1]["extent"] == "parts"
