"""Functions that run in a process with two devices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.processes import Forked


def run_on_two_devices(folder: Path, function: Callable[..., Any], *arguments: object) -> str:
    """Calls a function in a process with two devices, and returns what it prints."""
    process = Forked(folder, _call, function, arguments)
    assert process.wait() == 0, process.stderr
    return process.stdout


def _call(function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    import tensorflow as tf

    # Two logical CPUs are two devices; they have to be configured before TensorFlow computes anything.
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    function(*arguments)
