"""The bytes of an XML file, for edits: the code of inline elements and tags as they are written."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from nmt.data.formats.inline import Tags, xml_with_tags
from nmt.data.formats.text_file import open_binary
from nmt.data.formats.units import Edit
from nmt.data.formats.xml_elements import Element, Text, cdata_text, with_attributes, xml_encoding, xml_text

_HEAD = 1000


class XmlFile:
    """Reads parts of an XML file by their places.

    Args:
        path: the file.
        data: the content, if it is a member of an archive.
        member: the name of that member.
    """

    def __init__(self, path: str | Path, data: bytes | None = None, member: str = "") -> None:
        self.path = path
        self.data = data
        self.member = member
        self._head: bytes | None = None

    @property
    def encoding(self) -> str:
        """The encoding of the file."""
        if self._head is None:
            self._head = self._read(0, _HEAD)
        return xml_encoding(self._head)

    @property
    def line_end(self) -> str:
        """What ends the lines of its beginning."""
        self.encoding  # noqa: B018 (it reads the head)
        text = (self._head or b"").decode(self.encoding, "replace")
        return "\r\n" if "\r\n" in text else "\n"

    def raw(self, start: int, end: int) -> str:
        """Returns what stands between two bytes."""
        return self._read(start, end).decode(self.encoding)

    def code_of(self, tags: Tags) -> Callable[[str], str]:
        """Returns a function from a tag to the code that it stands for."""
        return lambda tag: self.raw(*tags.ranges[tag])

    def edit(self, start: int, end: int, text: str) -> Edit:
        """Returns an edit of this file."""
        return Edit(start, end, text.replace("\n", self.line_end) if self.line_end != "\n" else text, self.member)

    def tagged(self, text: str, tags: Tags, cdata: bool = False) -> str:
        """Returns a translation as XML, with the code of the source's inline elements."""
        raw = {tag: self.raw(*place) for tag, place in tags.ranges.items()}
        return xml_with_tags(text, raw, cdata_text if cdata else xml_text)

    def first_tag(self, element: Element) -> str:
        """Returns the first tag of an element as it is written."""
        return self.raw(element.start, element.content)

    def with_attributes(self, element: Element, attributes: dict[str, str]) -> list[Edit]:
        """Sets attributes of an element whose content is not edited."""
        tag = self.first_tag(element)
        return [self.edit(element.start, element.content, with_attributes(tag, attributes))]

    def filled(self, element: Element, content: str, attributes: dict[str, str] | None = None) -> Edit:
        """Replaces the content of an element, and sets attributes of its first tag."""
        tag = with_attributes(self.first_tag(element), attributes or {})
        if not element.is_empty_tag:
            return self.edit(element.start, element.close, tag + content)
        name = tag[1:].split()[0].rstrip("/>")
        return self.edit(element.start, element.end, f"{tag[:-2].rstrip()}>{content}</{name}>")

    def indent(self, element: Element, siblings: Sequence[Element | Text]) -> str:
        """Returns the white space before an element, which what is inserted after it gets too."""
        place = next((i for i, one in enumerate(siblings) if one is element), 0)
        before = siblings[place - 1] if place else None
        return before.text if isinstance(before, Text) and not before.text.strip() else ""

    def _read(self, start: int, end: int) -> bytes:
        if self.data is not None:
            return self.data[start:end]
        with open_binary(self.path) as file:
            file.seek(start)
            return file.read(end - start)


def apply_to_xml(source: IO[bytes], encoding: str, edits: Sequence[Edit], target: IO[bytes]) -> None:
    """Copies an XML file with edits, in constant memory.

    Args:
        source: the file, opened at its beginning.
        encoding: its encoding.
        edits: the edits, in the order of their places.
        target: where to write.

    Example:

    >>> import io
    >>> target = io.BytesIO()
    >>> apply_to_xml(io.BytesIO(b"<a>one</a>"), "utf-8", [Edit(3, 6, "eins")], target)
    >>> target.getvalue()
    b'<a>eins</a>'
    """
    place = 0
    for edit in edits:
        _copy(source, target, edit.start - place)
        target.write(edit.text.encode(encoding, "xmlcharrefreplace"))
        source.seek(edit.end)
        place = edit.end
    _copy(source, target, None)


def _copy(source: IO[bytes], target: IO[bytes], size: int | None) -> None:
    while size is None or size > 0:
        chunk = source.read(1 << 20 if size is None else min(size, 1 << 20))
        if not chunk:
            break
        target.write(chunk)
        size = None if size is None else size - len(chunk)
