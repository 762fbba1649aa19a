"""The cache of what XLA has compiled, from one process to the next, so that a training goes on at once."""

import hashlib
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

_FLAG = "--tf_xla_persistent_cache_directory"
_MOST = 2**30  # bytes in the cache
_LEAST_FREE = 2**30  # bytes: a cache that cannot be written to would stop the training


def keep_compiled() -> Path | None:
    """Has TensorFlow keep compiled programs in the user's cache folder; must be called before TensorFlow is loaded.

    The programs are machine code, so that they lie apart from all model folders, readable by the user alone, and in a
    folder of their own for each kind of processor, version of TensorFlow, and set of XLA's flags. TensorFlow writes
    each file whole. Nothing is kept if the disk is full, or if `TF_XLA_FLAGS` names a folder already.

    Returns:
        The folder; None if nothing is kept.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    if _FLAG in flags:
        return None
    kind = f"{_processor()} {os.environ.get('XLA_FLAGS', '')}"
    name = f"tensorflow-{version('tensorflow')}-{hashlib.sha256(kind.encode()).hexdigest()[:12]}"
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = base / "gru-nmt" / "xla" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _LEAST_FREE:
            return None
        forget_oldest(folder, _MOST)
    except (OSError, RuntimeError):  # no home (a RuntimeError), or not ours to write to: compile anew each time
        return None
    os.environ["TF_XLA_FLAGS"] = f"{flags} {_FLAG}={folder}".strip()
    return folder


def forget_oldest(folder: Path, most: int) -> None:
    """Deletes the oldest files of a folder until the others have at most `most` bytes together."""
    found = sorted(((path.stat(), path) for path in folder.iterdir()), key=lambda pair: -pair[0].st_mtime)
    size = 0
    for status, path in found:
        size += status.st_size
        # An empty file is none of TensorFlow's making, and would stop it.
        if size > most or not status.st_size:
            path.unlink(missing_ok=True)


def _processor() -> str:
    """Returns what machine code depends on: the processor's name and, on Linux, its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
