"""`training.precision: auto` takes what is faster, and what a training began with."""

import json

import pytest

from nmt.runs.folder import RunFolder
from nmt.training import precision
from nmt.training.precision import measure_gain, settle_precision
from tests.helpers import reversal_config


@pytest.mark.parametrize(("gain", "chosen"), [(0.2, "float32"), (1.1, "float32"), (1.9, "bfloat16")])
def test_the_faster_precision_is_chosen_and_logged(tmp_path, monkeypatch, caplog, gain, chosen):
    caplog.set_level("INFO", "nmt")
    monkeypatch.setattr(precision, "measure_gain", lambda: gain)
    config = reversal_config(tmp_path, training={"precision": "auto"})
    assert settle_precision(config, RunFolder(tmp_path / "run")).training.precision == chosen
    assert f"precision of products: {chosen} (bfloat16 is {gain} times as fast as float32)" in caplog.messages
    assert config.training.precision == "auto"  # what the run folder keeps


def test_a_training_keeps_what_it_began_with(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "measure_gain", lambda: 1.9)
    run = RunFolder(tmp_path / "run")
    run.last.parent.mkdir(parents=True)
    run.metrics.write_text(json.dumps({"config": {"training": {"precision": "float32"}}}) + '\n{"step": 1}\n')
    config = reversal_config(tmp_path, training={"precision": "auto"})
    assert settle_precision(config, run).training.precision == "bfloat16"  # nothing is there yet to go on from
    run.last.touch()
    assert settle_precision(config, run).training.precision == "float32"


def test_another_precision_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "measure_gain", lambda: pytest.fail("measured"))
    config = reversal_config(tmp_path, training={"precision": "float16"})
    assert settle_precision(config) is config


def test_the_gain_is_the_ratio_of_times(monkeypatch):
    clock = iter([0, 0] + 5 * [0, 3, 0, 2])  # starts of the first round, which is not timed; then float32, bfloat16
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    assert measure_gain() == 1.5
