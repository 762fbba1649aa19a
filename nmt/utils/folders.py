"""Folders that are written: by one process at a time."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nmt.utils.errors import UserError
from nmt.utils.files import is_temporary

_LOG = logging.getLogger(__name__)

_LOCK = ".nmt-lock"


def names_in(folder: str | Path) -> set[str]:
    """Returns the names of what a folder holds, apart from its lock and temporary files; none if there is no folder.

    Raises:
        UserError: if `folder` is no folder, or cannot be read.

    Example:

    >>> names_in("no/such/folder")
    set()
    """
    try:
        return {name for name in os.listdir(folder) if name != _LOCK and not is_temporary(name)}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}") from error


def has_lock(folder: str | Path) -> bool:
    """Returns whether a process writes a folder, or was killed while it did.

    Args:
        folder: the folder, which may be missing.
    """
    return (Path(folder) / _LOCK).exists()


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Keeps other processes that call this from a folder while the block runs.

    The lock is the system's, on the file `.nmt-lock`, so that it ends with the process, however that ends. Whether it
    holds between machines that share the folder depends on the file system; NFS and Lustre can do it.

    Args:
        folder: the folder; created if needed.

    Raises:
        UserError: if another process has the lock, or the folder cannot be written.

    Example:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with locked(folder), locked(folder):
    ...     pass
    Traceback (most recent call last):
    nmt.utils.errors.UserError: ...: is being written by another process; wait until it ends, or choose another folder
    """
    path = Path(folder) / _LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path)
    except BlockingIOError:
        raise UserError(
            f"{folder}: is being written by another process; wait until it ends, or choose another folder"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _open_locked(path: Path) -> int:
    """Opens and locks a file; raises BlockingIOError if another process has the lock."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass  # who had the lock has deleted the file between its opening and its locking
        except BlockingIOError:
            os.close(descriptor)
            raise
        except OSError as error:
            folder, reason = path.parent, error.strerror
            _LOG.warning("%s: cannot be locked (%s); make sure that no other process writes it", folder, reason)
            return descriptor
        os.close(descriptor)
