"""The cache of what XLA has compiled, from one process to the next, so that a training goes on at once."""

import atexit
import hashlib
import logging
import os
import platform
import shutil
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from nmt.utils.digests import digest
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

_LOG = logging.getLogger(__name__)

_FLAG = "--tf_xla_persistent_cache_directory"
_MOST = 2**30  # bytes in the cache
_LEAST_FREE = 2**30  # bytes: a cache that cannot be written to would stop the training
_SUFFIX = ".sha256"  # after a program's name: the file with its digest


def keep_compiled() -> Path | None:
    """Has TensorFlow keep compiled programs in the user's cache folder; must be called before TensorFlow is loaded.

    The programs are machine code, so that they lie apart from all model folders, readable by the user alone, and in a
    folder of their own for each kind of processor, version of TensorFlow, and set of XLA's flags. TensorFlow writes
    each file whole. Damaged ones, which TensorFlow would run or fail at, are deleted. Nothing is kept if the disk is
    full, or if `TF_XLA_FLAGS` names a folder already.

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
        forget_damaged(folder)
        forget_oldest(folder, _MOST)
    except (
        OSError,
        RuntimeError,
        UserError,
    ):  # no home (a RuntimeError), or not ours to write to: compile anew each time
        return None
    os.environ["TF_XLA_FLAGS"] = f"{flags} {_FLAG}={folder}".strip()
    atexit.register(_record, folder)
    return folder


def forget_damaged(folder: Path) -> None:
    """Deletes the programs of a folder that are not as they were when a process ended that had compiled or seen them.

    Programs that no process has recorded, since the one that compiled them was killed, are deleted if they are cut off.
    """
    damaged = [path for path in _programs(folder) if not _is_whole(path)]
    for path in damaged:
        path.unlink(missing_ok=True)
        _digest_path(path).unlink(missing_ok=True)
    if damaged:
        _LOG.warning("%s: %d compiled programs were damaged; they are compiled anew", folder, len(damaged))
    _record(folder)


def forget_oldest(folder: Path, most: int) -> None:
    """Deletes the oldest files of a folder until the others have at most `most` bytes together."""
    found = sorted(((path.stat(), path) for path in _programs(folder)), key=lambda pair: -pair[0].st_mtime)
    size = 0
    for status, path in found:
        size += status.st_size
        if size > most:
            path.unlink(missing_ok=True)
            _digest_path(path).unlink(missing_ok=True)


def _programs(folder: Path) -> list[Path]:
    return list(folder.glob("*.pb"))


def _digest_path(program: Path) -> Path:
    return program.with_name(program.name + _SUFFIX)


def _is_whole(program: Path) -> bool:
    """Returns whether a program has the digest that was recorded, or if none was, is a whole protocol buffer."""
    try:
        return _digest_path(program).read_text(encoding="ascii") == digest(program)["sha256"]
    except FileNotFoundError:
        return _is_message(program.read_bytes())
    except (UserError, ValueError):
        return False


def _is_message(content: bytes) -> bool:
    """Returns whether bytes are whole fields of a protocol buffer, at least one."""
    place = 0
    try:
        while place < len(content):
            tag, place = _varint(content, place)
            match tag & 7:
                case 0:
                    _, place = _varint(content, place)
                case 2:
                    length, place = _varint(content, place)
                    place += length
                case 1 | 5 as kind:
                    place += 8 if kind == 1 else 4
                case _:
                    return False
    except IndexError:
        return False
    return 0 < place == len(content)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Reads a number of seven bits a byte, and returns it with the place after it."""
    value = shift = 0
    while True:
        value |= (content[place] & 127) << shift
        place, shift = place + 1, shift + 7
        if content[place - 1] < 128:
            return value, place


def _record(folder: Path) -> None:
    """Writes the digests of the programs that have none yet."""
    with suppress(OSError, UserError):  # they are recorded the next time
        for path in _programs(folder):
            if not _digest_path(path).exists():
                with written_whole(_digest_path(path)) as file:
                    file.write(str(digest(path)["sha256"]))


def _processor() -> str:
    """Returns what machine code depends on: the processor's name and, on Linux, its instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
