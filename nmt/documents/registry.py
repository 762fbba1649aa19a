"""The formats of documents, in addition to those of translation memories."""

from pathlib import Path

from nmt.data.formats.registry import FORMATS, Format, find_format
from nmt.documents.html import read_html
from nmt.documents.markdown import read_markdown
from nmt.documents.office import read_docx, read_odt
from nmt.documents.subtitles import read_subtitles

_HTML, _MARKDOWN = Format("HTML", read_html, "text", False), Format("Markdown", read_markdown, "text", False)
_SUBTITLES = Format("subtitles", read_subtitles, "text", False)
DOCUMENTS = {
    "html": _HTML, "htm": _HTML, "xhtml": _HTML, "md": _MARKDOWN, "markdown": _MARKDOWN,
    "srt": _SUBTITLES, "vtt": _SUBTITLES,
    "docx": Format("Word", read_docx, "archive", False), "odt": Format("OpenDocument", read_odt, "archive", False),
}  # fmt: skip


def document_format(path: str | Path) -> Format | None:
    """Finds the format of a file that can be translated in place, by its name; see `find_format`.

    Args:
        path: the file.

    Returns:
        The format; None if it is none that is known, as of plain text.

    Example:

    >>> document_format("page.html").name, document_format("strings.po").name, document_format("lines.txt")
    ('HTML', 'PO', None)
    """
    return DOCUMENTS.get(Path(path).suffix.lstrip(".").lower()) or find_format(path)


def known_ends() -> str:
    """Returns the ends of the names of all files that can be translated in place."""
    writable = [end for end, one in FORMATS.items() if one.kind != "read only"]
    return ", ".join(f".{end}" for end in [*writable, *DOCUMENTS])
