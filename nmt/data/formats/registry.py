"""The formats by the names of their files."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from nmt.data.formats.apps import read_android, read_resx, read_stringsdict
from nmt.data.formats.csv_table import read_csv
from nmt.data.formats.key_values import read_properties, read_strings
from nmt.data.formats.po import read_mo, read_po
from nmt.data.formats.qt import read_ts
from nmt.data.formats.text_file import open_binary
from nmt.data.formats.tmx import read_tbx, read_tmx
from nmt.data.formats.trees import read_json, read_yaml
from nmt.data.formats.units import Edit, Unit
from nmt.data.formats.xliff import read_xliff
from nmt.data.formats.xlsx import read_xlsx
from nmt.utils.errors import UserError

Reader = Callable[..., Iterator[Unit | Edit]]


class Format(NamedTuple):
    """A format of files.

    Attributes:
        name: str, its name.
        read: function from a path and two languages to the units of the file, and edits that it needs in any case.
        kind: `text`, `xml` or `archive`, what edits count in; `read only` if nothing can be put into it.
        bilingual: bool, whether a file has both languages; others have one, and belong to a file of the other.
    """

    name: str
    read: Reader
    kind: Literal["text", "xml", "archive", "read only"]
    bilingual: bool


_PO, _XLIFF = Format("PO", read_po, "text", True), Format("XLIFF", read_xliff, "xml", True)
_MO, _TMX = Format("MO", read_mo, "read only", True), Format("TMX", read_tmx, "xml", True)
_JSON, _YAML = Format("JSON", read_json, "text", False), Format("YAML", read_yaml, "text", False)
_CSV, _ANDROID = Format("CSV", read_csv, "text", True), Format("Android", read_android, "xml", False)
_TS = Format("Qt Linguist", read_ts, "xml", True)
FORMATS: dict[str, Format] = {
    "po": _PO, "pot": _PO, "mo": _MO, "gmo": _MO, "tmx": _TMX, "xlf": _XLIFF, "xliff": _XLIFF, "xlif": _XLIFF,
    "sdlxliff": _XLIFF, "mqxliff": _XLIFF, "mxliff": _XLIFF, "tbx": Format("TBX", read_tbx, "read only", True),
    "csv": _CSV, "tsv": _CSV, "tab": _CSV, "xlsx": Format("XLSX", read_xlsx, "archive", True),
    "json": _JSON, "arb": _JSON, "yaml": _YAML, "yml": _YAML,
    "strings": Format("Apple strings", read_strings, "text", False),
    "stringsdict": Format("Apple stringsdict", read_stringsdict, "xml", False),
    "properties": Format("Java properties", read_properties, "text", False),
    "resx": Format("resx", read_resx, "xml", False), "resw": Format("resx", read_resx, "xml", False),
}  # fmt: skip
_COMPRESSED = re.compile(r"\.(?:gz|bz2|xz)$", re.IGNORECASE)


def find_format(path: str | Path) -> Format | None:
    """Finds a file's format by its name; that of .xml and .ts by its beginning too.

    Args:
        path: the file.

    Returns:
        The format; None if it is none of these.

    Example:

    >>> find_format("my.sdlxliff").name, find_format("memory.tmx.gz").name, find_format("my.txt")
    ('XLIFF', 'TMX', None)
    """
    suffix = _COMPRESSED.sub("", str(path)).rpartition(".")[2].lower()
    if suffix in FORMATS:
        return FORMATS[suffix]
    if suffix not in ("xml", "ts"):
        return None
    try:
        with open_binary(path) as file:
            head = file.read(4096).replace(b"\0", b"")
    except UserError:
        return None
    root = re.search(
        rb"<(?!!--)([A-Za-z][\w:.-]*)", re.sub(rb"(?s)<!--.*?(?:-->|$)|<\?.*?\?>|<!DOCTYPE[^>]*>", b"", head)
    )
    by_root = {b"resources": _ANDROID, b"TS": _TS, b"xliff": _XLIFF, b"tmx": _TMX}
    return by_root.get(root[1]) if root else None


def check_format(path: str | Path) -> Format:
    """Finds a file's format, as `find_format`.

    Raises:
        UserError: if it is none that is known.
    """
    found = find_format(path)
    if found is None:
        known = ", ".join(f".{suffix}" for suffix in FORMATS)
        raise UserError(f"{path}: expected a file with one of the ends {known}, or strings of Android in .xml")
    return found
