"""Lines of text: which are only wrapped, so that they are translated as one and wrapped again."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

# A space inside a tag is no place to break a line.
_WORD = re.compile(r"(?:<[^<>]*>|[^\s<]|<)+")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*\n[^<>]*>")
_LINE_IN_TAG = "\uffff"  # in the place of a line end inside a tag, which ends no line of the text
_LIST = re.compile(r"\s*(?:[-*+•–]|\(?[0-9a-zA-Z]{1,3}[.)])\s")  # noqa: RUF001 (a dash begins an item of a list)
_NARROWEST, _WIDEST = 45, 120  # columns: lines that are shorter or longer are lines of their own


class Layout(NamedTuple):
    """A text as the parts that are translated by themselves.

    Attributes:
        texts: list of str, the parts, without white space around them.
        join: function from their translations to the whole text.
    """

    texts: list[str]
    join: Callable[[Sequence[str]], str]


def lay_out(text: str) -> Layout:
    r"""Splits a text at its line ends, unless they only wrap a paragraph, whose lines are joined and wrapped again.

    Args:
        text: str.

    Example:

    >>> layout = lay_out(" One line.\n\nAnother\n")
    >>> layout.texts, layout.join(["Eine Zeile.", "Noch eine"])
    (['One line.', 'Another'], ' Eine Zeile.\n\nNoch eine\n')
    """
    pieces = re.split(r"(\s*\n\s*\n\s*)", _TAG.sub(lambda tag: tag[0].replace("\n", _LINE_IN_TAG), text))
    texts: list[str] = []
    wholes: list[str | tuple[str, int, str, str]] = []  # what stays, or: before, width, indent and after of a part
    for piece in pieces:
        for paragraph in _paragraphs(piece):
            core = paragraph.strip()
            if not core:
                wholes.append(paragraph)
                continue
            begin = paragraph.index(core)
            lines = core.split("\n")
            width = max(map(columns, lines)) if len(lines) > 1 else 0
            indent = re.match(r"\s*", lines[1])[0] if len(lines) > 1 else ""  # type: ignore[index]
            texts.append(" ".join(line.strip() for line in lines).replace(_LINE_IN_TAG, "\n"))
            wholes.append((paragraph[:begin], width, indent, paragraph[begin + len(core) :]))

    def join(translations: Sequence[str]) -> str:
        if list(translations) == texts:
            return text  # as it is written, white space at the ends of lines included
        remaining = iter(translations)
        written = []
        for part in wholes:
            if isinstance(part, str):
                written.append(part)
                continue
            before, width, indent, after = part
            translation = next(remaining)
            lines = wrap(translation, width) if width else [translation]
            written.append(before + ("\n" + indent).join(lines) + after)
        return "".join(written).replace(_LINE_IN_TAG, "\n")

    return Layout(texts, join)


def wrap(text: str, width: int) -> list[str]:
    """Wraps a text at spaces outside tags.

    Args:
        text: str.
        width: int, columns of a line.

    Example:

    >>> wrap("one <a href='x y'>two</a> three", 8)
    ['one', "<a href='x y'>two</a>", 'three']
    """
    lines: list[str] = []
    line, used = "", 0
    for word in _WORD.findall(text):
        size = columns(word)
        if line and used + 1 + size > width:
            lines.append(line)
            line, used = word, size
        else:
            line, used = (f"{line} {word}", used + 1 + size) if line else (word, size)
    return [*lines, line] if line or not lines else lines


def balanced(text: str, count: int, width: int) -> list[str]:
    """Divides a text into lines of about the same length, as subtitles have.

    Args:
        text: str.
        count: int, the lines that there should be; there are more only if they would be wider than `width`.
        width: int, columns of a line.

    Example:

    >>> balanced("one two three four", 2, 42)
    ['one two', 'three four']
    """
    text = " ".join(text.split())
    if count <= 1 and columns(text) <= width:
        return [text]
    wanted = -(-columns(text) // max(count, 1))
    for size in range(max(wanted, 1), max(width, wanted) + 1):
        lines = wrap(text, size)
        if len(lines) <= count:
            return lines
    return wrap(text, width)


def columns(text: str) -> int:
    """Returns how many columns a text takes; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _paragraphs(piece: str) -> list[str]:
    """Splits lines without an empty one among them into paragraphs, unless they are one that is only wrapped.

    That is a paragraph if no line but the last has room for the first word of the next line.
    """
    lines = piece.split("\n")
    if len(lines) == 1:
        return [piece]
    widths = [columns(line.rstrip()) for line in lines if line.strip()]
    full = [
        columns(line.rstrip()) + 1 + columns(following.split()[0]) > max(widths)
        for line, following in pairwise(lines)
        if following.strip()
    ]
    wrapped = len(widths) > 1 and min(widths[:-1]) >= _NARROWEST and max(widths) <= _WIDEST and all(full)
    if wrapped and not any(map(_LIST.match, lines[1:])):
        return [piece]
    return re.findall("[^\n]*\n|[^\n]+", piece)
