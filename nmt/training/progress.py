"""How far training is, and the memory it takes."""

import resource
import sys
import time
from typing import Any

import keras

from nmt.utils.progress import progress_line


class ProgressReport(keras.callbacks.Callback):
    """Shows steps, the loss, target tokens a second and the time left.

    Args:
        max_steps: of the whole training.
        accumulate: batches that make a step.
        step: where it begins.
    """

    def __init__(self, max_steps: int, accumulate: int, step: int) -> None:
        super().__init__()
        self.accumulate = accumulate
        self.progress = progress_line("loss {task.fields[loss]:.3f}, {task.fields[rate]:,.0f} target tokens/s")
        self.task = self.progress.add_task("training", total=max_steps, completed=step, loss=0.0, rate=0.0)

    def on_train_begin(self, logs: Any = None) -> None:
        """Shows the line."""
        self.progress.start()

    def on_train_end(self, logs: Any = None) -> None:
        """Takes it away."""
        self.progress.stop()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts to count anew: a period's metrics begin at zero."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves it on."""
        if self.progress.disable or not logs:
            return
        rate = logs["tokens"] / (time.perf_counter() - self.started)
        self.progress.update(self.task, advance=1 / self.accumulate, loss=logs["loss"], rate=rate)


def peak_memory() -> int:
    """The most memory that this process has held so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # Linux counts in KiB
