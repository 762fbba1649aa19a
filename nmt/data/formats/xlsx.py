"""Spreadsheets in XLSX: rows of text with a first row that names the columns."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.data.formats.archives import open_archive, read_member
from nmt.data.formats.columns import Columns
from nmt.data.formats.units import Edit, Languages, Unit
from nmt.data.formats.xml_elements import Element, read_elements, with_attributes, xml_text
from nmt.data.formats.xml_file import XmlFile
from nmt.utils.errors import UserError


def read_xlsx(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the sheets of a spreadsheet whose first rows name columns of both languages.

    Args:
        path: the file.
        languages: the languages.

    Yields:
        A unit for each further row. What a formula computes counts as text, but no translation is put there.

    Raises:
        UserError: if the file cannot be read, or no sheet has such columns.
    """
    with open_archive(path) as archive:
        shared = _shared_strings(path, archive)
        problems = []
        found = False
        for name, member in _sheets(path, archive):
            file = XmlFile(path, read_member(path, archive, member), member)
            rows = _rows(file, f"{path}: {name}")
            header = next(rows, None)
            if header is None:
                continue
            try:
                columns = _columns(header, shared, languages, f"{path}: {name}")
            except UserError as error:
                problems.append(error)
                continue
            found = True
            for row in rows:
                yield from _unit(file, row, columns, shared, name)
        if not found:
            raise problems[0] if problems else UserError(f"{path}: has no sheet with text")


def _sheets(path: str | Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """The names of the sheets, and of the members that they are in."""
    relations = {}
    data = read_member(path, archive, "xl/_rels/workbook.xml.rels")
    for one in read_elements(path, {"Relationship"}, io.BytesIO(data)):
        target = one.attributes.get("Target", "")
        relations[one.attributes.get("Id", "")] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    data = read_member(path, archive, "xl/workbook.xml")
    for one in read_elements(path, {"sheet"}, io.BytesIO(data)):
        member = relations.get(next((v for k, v in one.attributes.items() if k.endswith(":id")), ""), "")
        if one.name == "sheet" and "worksheets/" in member:
            yield one.attributes.get("name", ""), member


def _shared_strings(path: str | Path, archive: zipfile.ZipFile) -> list[str]:
    name = "xl/sharedStrings.xml"
    if name not in archive.namelist():
        return []
    elements = read_elements(path, {"si"}, io.BytesIO(read_member(path, archive, name)))
    return [_rich_text(one) for one in elements if one.name == "si"]


def _rich_text(element: Element) -> str:
    """The text of a string, without that on how to pronounce it."""
    parts = []
    for child in element.elements:
        if child.name == "t":
            parts.append(child.text())
        elif child.name == "r":
            parts += [text.text() for text in child.named("t")]
    # How Excel writes characters that XML cannot contain.
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), "".join(parts))


def _rows(file: XmlFile, place: str) -> Iterator[Element]:
    assert file.data is not None
    for element in read_elements(place, {"row"}, io.BytesIO(file.data)):
        if element.name == "row" and element.children:
            yield element


def _cells(row: Element) -> dict[int, Element]:
    """The cells of a row by the numbers of their columns; those without a reference follow one another."""
    cells, last = {}, -1
    for cell in row.named("c"):
        letters = re.match("[A-Z]+", cell.attributes.get("r", ""))
        last = last + 1 if letters is None else _column_number(letters[0])
        cells[last] = cell
    return cells


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _column_letters(number: int) -> str:
    letters = ""
    while number >= 0:
        letters = chr(ord("A") + number % 26) + letters
        number = number // 26 - 1
    return letters


def _text(cell: Element | None, shared: Sequence[str]) -> str:
    if cell is None:
        return ""
    kind, value, inline = cell.attributes.get("t"), cell.first("v"), cell.first("is")
    if kind == "inlineStr" and inline:
        return _rich_text(inline)
    if kind == "s" and value:
        number = value.text()
        return shared[int(number)] if number.isdecimal() and int(number) < len(shared) else ""
    return value.text() if kind == "str" and value else ""


def _columns(header: Element, shared: Sequence[str], languages: Languages, place: str) -> Columns:
    cells = _cells(header)
    names = [_text(cells.get(number), shared) for number in range(max(cells, default=-1) + 1)]
    return Columns(names, languages, place)


def _unit(file: XmlFile, row: Element, columns: Columns, shared: Sequence[str], sheet: str) -> Iterator[Unit]:
    cells = _cells(row)
    source, target = (_text(cells.get(number), shared) for number in (columns.source, columns.target))
    if not source and not target:
        return
    number = row.attributes.get("r", str(row.line))
    key = _text(cells.get(columns.key), shared) if columns.key is not None else ""
    place = cells.get(columns.target)
    taken = place is not None and (place.first("f") is not None or (place.first("v") is not None and not target))

    def edits(value: str | None) -> Sequence[Edit]:
        if not value or taken:
            return []
        content = f'<is><t xml:space="preserve">{xml_text(value)}</t></is>'
        # The prefix of a namespace, if there is one.
        prefix = re.match(r"<((?:[\w.-]+:)?)row", file.first_tag(row))
        before = prefix[1] if prefix else ""
        content = re.sub(r"<(/?)(is|t)\b", rf"<\1{before}\2", content)
        if place is not None:
            tag = with_attributes(file.first_tag(place).rstrip("/>").rstrip() + ">", {"t": "inlineStr"})
            return [file.edit(place.start, place.end, f"{tag}{content}</{before}c>")]
        reference = f"{_column_letters(columns.target)}{number}"
        cell = f'<{before}c r="{reference}" t="inlineStr">{content}</{before}c>'
        later = [one.start for column, one in cells.items() if column > columns.target]
        where = min(later, default=row.close)
        return [file.edit(where, where, cell)]

    filled = bool(target.strip())
    yield Unit(
        key or f"{sheet} {number}", int(number) if number.isdecimal() else row.line, source,
        (target,) if filled else (), "translated" if filled else "untranslated",
        edits=None if taken else edits, accelerators=True,
    )  # fmt: skip
