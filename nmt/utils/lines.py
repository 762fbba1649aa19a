"""The lines of files and streams, read the same way everywhere.

Only a line feed ends a line: other line separators of Unicode may stand inside a sentence. A carriage return before the
line feed, and a byte order mark at the start, are not part of the text.
"""

import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from nmt.utils.errors import UserError

Line = TypeVar("Line")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(path: str | Path) -> Iterator[bytes]:
    """Reads the lines of a file as bytes, valid UTF-8 or not, one by one.

    Args:
        path: a file, which is opened at once. If its name ends in `.gz` it is decompressed.

    Returns:
        An iterator over the lines, without their ends.

    Raises:
        UserError: if the file cannot be opened or read, or is not a complete gzip file. The message names the file
            and, once reading has begun, the line.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lines.txt"
    >>> _ = path.write_bytes(b"one\\r\\ntwo")
    >>> list(read_lines(path))
    [b'one', b'two']
    """
    path = Path(path)
    try:
        file = _open(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    return _lines_of_file(file, path)


def read_text_lines(path: str | Path) -> Iterator[str]:
    """Reads the lines of a file in UTF-8 as text, one by one.

    Args:
        path: a file, as for `read_lines`.

    Returns:
        An iterator over the lines, without their ends.

    Raises:
        UserError: as for `read_lines`, and if a line is not UTF-8.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lines.txt"
    >>> _ = path.write_text("Grüße\\nBis bald\\n", encoding="utf-8")
    >>> list(read_text_lines(path))
    ['Grüße', 'Bis bald']
    """
    return _decoded(read_lines(path), path)


def without_ends(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Removes the byte order mark and the line ends from the lines of an open file or stream.

    Args:
        lines: the lines as a binary file gives them, each but the last with its line feed.

    Example:

    >>> list(without_ends([b"one\\r\\n", b"two"]))
    [b'one', b'two']
    """
    for number, line in enumerate(lines):
        text = line if number else line.removeprefix(_BYTE_ORDER_MARK)
        yield text.removesuffix(b"\n").removesuffix(b"\r")


def read_ahead(lines: Iterator[Line], most: int, is_ready: Callable[[], bool] | None = None) -> list[Line]:
    """Reads a line, waiting for it, and those after it that are there.

    Args:
        lines: the lines.
        most: int, the number of lines to read at most.
        is_ready: function that says whether the next line can be read without waiting; None if each can.

    Returns:
        The lines; none at the end.

    Example:

    >>> lines = iter(["one", "two", "three"])
    >>> read_ahead(lines, 2), read_ahead(lines, 2)
    (['one', 'two'], ['three'])
    >>> read_ahead(iter(["one", "two"]), 2, lambda: False)
    ['one']
    """
    if is_ready is None:
        return list(itertools.islice(lines, most))
    found = list(itertools.islice(lines, 1))
    while found and len(found) < most and is_ready():
        more = list(itertools.islice(lines, 1))
        if not more:
            break
        found += more
    return found


def _open(path: Path) -> IO[bytes]:
    # A second buffer doubles the speed of gzip's lines. It is small because damage in a block of the buffer is reported
    # for the block's first line.
    return io.BufferedReader(gzip.open(path), 1 << 14) if path.suffix == ".gz" else open(path, "rb")


def _lines_of_file(file: IO[bytes], path: Path) -> Iterator[bytes]:
    number = 0
    try:
        with file:
            for line in without_ends(file):
                number += 1
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}:{number + 1}: the gzip data is damaged or cut off near this line: {error}") from error
    except OSError as error:
        raise UserError(f"{path}:{number + 1}: cannot be read: {error.strerror or error}") from error


def _decoded(lines: Iterator[bytes], path: str | Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: is not UTF-8 (byte 0x{line[error.start]:02x})") from error
