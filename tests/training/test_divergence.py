"""A training whose numbers are no longer finite ends in one line, and nothing of it is saved or averaged."""

import json
import math
import shutil

import numpy as np
import pytest
import tensorflow as tf

from nmt.evaluation.perplexity import Perplexity, print_perplexity
from nmt.layers.cross_entropy import summed_losses
from nmt.runs.checkpoints import average_checkpoints, load_arrays, save_arrays
from nmt.training.train import train
from nmt.utils.errors import UserError
from tests.helpers import refused, reversal_config


def poisoned_after(batches):
    """The cross-entropy, which is NaN from some batch on."""
    count = tf.Variable(0, trainable=False)

    def losses(*arguments, **named):
        poison = tf.where(count.assign_add(1) > batches, math.nan, 1.0)
        return [value * poison for value in summed_losses(*arguments, **named)]

    return losses


def test_a_loss_that_is_no_number_ends_training_before_anything_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr("nmt.training.train.make_validator", lambda *_: lambda: (1.0, 10.0))
    monkeypatch.setattr("nmt.training.trainer.summed_losses", poisoned_after(5))
    training = {"max_steps": 40, "validate_every": 2, "save_every": 1}
    with pytest.raises(UserError, match=r"^step 6: the training loss is nan; .*learning_rate.*clip_norm.*precision"):
        train(reversal_config(tmp_path / "corpus", training=training), tmp_path / "run")
    saved = sorted((tmp_path / "run").rglob("*.npz"))
    assert saved
    for path in saved:
        arrays, _ = load_arrays(path)
        assert all(np.isfinite(array).all() for name, array in arrays.items() if name.startswith("weights/")), path


def test_a_validation_loss_that_is_no_number_is_never_best(tmp_path, monkeypatch):
    monkeypatch.setattr("nmt.training.train.make_validator", lambda *_: lambda: (math.nan, 10.0))
    training = {"max_steps": 4, "validate_every": 2}
    with pytest.raises(UserError, match=r"^step 2: the validation loss is nan; "):
        train(reversal_config(tmp_path / "corpus", training=training), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("best.npz"))


def test_weights_that_are_no_numbers_are_not_averaged(tmp_path):
    path = tmp_path / "spoilt.npz"
    save_arrays(path, {"weights/bias": np.array([1.0, np.nan], np.float32)}, {})
    with pytest.raises(UserError, match=r"spoilt.npz: `weights/bias` has weights that are NaN or infinite"):
        average_checkpoints([path], tmp_path / "mean.npz")


def test_scores_that_are_no_numbers_are_an_error(tmp_path, trained_run, capsys):
    run = shutil.copytree(trained_run, tmp_path / "run")
    for path in run.rglob("*.npz"):
        arrays, state = load_arrays(path)
        spoilt = {name: np.full_like(array, np.nan) if "embedding" in name else array for name, array in arrays.items()}
        save_arrays(path, spoilt, state)
    lines = tmp_path / "lines.txt"
    lines.write_text("\n1 2 3\n")
    assert "line 2: the model's scores are NaN or infinite" in refused(capsys, "translate", run, "--input", lines)
    assert "line 1: the model's scores are NaN or infinite" in refused(capsys, "score", run, lines, lines)


def test_best_follows_the_loss_while_bleu_is_the_same_and_the_end_is_explained(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "nmt")
    results = iter([(3.0, 0.0), (2.0, 0.0), (2.5, 0.0), (2.4, 0.0)])
    monkeypatch.setattr("nmt.training.train.make_validator", lambda *_: lambda: next(results))
    training = {"max_steps": 50, "validate_every": 2, "patience": 2}
    run = train(reversal_config(tmp_path / "corpus", training=training), tmp_path / "run")
    assert load_arrays(run.best)[1]["step"] == 4
    assert (
        "stopping early: no better BLEU than 0 at step 4 in the last 2 validations (training.patience)" in caplog.text
    )


def test_a_perplexity_that_no_float_holds_is_null_in_json(capsys, caplog):
    print_perplexity(Perplexity(-2000.0, lines=1, tokens=2, words=2, bytes=10), as_json=True)
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed["token"]["perplexity"] is None
    assert printed["byte"]["perplexity"] == pytest.approx(math.exp(200))
    assert "too large for a number" in caplog.text
