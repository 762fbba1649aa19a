"""Writes the figures of an example, with what they were taken on."""

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


def write_results(path: Path, settings: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Writes figures to a JSON file, with the command, the machine, the versions and the settings.

    Args:
        path: the file.
        settings: the example's settings by name.
        figures: plain values.
    """
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), processor)
    taken_on = {
        "command": " ".join(["python", *sys.argv]),
        "machine": {"processor": processor, "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("gru-nmt", "tensorflow", "keras", "numpy", "scikit-learn")},
        "settings": dict(settings),
    }
    path.write_text(json.dumps(taken_on | dict(figures), indent=1) + "\n", encoding="utf-8")
