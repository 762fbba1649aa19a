"""Standard input, output and error of a program, whatever state they are in when it starts and ends."""

import errno
import io
import os
import sys
from contextlib import suppress


class _Closed(io.TextIOBase):
    """Standard output where there is none: results must not be lost without a word."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")


def open_streams() -> None:
    """Makes the standard streams such that any text can be written to them.

    A stream that is closed is opened on the null device, so that no file that is opened later takes its place and gets
    the messages of C++ libraries; writing to a closed standard output is an error all the same. Into files and pipes go
    UTF-8, as it comes in; what a terminal's encoding lacks is written as an escape.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for the whole process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


def abandon_stdout() -> None:
    """Has nothing more written to standard output, once that has failed: Python would try it again at its end."""
    with suppress(OSError, ValueError, AttributeError):
        if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.__stdout__.fileno())
            os.close(nowhere)
