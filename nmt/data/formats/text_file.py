"""Text files as they are: decoded without loss, so that what is not edited comes back byte for byte."""

import bisect
import bz2
import codecs
import gzip
import lzma
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from nmt.data.formats.units import Edit
from nmt.utils.errors import UserError

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_COMPRESSIONS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


@dataclass(frozen=True)
class TextFile:
    """A text file.

    Attributes:
        path: the file.
        text: str, all of it but a byte order mark. What is not UTF-8 in a file of that encoding is kept as surrogates.
        encoding: str, its encoding with the order of the bytes.
        mark: bytes, its byte order mark.
    """

    path: Path
    text: str
    encoding: str
    mark: bytes

    @cached_property  # each edit needs it
    def line_end(self) -> str:
        """What ends most of its lines."""
        return "\r\n" if 2 * self.text.count("\r\n") > self.text.count("\n") else "\n"

    def line(self, place: int) -> int:
        """Returns the number of the line of a place in the text; it counts the lines before, see `line_numbers`."""
        return self.text.count("\n", 0, place) + 1

    def line_numbers(self) -> Callable[[int], int]:
        """Returns a function from a place in the text to the number of its line, for many places."""
        ends = [found.start() for found in re.finditer("\n", self.text)]
        return lambda place: bisect.bisect_left(ends, place) + 1

    def error(self, place: int, what: str) -> UserError:
        """Returns an error that names the file and the line of a place."""
        return UserError(f"{self.path}:{self.line(place)}: {what}")

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """Returns the file with some edits.

        Raises:
            UserError: if the file's encoding lacks a character of them.
        """
        text = spliced(self.text, sorted(edits, key=lambda one: (one.start, one.end)))
        try:
            return self.mark + text.encode(self.encoding, "surrogateescape")
        except UnicodeEncodeError as error:
            character = text[error.start]
            raise UserError(
                f"{self.path}: its encoding {self.encoding} has no {character!r} (U+{ord(character):04X}); convert the "
                "file to UTF-8 first"
            ) from None


def spliced(text: str, edits: Sequence[Edit]) -> str:
    """Applies edits to a text; see `Edit`.

    Args:
        text: the text.
        edits: the edits, in the order of their places.

    Example:

    >>> spliced("one two", [Edit(0, 3, "eins"), Edit(7, 7, "!")])
    'eins two!'
    """
    parts, last = [], 0
    for edit in edits:
        parts += [text[last : edit.start], edit.text]
        last = edit.end
    return "".join([*parts, text[last:]])


def read_text_file(path: str | Path, declared: str | None = None) -> TextFile:
    """Reads a text file.

    Args:
        path: the file: UTF-8, or UTF-16 or UTF-32 with a byte order mark, or in the encoding that it declares.
        declared: a regular expression whose first group finds, in the bytes of the file, the name of its encoding.

    Raises:
        UserError: if the file cannot be read or decoded.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> _ = path.write_bytes("Grüße".encode("utf-16"))
    >>> read_text_file(path).text, read_text_file(path).encoding
    ('Grüße', 'utf-16-le')
    """
    path = Path(path)
    with open_binary(path) as file:
        data: bytes = file.read()
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    if not mark and not data.isascii():
        found = re.search(declared.encode(), data[:100_000]) if declared else None
        encoding = _known(found[1].decode("ascii", "replace")) if found else _utf16(data) or "utf-8"
    body = data[len(mark) :]
    try:
        text = body.decode(encoding, "surrogateescape" if encoding in ("utf-8", "ascii") else "strict")
    except UnicodeError as error:
        raise UserError(f"{path}: is not in {encoding.upper()}, as it says or seems: {error}") from None
    if "\0" in text and not mark and (wide := _utf16(data)):
        encoding, text = wide, body.decode(wide)
    if text.encode(encoding, "surrogateescape") != body:
        raise UserError(f"{path}: its encoding {encoding} cannot be read and written without loss; convert it to UTF-8")
    return TextFile(path, text, encoding, mark)


@contextmanager
def open_binary(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading; what gzip, bzip2 or xz has compressed is decompressed.

    Raises:
        UserError: if it cannot be opened or read.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            head = file.peek(6)
            opener = next((opener for magic, opener in _COMPRESSIONS.items() if head.startswith(magic)), None)
            if opener is None:
                yield file
            else:
                with opener(file) as decompressed:
                    yield decompressed
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, expected a file") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _utf16(data: bytes) -> str | None:
    """Returns which UTF-16 a file without a mark is in, if every other byte of its beginning is zero."""
    head = data[:1000]
    half = len(head) // 2
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half and head[first::2].count(0) > 0.6 * half:
            return encoding
    return None


def _known(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "utf-8"  # a template that says CHARSET
