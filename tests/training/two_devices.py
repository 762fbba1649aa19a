"""Scripts that run in a process with two devices."""

import subprocess
import sys

# Two logical CPUs are two devices; they have to be configured before TensorFlow computes anything.
TWO_DEVICES = """
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def run_script(script: str, *arguments: object) -> str:
    """Runs a script after `TWO_DEVICES`, and returns what it prints."""
    process = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout
