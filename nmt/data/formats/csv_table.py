"""Tables in CSV or separated by tabs, with a first row that names the columns, and quotes as in RFC 4180."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.data.formats.columns import Columns
from nmt.data.formats.text_file import TextFile, read_text_file
from nmt.data.formats.units import Edit, Languages, Unit

_DELIMITERS = ",;\t|"


class _Cell(NamedTuple):
    text: str
    start: int
    end: int
    quoted: bool


def read_csv(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads a table; which character separates its columns shows its first row.

    Args:
        path: the file.
        languages: the languages, which the first row has to name.

    Yields:
        A unit for each further row.

    Raises:
        UserError: if the file cannot be read, the first row does not name the columns, or quotes are not closed.
    """
    file = read_text_file(path)
    if not file.text.strip():
        return
    begin, delimiter = 0, ""
    if named := re.match(r"sep=(.)(?:\r\n|\n)", file.text):  # Excel's line that names the delimiter
        begin, delimiter = named.end(), named[1]
    delimiter = delimiter or _delimiter(file.text[begin:].splitlines()[0])
    rows = _rows(file, begin, delimiter)
    header = next(rows, (0, []))[1]
    columns = Columns([cell.text for cell in header], languages, f"{path}:1")
    quote_all = bool(header) and all(cell.quoted for cell in header)
    for line, row in rows:
        if len(row) == 1 and not row[0].text:
            continue
        source = row[columns.source].text if columns.source < len(row) else ""
        target = row[columns.target].text if columns.target < len(row) else ""
        key = row[columns.key].text if columns.key is not None and columns.key < len(row) else ""
        filled = bool(target.strip())

        def edits(value: str | None, row: list[_Cell] = row) -> Sequence[Edit]:
            if not value:
                return []
            cell = _written(value, delimiter, quote_all or (columns.target < len(row) and row[columns.target].quoted))
            if columns.target < len(row):
                return [Edit(row[columns.target].start, row[columns.target].end, cell)]
            return [Edit(row[-1].end, row[-1].end, delimiter * (columns.target - len(row) + 1) + cell)]

        yield Unit(
            key or f"row {line}", line, source, (target,) if filled else (),
            "translated" if filled else "untranslated", edits=edits, accelerators=True,
        )  # fmt: skip


def _delimiter(line: str) -> str:
    bare = re.sub(r'"(?:[^"]|"")*"', "", line)
    return max(_DELIMITERS, key=lambda one: (bare.count(one), -_DELIMITERS.index(one)))


def _rows(file: TextFile, begin: int, delimiter: str) -> Iterator[tuple[int, list[_Cell]]]:
    bare = re.compile(rf"[^{re.escape(delimiter)}\r\n]*")
    quoted = re.compile(r'"((?:[^"]|"")*)"(?=[\r\n]|\Z|' + re.escape(delimiter) + ")")
    place, row, text, line, row_line = begin, [], file.text, file.line(begin), file.line(begin)
    while place < len(text):
        if text[place] == '"':
            found = quoted.match(text, place)
            if found is None:
                raise file.error(place, "expected a cell whose quotes are closed, and those inside it doubled")
            row.append(_Cell(found[1].replace('""', '"'), place, found.end(), True))
            line += found[0].count("\n")
        else:
            found = bare.match(text, place)
            assert found is not None
            row.append(_Cell(found[0], place, found.end(), False))
        place = found.end()
        if text[place : place + 1] == delimiter:
            place += 1
            if place == len(text) or text[place] in "\r\n":
                row.append(_Cell("", place, place, False))
            else:
                continue
        place += 2 if text[place : place + 2] == "\r\n" else 1
        yield row_line, row
        line += 1
        row, row_line = [], line
    if row:
        yield row_line, row


def _written(text: str, delimiter: str, quoted: bool) -> str:
    if quoted or re.search(rf'["\r\n{re.escape(delimiter)}]|^\s|\s$', text):
        return '"' + text.replace('"', '""') + '"'
    return text
