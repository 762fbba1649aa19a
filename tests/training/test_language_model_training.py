"""A language model's training: what it records, and that it goes on exactly."""

import json

import numpy as np
import pytest

from nmt.cli import main
from nmt.config import save_config
from nmt.runs.checkpoints import load_arrays
from nmt.runs.folder import RunFolder
from nmt.training.bench import measure
from nmt.training.callbacks import TrainingCheckpoint
from nmt.training.metrics import describe_validation
from nmt.training.train import train
from tests.helpers import digit_strings, language_model_config

LINES = digit_strings(500, range(3, 8), seed=3)


class KilledError(Exception):
    pass


def test_goes_on_bit_for_bit_after_a_stop_at_any_step(tmp_path, monkeypatch, caplog):
    config = language_model_config(
        tmp_path,
        [line.replace(" ", "") for line in LINES],
        tokenizer={"sampling": 0.3},
        model={"recurrent_dropout": 0.1, "decoder_layers": 2},
        training={"average_decay": 0.9, "max_steps": 26},
    )
    whole = train(config, tmp_path / "whole")

    count = TrainingCheckpoint.on_train_batch_end

    def killed(self, batch, logs=None):
        count(self, batch, logs)
        if self.state.batches == 17:
            raise KilledError

    monkeypatch.setattr(TrainingCheckpoint, "on_train_batch_end", killed)
    with pytest.raises(KilledError):
        train(config, tmp_path / "stopped")
    monkeypatch.undo()
    caplog.set_level("INFO", "nmt")
    stopped = train(config, tmp_path / "stopped")
    assert "going on from step 15" in caplog.messages
    for name in ("last", "best"):
        (ours, _), (theirs, _) = (load_arrays(run.checkpoint(name)) for run in (whole, stopped))
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{name} {key}")


def test_validates_by_loss_and_perplexity(language_model_run):
    lines = [json.loads(line) for line in RunFolder(language_model_run).metrics.read_text().splitlines()]
    validations = [line for line in lines if "step" in line]
    assert [line["step"] for line in validations] == [30, 60]
    for line in validations:
        assert line["perplexity"] == pytest.approx(np.exp(line["validation_loss"]))
        assert "bleu" not in line
    assert validations[1]["perplexity"] < validations[0]["perplexity"] < 300
    assert f"perplexity {validations[1]['perplexity']:.2f}" in describe_validation(validations[1])


def test_bench_counts_its_products(tmp_path):
    measured = measure(language_model_config(tmp_path, LINES), tmp_path / "data", 3)
    assert 0 < measured.gflop_per_second < measured.product_gflop_per_second


def test_trains_from_the_command_line(tmp_path, capsys):
    config = language_model_config(tmp_path, LINES, training={"max_steps": 2, "xla": "step"})
    save_config(config, tmp_path / "my.yaml")
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(tmp_path / "my.yaml"), "--run", str(tmp_path / "run"), "--set", "batches.shapes=1"])
    said = capsys.readouterr().err
    assert "training texts" in said
    assert "perplexity" in said
