"""Files of keys and values in text: Apple's .strings and Java's .properties."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from nmt.data.formats.text_file import TextFile, read_text_file
from nmt.data.formats.units import Edit, Languages, Unit

_STRINGS = re.compile(
    r"(?P<blank>\s+|/\*.*?\*/|//[^\n]*)"
    r'|(?P<key>"(?:[^"\\]|\\.)*"|[\w.$:/-]+)\s*(?:/\*.*?\*/\s*)?(?:=\s*(?:/\*.*?\*/\s*)?'
    r'"(?P<value>(?:[^"\\]|\\.)*)"\s*)?(?:/\*.*?\*/\s*)?;',
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "a": "\a", "b": "\b", "v": "\v", "0": "\0"}
_ESCAPED = re.compile(r"\\([Uu][0-9A-Fa-f]{4}|.)", re.DOTALL)

# A logical line: a comment or nothing, or a key, a separator, and a value whose lines end in a backslash but the last.
_PROPERTY = re.compile(
    r"[ \t\f]*(?:[#!][^\r\n]*|(?P<key>(?:[^\\\s:=]|\\(?:\r\n|[^\r]|\r))+)?(?P<separator>[ \t\f]*[:=]?[ \t\f]*)"
    r"(?P<value>(?:[^\\\r\n]|\\(?:\r\n|[\s\S]))*))(?P<end>\r\n|\n|\r|\Z)"
)
_ARGUMENT = re.compile(r"\{\d+[^{}]*\}")
_LONE = re.compile(r"(?<!')'(?!')")


def read_strings(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads an Apple .strings file, in UTF-8 or UTF-16.

    Args:
        path: the file.
        languages: the languages, which the file does not name.

    Raises:
        UserError: if the file cannot be read, or is none; with the line.
    """
    file = read_text_file(path)
    if file.text.startswith(("bplist", "<?xml", "<plist")):
        raise file.error(0, 'is a property list; expected "key" = "value"; convert it by `plutil`')
    place, line_of = 0, file.line_numbers()
    escaped = re.search(r"\\[Uu](?=[0-9A-Fa-f]{4})", file.text) if file.text.isascii() else None
    escape = escaped[0] if escaped else ""
    while place < len(file.text):
        found = _STRINGS.match(file.text, place)
        if found is None:
            raise file.error(place, 'expected "key" = "value"; or a comment')
        place = found.end()
        if found["key"] is not None:
            key = _unescaped(found["key"].strip('"'))
            # A key alone is its own value, and has no place for another.
            name = "value" if found["value"] is not None else None
            text = _unescaped(found[name]) if name else key
            span = found.span("value")
            yield Unit(
                key,
                line_of(found.start("key")),
                text,
                edits=_value_edits(span, partial(_quoted, escape=escape)) if name else None,
            )


def read_properties(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    r"""Reads a Java .properties file, in UTF-8 or in Latin-1 with escapes such as ``\u00e4``.

    Args:
        path: the file.
        languages: the languages, which the file does not name.

    Raises:
        UserError: if the file cannot be read.
    """
    file = read_properties_file(path)
    ascii_only = file.text.isascii() or file.encoding == "iso8859-1"
    doubles = _doubles_apostrophes(file.text)
    place, line_of = 0, file.line_numbers()
    while place < len(file.text):
        found = _PROPERTY.match(file.text, place)
        if found is None:  # a backslash at the very end
            break
        place = found.end()
        if found["key"] is None or not found["separator"] + found["value"]:
            continue
        text = _unescaped(_continued(found["value"]))
        # Java's MessageFormat doubles apostrophes; other formats with such arguments do not.
        message = bool(_ARGUMENT.search(text)) and not _LONE.search(text) and (doubles or "''" in text)
        text = text.replace("''", "'") if message else text
        key = _unescaped(found["key"])

        def written(value: str, message: bool = message) -> str:
            return _property(value.replace("'", "''") if message else value, ascii_only)

        yield Unit(
            key,
            line_of(found.start()),
            text,
            edits=_value_edits(found.span("value"), written),
            accelerators=True,
        )


def _doubles_apostrophes(text: str) -> bool:
    """Whether lines with arguments have more doubled apostrophes than others; as Java's if they have none."""
    lines = [line for line in text.splitlines() if _ARGUMENT.search(line)]
    return sum("''" in line for line in lines) >= sum(_LONE.search(line) is not None for line in lines)


def read_properties_file(path: str | Path) -> TextFile:
    """Reads a .properties file as text: UTF-8, or Latin-1 if it is none."""
    file = read_text_file(path)
    if re.search("[\udc80-\udcff]", file.text):  # no UTF-8
        data = file.text.encode("utf-8", "surrogateescape")
        return TextFile(file.path, data.decode("latin-1"), "iso8859-1", file.mark)
    return file


def _value_edits(span: tuple[int, int], written: Callable[[str], str]) -> Callable[[str | None], Sequence[Edit]]:
    return lambda value: [Edit(*span, written(value))] if value else []


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    if "\\" not in text:
        return text
    # Two escapes may be the halves of one character.
    return _ESCAPED.sub(character, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _continued(value: str) -> str:
    """Joins the lines of a value: an odd number of backslashes goes on in the next line, without its white space."""
    return re.sub(r"(?<!\\)((?:\\\\)*)\\(?:\r\n|\n|\r)[ \t\f]*", r"\1", value)


def _quoted(text: str, escape: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return _ascii(text, escape) if escape else text


def _property(text: str, ascii_only: bool) -> str:
    text = (
        text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r").replace("\f", "\\f")
    )
    text = re.sub("^ ", "\\\\ ", text)
    return _ascii(text, "\\u") if ascii_only else text


def _ascii(text: str, escape: str) -> str:
    """Writes what is not ASCII as an escape and the four digits of each unit of UTF-16."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"{escape}{code:04x}" for code in codes)
