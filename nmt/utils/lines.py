"""The lines of files and streams, read the same way everywhere.

Only a line feed ends a line: other line separators of Unicode may stand inside a sentence. A carriage return before the
line feed, and a byte order mark at the start, are not part of the text. What a file is shows its beginning, not its
name: one that gzip, bzip2 or xz has compressed is decompressed, UTF-16 and UTF-32 are decoded, and where carriage
returns alone end lines, they do.
"""

import bz2
import codecs
import gzip
import io
import itertools
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nmt.utils.errors import UserError

Line = TypeVar("Line")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEAD = 1 << 16  # bytes from which is found what a file is
_NO_ACCIDENT = 3  # lines that are not UTF-8; fewer may be damaged ones in a file that is


class _Compression(NamedTuple):
    name: str
    magic: bytes
    suffix: str
    open: Callable[[Any], Any]


_COMPRESSIONS = (
    _Compression("gzip", b"\x1f\x8b", ".gz", gzip.open),
    _Compression("bzip2", b"BZh", ".bz2", bz2.open),
    _Compression("xz", b"\xfd7zXZ\0", ".xz", lzma.open),
)
# What else may come in the place of text, by its first bytes, and how to make text of it.
_NO_TEXT = {
    b"PK\x03\x04": "is a zip archive or an office document; expected text: `unzip` it, or save it as text",
    b"\x28\xb5\x2f\xfd": "is compressed by Zstandard; expected text, gzip, bzip2 or xz: decompress it by `zstd -d`",
    b"\x04\x22\x4d\x18": "is compressed by LZ4; expected text, gzip, bzip2 or xz: decompress it by `lz4 -d`",
    b"\x1f\x9d": "is compressed by compress; expected text, gzip, bzip2 or xz: decompress it by `uncompress`",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; expected text: unpack it by `7z x`",
    b"Rar!\x1a\x07": "is a RAR archive; expected text: unpack it",
    b"%PDF-": "is a PDF document; expected text",
    b"PAR1": "is a Parquet table; expected text",
}
_TAR = "is a tar archive; expected text: unpack it by `tar xf`"
# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(path: str | Path) -> Iterator[bytes]:
    """Reads the lines of a file as bytes, valid UTF-8 or not, one by one.

    Args:
        path: a file, which is opened at once: text in UTF-8, UTF-16 or UTF-32, also compressed by gzip, bzip2 or xz.

    Returns:
        An iterator over the lines, without their ends.

    Raises:
        UserError: if the file cannot be opened or read, is damaged or cut off, or is no text, among it text in an
            older encoding such as Latin-1. The message names the file and, once reading has begun, the line.

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
    """Reads the lines of a file as text, one by one.

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


def what_is(head: bytes) -> str | None:
    """Returns what a stream is that has to be text in UTF-8, and what to do about it; None if it may be that.

    Args:
        head: the first bytes of the stream.

    Example:

    >>> what_is(gzip.compress(b"text"))
    'is compressed by gzip; expected text: decompress it first'
    >>> what_is(b"text") is None
    True
    """
    for compression in _COMPRESSIONS:
        if head.startswith(compression.magic):
            return f"is compressed by {compression.name}; expected text: decompress it first"
    encoding = _encoding(head)
    return f"is {encoding.upper()}; expected UTF-8" if encoding else _what_no_text_is(head)


def _what_no_text_is(head: bytes) -> str | None:
    known = (description for magic, description in _NO_TEXT.items() if head.startswith(magic))
    return next(known, _TAR if head[257:262] == b"ustar" else None)


def _open(path: Path) -> Any:
    return open(path, "rb", buffering=_HEAD)


def _lines_of_file(file: Any, path: Path) -> Iterator[bytes]:
    number, compression = 0, None
    try:
        with file:
            head = file.peek(_HEAD)
            if compression := _compression(head, path):
                # A second buffer doubles the speed of gzip's lines. It is small because damage in a block of the buffer
                # is reported for the block's first line.
                file = io.BufferedReader(compression.open(file), 1 << 14)
                head = file.peek(_HEAD)
            for line in without_ends(_readable(file, head, path)):
                number += 1
                yield line
    except UnicodeDecodeError as error:
        encoding = str(error.encoding).upper()
        raise UserError(f"{path}:{number + 1}: the {encoding} text is damaged or cut off near this line") from error
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if compression is None or getattr(error, "errno", None):
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{path}:{number + 1}: cannot be read: {reason}") from error
        raise UserError(
            f"{path}:{number + 1}: the {compression.name} data is damaged or cut off near this line: {error}"
        ) from error


def _compression(head: bytes, path: Path) -> _Compression | None:
    """Returns the compression that the first bytes show, or that an unreadable file has by its name."""
    for compression in _COMPRESSIONS:
        if head.startswith(compression.magic) or (head and path.suffix == compression.suffix):
            return compression
    return None


def _readable(file: Any, head: bytes, path: Path) -> Iterable[bytes]:
    """Returns the lines in UTF-8 with their ends, or raises an error that says what a file is that is no such text."""
    if no_text := _what_no_text_is(head):
        raise UserError(f"{path}: {no_text}")
    encoding = _encoding(head)
    text = codecs.getincrementaldecoder(encoding or "latin-1")().decode(head)
    ends_by_returns = "\r" in text and "\n" not in text
    if encoding is None:
        _check_utf8(head, path)
        if not ends_by_returns:
            return file
    # Latin-1 passes every byte of UTF-8 through.
    encoding = encoding or "latin-1"
    decoded = io.TextIOWrapper(file, encoding, newline="" if ends_by_returns else "\n")
    return (line.encode("latin-1" if encoding == "latin-1" else "utf-8") for line in decoded)


def _encoding(head: bytes) -> str | None:
    """Returns UTF-16 or UTF-32 if the first bytes show it: by its mark, or by line feeds that a zero byte goes with."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    feeds = head.count(b"\n")
    for encoding in ("utf-16-le", "utf-16-be") if b"\0" in head else ():
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        # U+4E0A has the byte of a line feed too. UTF-8 is no ASCII when it is read in twos.
        lines = text.count("\n") > feeds / 3
        if (lines or sum(map(str.isascii, text)) > len(text) / 2) and "\0" not in text:
            return encoding
    return None


def _check_utf8(head: bytes, path: Path) -> None:
    """Raises an error if the beginning has several lines that are not UTF-8, and none that is and is not ASCII."""
    invalid = []  # the number and the first bad byte of each
    for number, line in enumerate(head.splitlines(keepends=True), 1):
        try:
            if not line.isascii() and line.decode():
                return
        except UnicodeDecodeError as error:
            if line.endswith((b"\n", b"\r")):  # else it may be cut off
                invalid.append((number, line[error.start]))
    if len(invalid) >= _NO_ACCIDENT:
        number, byte = invalid[0]
        raise UserError(
            f"{path}:{number}: is not UTF-8 (byte 0x{byte:02x}), and no other line with such bytes is; convert the "
            "file, from Latin-1 by `iconv -f WINDOWS-1252 -t UTF-8`"
        )


def _decoded(lines: Iterator[bytes], path: str | Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: is not UTF-8 (byte 0x{line[error.start]:02x})") from error
