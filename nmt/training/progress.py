"""A line that shows how far training is, how fast, and how long it will take."""

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressReport(keras.callbacks.Callback):
    """Shows steps, target tokens a second and the time left, on stderr, if that is a terminal.

    Args:
        max_steps: of the whole training.
        accumulate: batches that make a step.
        step: where it begins.
    """

    def __init__(self, max_steps: int, accumulate: int, step: int) -> None:
        super().__init__()
        console = Console(stderr=True)
        self.accumulate = accumulate
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}, {task.fields[rate]:,.0f} target tokens/s, time left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
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
