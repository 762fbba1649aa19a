"""Training as a whole: it learns, it goes on exactly after SIGKILL, and it keeps what it should."""

import json
import os
import random
import signal
import subprocess
import sys
import time

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
from tests.conftest import reversal_config


def quiet(_: str) -> None:
    pass


def share_reversed(folder) -> float:
    """The share of test strings that a training of less than a minute reverses without a mistake."""
    config = reversal_config(
        folder / "corpus",
        lengths=range(6, 13),
        pairs=20000,
        batches={"tokens": 1300, "shapes": 4},
        model={"units": 64, "embedding": 32, "dropout": 0.0},
        training={
            "max_steps": 1000, "validate_every": 1000, "learning_rate": 0.005, "warmup_steps": 50, "schedule": "linear",
        },
        decoding={"beam_size": 1},
    )  # fmt: skip
    train(config, folder / "run", message=quiet)
    _, translations, references, _ = translate_split(folder / "run", "test", None, ())
    return float(np.mean([ours == theirs for ours, theirs in zip(translations, references, strict=True)]))


@pytest.mark.no_cover
def test_learns_to_reverse_digit_strings(tmp_path):
    start = time.perf_counter()
    assert share_reversed(tmp_path) > 0.99
    assert time.perf_counter() - start < 60


@pytest.mark.no_cover
def test_does_not_without_attention(tmp_path, monkeypatch):
    attend = DotAttention.call

    def cut_off(self, queries, keys, values, mask):
        contexts, weights = attend(self, queries, keys, values, mask)
        return tf.zeros_like(contexts), weights

    monkeypatch.setattr(DotAttention, "call", cut_off)
    assert share_reversed(tmp_path) < 0.5


def start_training(config, run) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "nmt", "train", str(config), "--run", str(run)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_three_times_ends_with_the_same_weights_bit_for_bit(tmp_path):
    config = reversal_config(
        tmp_path / "corpus",
        tokenizer={"sampling": 0.3},
        model={"dropout": 0.2, "recurrent_dropout": 0.1},
        training={
            "max_steps": 300, "validate_every": 80, "save_every": 7, "average_decay": 0.9,
            "schedule": "plateau", "plateau_patience": 1,
        },
    )  # fmt: skip
    save_config(config, tmp_path / "config.yaml")
    uninterrupted, killed = RunFolder(tmp_path / "uninterrupted"), RunFolder(tmp_path / "killed")
    process = start_training(tmp_path / "config.yaml", uninterrupted.path)
    assert process.wait() == 0, process.stderr.read()

    seed = random.SystemRandom().randrange(10**6)
    print(f"the moments of the kills come from seed {seed}")  # shown when the test fails
    generator = random.Random(seed)
    for kill in range(3):
        process = start_training(tmp_path / "config.yaml", killed.path)
        # From a random step of a third of the way each time on, at a random moment.
        at_least = 7 * generator.randint(5 * kill, 5 * kill + 4)
        while saved_step(killed) < at_least and process.poll() is None:
            time.sleep(0.01)
        time.sleep(generator.uniform(0.0, 0.7))
        assert process.poll() is None, process.stderr.read()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start_training(tmp_path / "config.yaml", killed.path)
    assert process.wait() == 0, process.stderr.read()

    for name in ("last", "best"):
        ours, our_state = load_arrays(uninterrupted.checkpoint(name))
        theirs, their_state = load_arrays(killed.checkpoint(name))
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key], err_msg=f"{name} {key}")
        del our_state["seconds" if name == "last" else "step"], their_state["seconds" if name == "last" else "step"]
        assert our_state == their_state
    steps = [[line["step"] for line in metrics(run) if "step" in line] for run in (uninterrupted, killed)]
    assert steps[0] == steps[1] == [80, 160, 240, 300]


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


@pytest.mark.no_cover
def test_goes_on_when_asked_for_more_steps_and_refuses_other_settings(tmp_path):
    config = reversal_config(tmp_path / "corpus", training={"max_steps": 6, "validate_every": 4, "xla": "step"})
    lines: list[str] = []
    train(config, tmp_path / "run", message=lines.append)
    longer = reversal_config(tmp_path / "corpus", training={"max_steps": 10, "validate_every": 4, "xla": "step"})
    train(longer, tmp_path / "run", message=lines.append)
    assert "going on from step 6" in lines
    steps = [line["step"] for line in metrics(RunFolder(tmp_path / "run")) if "step" in line]
    assert steps == [4, 6, 8, 10]
    train(longer, tmp_path / "run", message=lines.append)
    assert "training has ended at step 10" in lines[-1]
    other = reversal_config(tmp_path / "corpus", model={"units": 24})
    with pytest.raises(UserError, match=r"was started with other settings \(.*model.units: 16 -> 24"):
        train(other, tmp_path / "run", message=quiet)


def test_stops_early_and_keeps_the_best(tmp_path, monkeypatch):
    scores = iter([10.0, 30.0, 20.0, 25.0, 99.0])
    monkeypatch.setattr("nmt.training.train.make_validator", lambda *_: lambda: (1.0, next(scores)))
    training = {"max_steps": 50, "validate_every": 2, "patience": 2, "keep": 2}
    run = train(reversal_config(tmp_path / "corpus", training=training), tmp_path / "run", message=quiet)
    assert [line["bleu"] for line in metrics(run) if "bleu" in line] == [10.0, 30.0, 20.0, 25.0]
    assert load_arrays(run.best)[1]["step"] == 4
    assert [path.stem for path in run.recent_checkpoints()] == ["step-00000006", "step-00000008"]


def test_stops_after_its_minutes(tmp_path):
    training = {"max_steps": 1000, "validate_every": 2, "max_minutes": 1e-4}
    run = train(reversal_config(tmp_path / "corpus", training=training), tmp_path / "run", message=quiet)
    assert [line["step"] for line in metrics(run) if "step" in line] == [2]


def test_a_plateau_lowers_the_rate_and_averages_are_what_is_kept(tmp_path, monkeypatch):
    scores = iter(range(1, 9))
    monkeypatch.setattr("nmt.training.train.make_validator", lambda *_: lambda: (1.0, float(next(scores))))
    training = {"max_steps": 8, "validate_every": 2, "schedule": "plateau", "plateau_patience": 1, "warmup_steps": 0}
    config = reversal_config(tmp_path / "corpus", training=training | {"average_decay": 0.5})
    run = train(config, tmp_path / "run", message=quiet)
    rates = [line["learning_rate"] for line in metrics(run) if "step" in line]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4])
    last, _ = load_arrays(run.last)
    assert float(last["schedule/reduction"]) == 0.125
    kept, _ = load_arrays(run.best)
    name = next(name for name in kept if name.endswith("embeddings"))
    assert 0 < np.abs(kept[name] - last[name]).max() < 0.1
