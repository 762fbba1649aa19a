"""What follows from a validation: what is saved, and how the training goes on."""

import json

import numpy as np
import pytest

from nmt.runs.checkpoints import load_arrays
from nmt.runs.folder import RunFolder
from nmt.training.train import train
from tests.helpers import reversal_config


def validations(run: RunFolder) -> list[dict]:
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [line for line in lines if "step" in line]


def test_stops_early_and_saves_the_best(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "nmt")
    scores = iter([10.0, 30.0, 20.0, 25.0, 99.0])
    monkeypatch.setattr("nmt.training.train.make_validator", lambda *_: lambda: (1.0, next(scores)))
    training = {"max_steps": 50, "validate_every": 2, "patience": 2, "keep": 2}
    run = train(reversal_config(tmp_path / "corpus", training=training), tmp_path / "run")
    assert [line["bleu"] for line in validations(run)] == [10.0, 30.0, 20.0, 25.0]
    stars = [line.split("BLEU ")[1][:7] for line in caplog.messages if line.startswith("step ")]
    assert stars == ["10.00 *", "30.00 *", "20.00  ", "25.00  "]
    assert load_arrays(run.best)[1]["step"] == 4
    assert [path.stem for path in run.recent_checkpoints()] == ["step-00000006", "step-00000008"]


@pytest.mark.usefixtures("quick_validation")
def test_stops_after_its_minutes(tmp_path):
    training = {"max_steps": 1000, "validate_every": 2, "max_minutes": 1e-4}
    run = train(reversal_config(tmp_path / "corpus", training=training), tmp_path / "run")
    assert [line["step"] for line in validations(run)] == [2]


def test_a_plateau_lowers_the_rate_and_averages_are_what_is_saved(tmp_path, monkeypatch):
    scores = iter(range(1, 9))
    monkeypatch.setattr("nmt.training.train.make_validator", lambda *_: lambda: (1.0, float(next(scores))))
    training = {"max_steps": 8, "validate_every": 2, "schedule": "plateau", "plateau_patience": 1, "warmup_steps": 0}
    config = reversal_config(tmp_path / "corpus", training=training | {"average_decay": 0.5})
    run = train(config, tmp_path / "run")
    rates = [line["learning_rate"] for line in validations(run)]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4])
    last, _ = load_arrays(run.last)
    assert float(last["schedule/reduction"]) == 0.125
    saved, _ = load_arrays(run.best)
    name = next(name for name in saved if name.endswith("embeddings"))
    assert 0 < np.abs(saved[name] - last[name]).max() < 0.1
