"""When the checkpoint `last` is written, and what a callback that cannot write says."""

from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.training.callbacks import TensorBoard, TrainingCheckpoint
from nmt.training.state import TrainingState
from nmt.utils.errors import UserError


@given(
    save_every=st.integers(1, 6), validate_every=st.integers(1, 12), max_steps=st.integers(1, 24),
    accumulate=st.integers(1, 3),
)  # fmt: skip
def test_nothing_is_saved_between_the_end_of_a_period_and_its_validation(
    save_every, validate_every, max_steps, accumulate
):
    """A training that went on from there would leave the validation out: what is best, the plateau, the metrics."""
    settings = SimpleNamespace(
        save_every=save_every, validate_every=validate_every, max_steps=max_steps, accumulate=accumulate
    )
    state = TrainingState()
    checkpoint = TrainingCheckpoint(
        SimpleNamespace(training=settings), None, state, [], SimpleNamespace(chief=True)
    )  # fmt: skip
    saved = []
    checkpoint.save = lambda: saved.append(state.batches)
    for batch in range(max_steps * accumulate):
        checkpoint.on_train_batch_end(batch)
    every = range(save_every, max_steps, save_every)
    assert saved == [step * accumulate for step in every if step % validate_every]


def test_events_that_cannot_be_written_are_a_named_error(tmp_path: Path):
    (tmp_path / "tensorboard").write_text("a file where a folder should be")
    callback = TensorBoard(tmp_path / "tensorboard")
    callback.set_model(keras.Sequential([keras.layers.Dense(1)]))
    with pytest.raises(UserError, match=r"tensorboard: cannot be written: .*tensorboard") as raised:
        callback.on_train_begin()
    assert "{{" not in str(raised.value)
    assert "[Op" not in str(raised.value)
