"""Training as a whole: it learns, it goes on exactly after SIGKILL, and it keeps what it should."""

import json
import random
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.config import load_config, save_config
from nmt.layers.attention import DotAttention
from nmt.runs.checkpoints import load_arrays
from nmt.runs.folder import RunFolder
from nmt.runs.translation import translate_split
from nmt.training.train import train
from nmt.utils.errors import UserError
from tests.helpers import reversal_config, train_by_command
from tests.processes import Forked


def share_reversed(folder) -> float:
    """The share of test strings that a training of less than a minute reverses without a mistake."""
    config = reversal_config(
        folder / "corpus",
        lengths=range(4, 8),
        pairs=4000,
        batches={"tokens": 1000, "shapes": 3},
        model={"units": 48, "embedding": 32, "dropout": 0.0},
        training={
            "max_steps": 200, "validate_every": 200, "save_every": 200, "learning_rate": 0.008, "warmup_steps": 40,
            "schedule": "linear",
        },
        decoding={"beam_size": 1},
    )  # fmt: skip
    train(config, folder / "run")
    _, translations, references, _ = translate_split(folder / "run", "test", None, ())
    return float(np.mean([ours == theirs for ours, theirs in zip(translations, references, strict=True)]))


@pytest.mark.no_cover
def test_learns_to_reverse_digit_strings(tmp_path):
    assert share_reversed(tmp_path) > 0.99


@pytest.mark.no_cover
def test_does_not_without_attention(tmp_path, monkeypatch):
    attend = DotAttention.attend

    def attend_to_nothing(self, queries, keys, values, mask=None):
        contexts, weights = attend(self, queries, keys, values, mask)
        return tf.zeros_like(contexts), weights

    monkeypatch.setattr(DotAttention, "attend", attend_to_nothing)
    assert share_reversed(tmp_path) < 0.5


@pytest.mark.usefixtures("quick_validation")
def test_killed_twice_ends_with_the_same_weights_bit_for_bit(tmp_path):
    config = reversal_config(
        tmp_path / "corpus",
        tokenizer={"sampling": 0.3},
        model={"dropout": 0.2, "recurrent_dropout": 0.1},
        training={
            "max_steps": 130, "validate_every": 40, "save_every": 7, "average_decay": 0.9,
            "schedule": "plateau", "plateau_patience": 1,
        },
    )  # fmt: skip
    save_config(config, tmp_path / "config.yaml")
    uninterrupted, killed = RunFolder(tmp_path / "uninterrupted"), RunFolder(tmp_path / "killed")
    train(config, uninterrupted.path)

    seed = random.SystemRandom().randrange(10**6)
    print(f"the moments of the kills come from seed {seed}")  # shown when the test fails
    generator = random.Random(seed)
    for kill in range(2):  # benchmarks/crash_campaign.py kills 300 times
        process = Forked(tmp_path / "printed", train_by_command, tmp_path / "config.yaml", killed.path)
        # From a random step of a half of the way each time on, at a random moment.
        at_least = 7 * generator.randint(4 * kill, 4 * kill + 3)
        while saved_step(killed) < at_least and process.returncode is None:
            time.sleep(0.05)
        time.sleep(generator.uniform(0.0, 0.7))
        assert process.returncode is None, process.stderr
        process.kill()
    train(config, killed.path)

    for name in ("last", "best"):
        ours, our_state = load_arrays(uninterrupted.checkpoint(name))
        theirs, their_state = load_arrays(killed.checkpoint(name))
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{name} {key}")
        del our_state["seconds" if name == "last" else "step"], their_state["seconds" if name == "last" else "step"]
        assert our_state == their_state
    steps = [[line["step"] for line in metrics(run) if "step" in line] for run in (uninterrupted, killed)]
    assert steps[0] == steps[1] == [40, 80, 120, 130]


def saved_step(run: RunFolder) -> int:
    try:
        return load_arrays(run.last)[1]["batches"]
    except UserError:
        return 0


def metrics(run: RunFolder) -> list[dict]:
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def test_a_run_folder_records_what_made_it(trained_run):
    run = RunFolder(trained_run)
    first, *validations = metrics(run)
    assert {"tensorflow", "keras", "sacrebleu"} <= first["versions"].keys()
    assert first["config"]["seed"] == load_config(run.config).seed
    assert [line["step"] for line in validations] == [100, 200]
    for line in validations:
        assert {"validation_loss", "bleu", "learning_rate", "target_tokens_per_second", "seconds"} <= line.keys()
    assert [path.stem for path in run.recent_checkpoints()] == ["step-00000100", "step-00000200"]
    assert list(run.tensorboard.rglob("events*"))


@pytest.mark.usefixtures("quick_validation")
def test_goes_on_when_asked_for_more_steps_and_refuses_other_settings(tmp_path, caplog):
    caplog.set_level("INFO", "nmt")
    config = reversal_config(tmp_path / "corpus", training={"max_steps": 6, "validate_every": 4})
    train(config, str(tmp_path / "run"))
    longer = reversal_config(tmp_path / "corpus", training={"max_steps": 10, "validate_every": 4})
    train(longer, tmp_path / "run")
    assert "going on from step 6" in caplog.messages
    steps = [line["step"] for line in metrics(RunFolder(tmp_path / "run")) if "step" in line]
    assert steps == [4, 6, 8, 10]
    train(longer, tmp_path / "run")
    assert "training has ended at step 10" in caplog.messages[-1]
    other = reversal_config(tmp_path / "corpus", model={"units": 24})
    with pytest.raises(UserError, match=r"was started with other settings \(.*model.units: 16 -> 24"):
        train(other, tmp_path / "run")


class Recorder(keras.callbacks.Callback):
    """Ends the training after some batches, in the middle of an epoch, and keeps the logs of each epoch."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.batches = batches
        self.logs: list[dict] = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches -= 1
        self.model.stop_training = not self.batches

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)


@pytest.mark.usefixtures("quick_validation")
def test_further_callbacks_see_the_validation_and_may_stop(tmp_path):
    recorder = Recorder(batches=3)
    config = reversal_config(tmp_path / "corpus", training={"max_steps": 12, "validate_every": 2, "warmup_steps": 1})
    run = train(config, tmp_path / "run", callbacks=[recorder])
    validations = [line for line in metrics(run) if "step" in line]
    assert [line["step"] for line in validations] == [2, 3]
    for logs, line in zip(recorder.logs, validations, strict=True):
        for name in ("validation_loss", "bleu", "learning_rate"):
            assert logs[name] == line[name]
    assert load_arrays(run.last)[1]["batches"] == 3
    falling = keras.callbacks.EarlyStopping("learning_rate", mode="max", patience=1)
    train(config, tmp_path / "run", callbacks=[falling])  # `fit` once to step 4, then from there on
    assert [line["step"] for line in metrics(run) if "step" in line] == [2, 3, 4, 6, 8]
