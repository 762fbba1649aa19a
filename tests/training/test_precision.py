"""`training.precision: auto` takes what is faster, and what a training began with."""

import json

import pytest

from nmt.runs.folder import RunFolder
from nmt.training import precision
from nmt.training.precision import measured_gain, settle_precision
from tests.conftest import reversal_config


@pytest.mark.parametrize(("gain", "chosen"), [(0.2, "float32"), (1.1, "float32"), (1.9, "bfloat16")])
def test_the_faster_is_taken(tmp_path, monkeypatch, gain, chosen):
    monkeypatch.setattr(precision, "measured_gain", lambda: gain)
    config = reversal_config(tmp_path, training={"precision": "auto"})
    told = []
    assert settle_precision(config, RunFolder(tmp_path / "run"), message=told.append).training.precision == chosen
    assert chosen in told[0]
    assert config.training.precision == "auto"  # what the run folder keeps


def test_a_training_keeps_what_it_began_with(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "measured_gain", lambda: 1.9)
    run = RunFolder(tmp_path / "run")
    run.last.parent.mkdir(parents=True)
    run.metrics.write_text(json.dumps({"config": {"training": {"precision": "float32"}}}) + '\n{"step": 1}\n')
    config = reversal_config(tmp_path, training={"precision": "auto"})
    assert settle_precision(config, run).training.precision == "bfloat16"  # nothing is there yet to go on from
    run.last.touch()
    assert settle_precision(config, run).training.precision == "float32"


def test_another_precision_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "measured_gain", lambda: pytest.fail("measured"))
    config = reversal_config(tmp_path, training={"precision": "float16"})
    assert settle_precision(config) is config


def test_the_gain_is_the_ratio_of_times(monkeypatch):
    clock = iter([0, 0] + 5 * [0, 3, 0, 2])  # starts of the first round, which is not timed; then float32, bfloat16
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    assert measured_gain() == 1.5
