"""A training ends at a signal with the step in hand saved, and goes on from there to the same weights."""

import os
import signal
import threading
import time

import keras
import numpy as np
import pytest

from nmt.runs.checkpoints import load_arrays
from nmt.training.interruption import Interruption
from nmt.training.train import train
from tests.helpers import reversal_config, validating_by_loss
from tests.processes import start_command


class SignalAt(keras.callbacks.Callback):
    """Sends this process signals when a step begins."""

    def __init__(self, step: int, *numbers: int) -> None:
        super().__init__()
        self.step, self.numbers, self.steps = step, numbers, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.step:
            for number in self.numbers:
                os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    training = {"max_steps": 20, "validate_every": 10, "save_every": 1000}
    return reversal_config(tmp_path_factory.mktemp("corpus"), pairs=300, model={"dropout": 0.2}, training=training)


@pytest.fixture(scope="module")
def uninterrupted(config, tmp_path_factory):
    with validating_by_loss():
        return load_arrays(train(config, tmp_path_factory.mktemp("whole") / "run").last)[0]


@pytest.mark.slow
@pytest.mark.usefixtures("quick_validation")
@pytest.mark.parametrize(
    ("number", "ends_with"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)], ids=["TERM", "INT"]
)
def test_the_step_in_hand_is_saved_and_the_same_call_goes_on(number, ends_with, config, uninterrupted, tmp_path):
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(ends_with) as ended:
        train(config, tmp_path / "run", [SignalAt(7, number)])
    assert number != signal.SIGTERM or ended.value.code == 143
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == handlers
    arrays, state = load_arrays(tmp_path / "run" / "checkpoints" / "last.npz")
    assert state["batches"] == 7
    arrays, state = load_arrays(train(config, tmp_path / "run").last)
    assert state["batches"] == 20
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, uninterrupted[name], err_msg=name)


def test_a_second_signal_ends_at_once():
    saved = []
    interruption = Interruption(lambda: saved.append(1))
    with interruption.handled():
        interruption.on_epoch_begin(0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.received == signal.SIGTERM
        with pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
    assert not saved


def test_while_no_steps_are_made_it_ends_at_once():
    interruption = Interruption(lambda: None)
    with interruption.handled(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_training_in_another_thread_leaves_signals_alone():
    def run():
        with Interruption(lambda: None).handled():
            seen.append(signal.getsignal(signal.SIGTERM))

    seen: list = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.slow
def test_the_command_says_where_it_goes_on_and_ends_with_the_conventional_status(config, tmp_path):
    from nmt.config import save_config

    long = config.model_copy(
        update={"training": config.training.model_copy(update={"max_steps": 100_000, "validate_every": 200})}
    )
    save_config(long, tmp_path / "long.yaml")
    with start_command(tmp_path, "train", tmp_path / "long.yaml", "--run", tmp_path / "run") as process:
        while "\nstep" not in process.stderr and process.returncode is None:
            time.sleep(0.1)
        time.sleep(1)  # it has validated, and makes steps again a moment later
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143
    assert "stopped by SIGTERM; the same call goes on from here" in process.stderr.splitlines()
