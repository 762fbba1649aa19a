"""What a command says: log messages and JSON."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console

from nmt.utils.json_text import json_text
from nmt.utils.terminal import printable


class _Stderr(logging.Handler):
    """Writes each message as a line to what is stderr at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        with suppress(OSError):  # a training outlives the program that reads its messages
            print(printable(level + self.format(record), sys.stderr), file=sys.stderr, flush=True)


@contextmanager
def logged_to_stderr() -> Iterator[None]:
    """Shows the log messages of the logger `nmt`, from INFO on, while the block runs.

    They carry no time and no logger's name. Only warnings and errors carry their level, as `warning: ...`.
    """
    logger, handler = logging.getLogger("nmt"), _Stderr()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # else a handler of TensorFlow's would write them once more
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def print_json(value: Any) -> None:
    """Prints a value as JSON, indented, and in colour on a terminal."""
    Console(soft_wrap=True, highlight=False).print_json(printable(json_text(value), sys.stdout))
