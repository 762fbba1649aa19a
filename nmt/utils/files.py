"""Files are written next to their final place and renamed, so that none is ever half-written."""

import fcntl
import functools
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nmt.utils.errors import UserError

# A temporary file or folder names its host and process: those that dead processes of this host left can be removed.
# `_PROCESS` tells apart processes that have the same number, such as the first ones of two containers.
_HOST = re.sub(r"[^\w.-]", "_", socket.gethostname(), flags=re.ASCII)[:64]
_PROCESS = secrets.token_hex(4)
_PART = re.compile(r"\.nmt-([\w.-]+)-(\d{1,9})-([0-9a-f]{8})[0-9a-f]{16}\.part", re.ASCII)


@contextmanager
def written_whole(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a file that appears at `path` only once it is complete and on the disk.

    A symbolic link stays, and the file that it points to is replaced. A file that is replaced keeps its mode, and its
    owner if the process may set it. A device, a pipe or a descriptor, such as `/dev/stdout`, is written to directly.

    Args:
        path: the path of the file; its folder is created if needed.
        mode: `"w"` for UTF-8 text or `"wb"` for bytes.

    Yields:
        The open file. If the block raises, nothing is left behind and an older file at `path` stays as it was.

    Raises:
        UserError: if the disk is full, `path` is a folder, or it cannot be written.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with written_whole(folder / "greeting.txt") as file:
    ...     _ = file.write("hello")
    >>> (folder / "greeting.txt").read_text()
    'hello'
    """
    path = Path(path)
    options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = _open_stream(path)
        if stream is not None:
            with os.fdopen(stream, mode, **options) as file:
                yield file
            return
        with _replacement(path) as descriptor, os.fdopen(descriptor, mode, closefd=False, **options) as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def temporary_folder(parent: str | Path) -> Iterator[Path]:
    """Yields a new folder, to be filled and renamed; it is deleted if it is still there when the block ends.

    Args:
        parent: the folder in which it is made; created if needed.

    Raises:
        OSError: if it cannot be made.

    Example:

    >>> import tempfile
    >>> parent = Path(tempfile.mkdtemp())
    >>> with temporary_folder(parent) as folder:
    ...     _ = os.replace(folder, parent / "complete")
    >>> os.listdir(parent)
    ['complete']
    """
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    _remove_litter(parent)
    folder = parent / _part_name()
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock_part(descriptor)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def check_outputs(outputs: Iterable[str | Path], inputs: Iterable[str | Path]) -> None:
    """Makes sure that no output would replace an input, or another output.

    Args:
        outputs: the files to write, which need not exist.
        inputs: the files to read.

    Raises:
        UserError: naming the first output that is one of the others, under whatever name or link.

    Example:

    >>> check_outputs(["text.de"], ["./text.de"])
    Traceback (most recent call last):
    nmt.utils.errors.UserError: text.de: is read and would be overwritten; choose another file to write
    """
    written = list(outputs)
    for one in written:
        if any(_same(one, other) for other in inputs if _replaces(one)):
            raise UserError(f"{one}: is read and would be overwritten; choose another file to write")
    for number, one in enumerate(written):
        if any(_same(one, other) for other in written[:number] if _replaces(one)):
            raise UserError(f"{one}: expected a different file for each output")


def is_temporary(name: str) -> bool:
    """Returns whether a file's or folder's name is one that this module gives while something is being written.

    Example:

    >>> is_temporary("report.json")
    False
    """
    return _PART.fullmatch(name) is not None


def _open_stream(path: Path) -> int | None:
    """Opens what is written to directly: a device, a pipe, or one of the process's own descriptors; None for a file."""
    own = _own_descriptor(path)
    if own is not None:
        return os.dup(own)  # opened by its name, a file behind it would be emptied first
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(None, "Is a directory")
    return None if stat.S_ISREG(kind) else os.open(path, os.O_WRONLY)


def _own_descriptor(path: Path) -> int | None:
    """Returns the number of the process's descriptor that a path names, as `/dev/stdout` does; None for any other."""
    own = {os.path.realpath("/dev/fd"), f"/proc/{os.getpid()}/fd"}
    for _ in range(40):  # the most links that Linux follows
        folder, name = os.path.realpath(path.parent), path.name
        if folder in own and name.isdecimal():
            return int(name)
        if not path.is_symlink():
            return None
        path = Path(folder, os.readlink(path))
    return None


@contextmanager
def _replacement(path: Path) -> Iterator[int]:
    """Yields the descriptor of a new file, which replaces the one at `path` when the block ends."""
    target = Path(os.path.realpath(path))
    old = target.stat() if target.exists() else None
    if old and not os.access(target, os.W_OK):
        raise PermissionError(None, "Permission denied")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_litter(target.parent)
    part = target.with_name(_part_name())
    descriptor, named = _create(part)
    try:
        _lock_part(descriptor)
        if old:
            _copy_owner_and_mode(old, descriptor)
        yield descriptor
        if not named:  # with a folder's descriptor given, Python asks the system to follow the link
            os.link(f"/proc/self/fd/{descriptor}", part, src_dir_fd=descriptor, follow_symlinks=True)
        os.replace(part, target)
    finally:
        with suppress(OSError):  # most often it is not there any more
            part.unlink()
        os.close(descriptor)


def _create(part: Path) -> tuple[int, bool]:
    """Opens a new file, and says whether it has its name yet: one without disappears when its process is killed."""
    flags = getattr(os, "O_TMPFILE", 0)
    if flags:
        with suppress(OSError):  # not every file system has it; what else is wrong shows at the next attempt
            descriptor = os.open(part.parent, flags | os.O_WRONLY, 0o666)
            if os.path.exists(f"/proc/self/fd/{descriptor}"):
                return descriptor, False
            os.close(descriptor)
    return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), True


def _copy_owner_and_mode(old: os.stat_result, descriptor: int) -> None:
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):  # only root may give files away
            os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _part_name() -> str:
    return f".nmt-{_HOST}-{os.getpid()}-{_PROCESS}{secrets.token_hex(8)}.part"


def _lock_part(descriptor: int) -> None:
    """Marks a temporary file as in use, also for processes of other containers, whose numbers this one cannot see."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@functools.cache  # once for each process and folder, because a folder may hold many files
def _remove_litter(folder: Path) -> None:
    """Removes the temporary files and folders that killed processes have left in a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _is_litter(entry.name):
                with suppress(OSError):
                    _remove_unless_locked(Path(entry.path))


def _is_litter(name: str) -> bool:
    """Returns whether a name is that of a temporary file of a process of this host that is no more."""
    match = _PART.fullmatch(name)
    if match is None or match[1] != _HOST:
        return False
    if int(match[2]) == os.getpid():
        return match[3] != _PROCESS
    try:
        os.kill(int(match[2]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _remove_unless_locked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def _replaces(output: str | Path) -> bool:
    """Returns whether writing to a path would replace what is there: a device or a pipe is not replaced."""
    return not os.path.exists(output) or os.path.isfile(output)


def _same(one: str | Path, other: str | Path) -> bool:
    """Returns whether two paths name the same file, whether or not it exists."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
