"""Files are written next to their final place and renamed, so that none is ever half-written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nmt.utils.errors import UserError


@contextmanager
def written_whole(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a file that appears at `path` only once it is complete and on the disk.

    Args:
        path: the path of the file; its folder is created if needed.
        mode: `"w"` for UTF-8 text or `"wb"` for bytes.

    Yields:
        The open file. If the block raises, nothing is left behind and an older file at `path` stays as it was.

    Raises:
        UserError: if the disk is full or the folder cannot be written.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with written_whole(folder / "greeting.txt") as file:
    ...     _ = file.write("hello")
    >>> (folder / "greeting.txt").read_text()
    'hello'
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(
            beside, mode, encoding=None if "b" in mode else "utf-8", newline=None if "b" in mode else "\n"
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # most often it is not there any more
            beside.unlink()
