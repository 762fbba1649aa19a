"""Silence for libraries that write to stderr past every log level."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced() -> Iterator[None]:
    """Hides what C++ libraries write to stderr within, unless TF_CPP_MIN_LOG_LEVEL asks for more than errors.

    TensorFlow writes while it loads, before any log level is heeded; SentencePiece, inside TensorFlow Text, heeds none.
    What is raised within is raised as ever.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        yield
        return
    try:
        original = os.dup(2)
    except OSError:  # stderr is closed: nothing can be written to it
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
