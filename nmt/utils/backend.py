"""TensorFlow and Keras, loaded quietly, and only with TensorFlow as Keras's backend."""

import importlib
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from nmt.utils.silence import silenced

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def load_backend() -> None:
    """Imports TensorFlow, TensorFlow Text and Keras without the lines that they write to stderr at start-up.

    Environment and random states are as before afterwards. With `TF_CPP_MIN_LOG_LEVEL` set to less than 3, all is
    shown.

    Raises:
        ImportError: if Keras is set to another backend: the layers compute with TensorFlow's own operations.
    """
    if "keras" not in sys.modules:
        _check(os.environ.get("KERAS_BACKEND", "tensorflow"))
    with silenced(), _errors_only(), _random_state_kept():
        importlib.import_module("tensorflow")
        importlib.import_module("tensorflow_text")
        keras = importlib.import_module("keras")
    _check(keras.config.backend())


def _check(backend: str) -> None:
    if backend != "tensorflow":
        raise ImportError(
            f"nmt: expected Keras's backend to be tensorflow, got {backend}: set KERAS_BACKEND=tensorflow before Keras "
            "is imported"
        )


@contextmanager
def _errors_only() -> Iterator[None]:
    """While TensorFlow loads, when it reads this once, its log level is that of errors, unless the user has set one."""
    if _LOG_LEVEL in os.environ:
        yield
        return
    os.environ[_LOG_LEVEL] = "3"
    try:
        yield
    finally:
        del os.environ[_LOG_LEVEL]


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """TensorFlow draws from NumPy's global generator while it loads; afterwards that stands where it stood."""
    python, numbers = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
