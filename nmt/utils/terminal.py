"""Texts of others on a terminal: without what a terminal would take for commands."""

import re
from typing import TextIO

# C0 but for tab and line feed, DEL, and C1. Without the character that begins it, an escape sequence is plain text.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str, stream: TextIO) -> str:
    r"""Replaces control characters by U+FFFD if a stream is a terminal, which would obey them.

    Args:
        text: a text of any origin: a translation, a server's message, a line of a file.
        stream: where it will be written. For a file or a pipe, the text stays as it is.

    Example:

    >>> import io
    >>> terminal = io.StringIO()
    >>> terminal.isatty = lambda: True
    >>> printable("\x1b[31mred\r\n", terminal), printable("\x1b[31mred\r\n", io.StringIO())
    ('�[31mred�\n', '\x1b[31mred\r\n')
    """
    return _CONTROLS.sub("\ufffd", text) if stream.isatty() else text


def joined_lines(text: str) -> str:
    r"""Replaces line ends by spaces, whatever program may take for one, so that a text stays one line of a file.

    Example:

    >>> joined_lines("one\r\ntwo\u2028three")
    'one two three'
    """
    return re.sub("[\n-\r\x1c-\x1e\x85\u2028\u2029]+", " ", text)
