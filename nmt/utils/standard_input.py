"""Standard input as lines, and whether the next one is there already."""

import io
import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterator

from nmt.utils.errors import UserError
from nmt.utils.lines import what_is, without_ends

_CHUNK = 1 << 16  # bytes, what a pipe of Linux holds
# Seconds that all lines of a window are waited for together: enough for a program to refill its pipe, and too few for a
# person to notice.
_PATIENCE = 0.02


class StandardInput:
    """The lines of standard input.

    Someone who writes a line and waits for its translation gets it because a translator asks `is_ready` before it reads
    on; a file or a fast program is always ready, so that whole batches are read.

    Raises:
        UserError: if standard input is closed, and when it is read, if it cannot be, or is not text in UTF-8.
    """

    def __init__(self) -> None:
        if sys.stdin is None:
            raise UserError("standard input is closed; expected lines")
        self._stream = sys.stdin.buffer
        try:
            self._file: int | None = self._stream.fileno()
        except io.UnsupportedOperation:  # a stream of Python's in its place, which is read as it is
            self._file = None
        self._lines: deque[bytes] = deque()
        self._begun: list[bytes] = []  # the line that has no end yet
        self._ended = self._seen = False
        self._patience = _PATIENCE

    def __iter__(self) -> Iterator[bytes]:
        """Iterates over the lines as bytes, without their ends."""
        return without_ends(self._stream if self._file is None else self._read_lines(self._file))

    def is_ready(self) -> bool:
        """Returns whether reading on gives a line, or the end, almost without waiting."""
        while not self._lines and not self._ended and self._file is not None:
            start = time.monotonic()
            if not select.select([self._file], [], [], max(self._patience, 0.0))[0]:
                self._patience = _PATIENCE
                return False
            self._patience -= time.monotonic() - start
            self._fill(self._file)
        return True

    def _read_lines(self, file: int) -> Iterator[bytes]:
        while True:
            while self._lines:
                yield self._lines.popleft()
            if self._ended:
                return
            self._fill(file)

    def _fill(self, file: int) -> None:
        """Reads what is there; waits if nothing is."""
        try:
            select.select([file], [], [])  # waits, also where another program has made the pipe non-blocking
            chunk = os.read(file, _CHUNK)
        except OSError as error:
            raise UserError(f"standard input cannot be read: {error.strerror or error}") from error
        if not self._seen and (other := what_is(chunk)):
            raise UserError(f"standard input {other}")
        self._seen = True
        first, *more = chunk.split(b"\n")
        self._begun.append(first)
        for text in more:
            self._lines.append(b"".join(self._begun) + b"\n")
            self._begun = [text]
        self._ended = not chunk
        if self._ended and (last := b"".join(self._begun)):
            self._lines.append(last)
