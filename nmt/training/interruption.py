"""What happens at SIGTERM and SIGINT: the step in hand is finished and saved, then the training ends."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras

_LOG = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption(keras.callbacks.Callback):
    """Ends a training at a signal, as a scheduler sends before it takes the machine away, or a person by Ctrl-C.

    A signal takes effect when the step in hand is done: the state is saved, so that the same call goes on from there
    and ends with the same weights. While no steps are made (data is prepared, programs are compiled, a validation
    runs), after a step that a validation follows, or at a second signal, the training ends without saving; it then goes
    on from the last checkpoint.

    It ends by an exception: `KeyboardInterrupt` for SIGINT, as always in Python, and for SIGTERM `SystemExit` with the
    conventional status 143.

    Args:
        save: writes the checkpoint from which training goes on, and returns whether it did.
    """

    def __init__(self, save: Callable[[], bool]) -> None:
        super().__init__()
        self.save = save
        self.received: int | None = None
        self.makes_steps = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Within, the signals are handled here; afterwards as before. Only a program's main thread can handle any."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """From here on there is a step in hand."""
        self.makes_steps = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """The validation begins."""
        self.makes_steps = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """A step is done: if a signal has come, saves and ends the training."""
        if self.received is not None:
            place = "here" if self.save() else "the last checkpoint"
            _LOG.info("stopped by %s; the same call goes on from %s", signal.Signals(self.received).name, place)
            _end(self.received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.makes_steps and self.received is None:
            self.received = number
            _LOG.info("%s: finishing the step in hand", signal.Signals(number).name)
        else:
            _end(number)


def _end(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
