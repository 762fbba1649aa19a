"""XML, element by element, in constant memory, with the place of each in the file to the byte.

Expat of the standard library reads it: unlike the trees of other libraries, it knows the byte where each tag begins, in
any encoding. Entities that a document declares are expanded if they are plain text. External ones, and those made of
others, by which a small file becomes gigabytes, are refused.
"""

import codecs
import html
import re
from collections.abc import Iterator, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple
from xml.parsers import expat

from nmt.data.formats.text_file import open_binary
from nmt.utils.errors import UserError

_CHUNK = 1 << 16
_LONGEST_ENTITY = 10_000
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# What XML cannot contain, however it is written.
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class Text(NamedTuple):
    """Text between two tags, its entities expanded.

    Attributes:
        text: str.
        start: int, the byte where it begins.
        cdata: bool, whether it stands in a CDATA section.
    """

    text: str
    start: int
    cdata: bool


@dataclass
class Element:
    """An element and what it contains.

    Attributes:
        name: str, without the prefix of a namespace.
        attributes: their values by their names, prefixes included.
        line: int, where it begins.
        start: int, the byte where its first tag begins.
        content: int, the byte where its content begins, after the first tag.
        close: int, the byte where its content ends, before the last tag; `end` for an empty tag such as `<br/>`.
        end: int, the byte after its last tag.
        children: its elements and texts; None for a container, whose content comes by itself.
        path: names of the elements that it stands in, the outermost first.
    """

    name: str
    attributes: dict[str, str]
    line: int
    start: int
    content: int = -1
    close: int = -1
    end: int = -1
    children: list["Element | Text"] | None = None
    path: tuple[str, ...] = ()

    @property
    def elements(self) -> list["Element"]:
        """The elements right inside it."""
        return [one for one in self.children or () if isinstance(one, Element)]

    @property
    def is_empty_tag(self) -> bool:
        """Whether it is written as one tag, such as `<br/>`."""
        return self.close == self.end

    def named(self, *names: str) -> list["Element"]:
        """Returns the elements of some names right inside it."""
        return [one for one in self.elements if one.name in names]

    def first(self, *names: str) -> "Element | None":
        """Returns the first element of some names right inside it; None if there is none."""
        return next(iter(self.named(*names)), None)

    def text(self) -> str:
        """Returns all the text inside it."""
        return "".join(one.text if isinstance(one, Text) else one.text() for one in self.children or ())

    def language(self) -> str:
        """Returns the value of `xml:lang`, or of `lang`, as old files have it."""
        return self.attributes.get("xml:lang") or self.attributes.get("lang") or ""


def read_elements(path: str | Path, records: Set[str], file: IO[bytes] | None = None) -> Iterator[Element]:
    """Reads the elements of an XML file.

    Args:
        path: the file, which errors name.
        records: names of the elements that are yielded with all they contain, when they end. Any other element, in none
            of these, is yielded when it begins, without its content and its end.
        file: what is read instead, such as a member of an archive; None to open `path`.

    Raises:
        UserError: if the file cannot be read, is no XML, is cut off, or has entities that are refused; with the line.

    Example:

    >>> import io
    >>> xml = io.BytesIO(b"<r><a n='1'>one <b>two</b></a></r>")
    >>> [(one.name, one.text()) for one in read_elements("my.xml", {"a"}, xml)]
    [('r', ''), ('a', 'one two')]
    """
    with nullcontext(file) if file is not None else open_binary(path) as opened:
        yield from _Reader(Path(path), records).read(opened)


def xml_encoding(head: bytes) -> str:
    """Returns the encoding of an XML file, with the order of its bytes.

    Args:
        head: the first bytes of the file.

    Example:

    >>> xml_encoding(b"<?xml version='1.0' encoding='ISO-8859-1'?>"), xml_encoding("<a/>".encode("utf-16-be"))
    ('ISO-8859-1', 'utf-16-be')
    """
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if head[:2] in (b"<\0", b"\0<"):
        return "utf-16-le" if head[0] else "utf-16-be"
    declared = re.match(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", head)
    return declared[1].decode() if declared else "utf-8"


def xml_text(text: str) -> str:
    """Returns a text as it stands in XML, without the characters that XML cannot contain.

    Example:

    >>> xml_text("a < b & c")
    'a &lt; b &amp; c'
    """
    return html.escape(_IMPOSSIBLE.sub("", text), quote=False)


def cdata_text(text: str) -> str:
    """Returns a text as it stands inside a CDATA section.

    Example:

    >>> cdata_text("a[b[1]]>2")
    'a[b[1]]]]><![CDATA[>2'
    """
    return _IMPOSSIBLE.sub("", text).replace("]]>", "]]]]><![CDATA[>")


def with_attributes(tag: str, attributes: dict[str, str]) -> str:
    """Sets attributes in a first tag, and leaves all else of it as it is.

    Args:
        tag: the tag, such as `<target state="new">`.
        attributes: values by names.

    Example:

    >>> with_attributes("<target  state='new'/>", {"state": "translated", "x": '"'})
    '<target  state="translated" x="&quot;"/>'
    """
    for name, value in attributes.items():
        written = f'{name}="{html.escape(value)}"'
        found = re.search(rf"(?<=\s){re.escape(name)}\s*=\s*(\"[^\"]*\"|'[^']*')", tag)
        if found:
            tag = tag[: found.start()] + written + tag[found.end() :]
        else:
            inside = re.match(r"(.*?)(\s*/?>)$", tag, re.DOTALL)
            assert inside is not None
            tag = f"{inside[1]} {written}{inside[2]}"
    return tag


@dataclass
class _Reader:
    """The handlers of expat, which know of each event where it begins, and thereby where the one before it ends."""

    path: Path
    records: Set[str]
    ready: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)
    inside: int = 0  # the open elements from the outermost record on
    begun: Element | None = None  # whose content begins at the next event
    ended: Element | None = None  # that ends at the next event
    finished: Element | None = None  # that is ready once its end is known
    cdata: bool = False

    def read(self, file: IO[bytes]) -> Iterator[Element]:
        parser = self.parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartCdataSectionHandler = lambda: self._cdata(True)
        parser.EndCdataSectionHandler = lambda: self._cdata(False)
        parser.DefaultHandlerExpand = lambda _: self._at(parser.CurrentByteIndex)
        parser.EntityDeclHandler = self._declaration
        parser.SkippedEntityHandler = self._skipped
        parser.ExternalEntityRefHandler = lambda name, *_: self._refuse(f"the entity &{name}; is outside the file")
        try:
            while chunk := file.read(_CHUNK):
                parser.Parse(chunk, False)
                yield from self.ready
                self.ready.clear()
            parser.Parse(b"", True)
            self._at(parser.CurrentByteIndex)
            yield from self.ready
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise UserError(
                f"{self.path}:{error.lineno}: the XML is damaged or cut off near this line: {what}"
            ) from error
        except (LookupError, ValueError) as error:  # an encoding that Python does not know, or of several bytes
            raise UserError(f"{self.path}: the XML is in an encoding that is not known: {error}") from error

    def _refuse(self, what: str) -> Any:
        raise UserError(f"{self.path}:{self.parser.CurrentLineNumber}: {what}, which is refused")

    def _declaration(self, name: str, parameter: int, value: str | None, *_: Any) -> None:
        self._at(self.parser.CurrentByteIndex)
        if parameter:
            return  # expat does not read those
        if value is None:
            self._refuse(f"the entity &{name}; is outside the file")
        elif re.search(r"[&<]", value) or len(value) > _LONGEST_ENTITY:
            self._refuse(f"the entity &{name}; is made of other entities or elements, or is long")

    def _skipped(self, name: str, parameter: int) -> None:
        if not parameter:
            self._refuse(f"the entity &{name}; is not declared in the file")

    def _at(self, index: int) -> None:
        """Takes note of the byte where an event begins, which ends what came before."""
        if self.begun is not None:
            self.begun.content = index
            if self.begun.children is None:
                self.ready.append(self.begun)
            self.begun = None
        if self.ended is not None:
            self.ended.end = index
            if self.ended is self.finished:
                self.ready.append(self.ended)
                self.finished = None
            self.ended = None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parser = self.parser
        self._at(parser.CurrentByteIndex)
        local = name.rpartition(":")[2]
        path = () if self.inside else tuple(one.name for one in self.open)
        element = Element(local, attributes, parser.CurrentLineNumber, parser.CurrentByteIndex, path=path)
        if self.inside or local in self.records:
            element.children = []
            if self.inside:
                parent = self.open[-1].children
                assert parent is not None
                parent.append(element)
            self.inside += 1
        self.open.append(element)
        self.begun = element

    def _end(self, _: str) -> None:
        index = self.parser.CurrentByteIndex
        self._at(index)
        element = self.open.pop()
        element.close = index
        self.ended = element
        if self.inside:
            self.inside -= 1
            if not self.inside:
                self.finished = element

    def _text(self, text: str) -> None:
        index = self.parser.CurrentByteIndex
        self._at(index)
        if not self.inside:
            return
        siblings = self.open[-1].children
        assert siblings is not None
        last = siblings[-1] if siblings else None
        if isinstance(last, Text) and last.cdata == self.cdata:
            siblings[-1] = Text(last.text + text, last.start, last.cdata)
        else:
            siblings.append(Text(text, index, self.cdata))

    def _cdata(self, begins: bool) -> None:
        self._at(self.parser.CurrentByteIndex)
        self.cdata = begins
