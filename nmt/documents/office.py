"""Documents of word processors: Word's .docx and OpenDocument's .odt, paragraph by paragraph."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.data.formats.archives import open_archive, read_member
from nmt.data.formats.inline import Tags
from nmt.data.formats.units import Edit, Languages, Unit
from nmt.data.formats.xml_elements import Element, read_elements, xml_text
from nmt.data.formats.xml_file import XmlFile

_DOCX_MEMBERS = re.compile(r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\d*\.xml$")
_ODT_MEMBERS = ("content.xml", "styles.xml")
_ODT_ALONE = frozenset({
    "s", "tab", "line-break", "note", "annotation", "bookmark", "bookmark-start", "bookmark-end", "frame",
    "custom-shape", "soft-page-break", "reference-mark", "reference-mark-start", "reference-mark-end", "sequence",
    "page-number", "date", "time",
})  # fmt: skip
_ENCLOSING = frozenset({"hyperlink", "ins", "smartTag", "sdt", "sdtContent"})


def read_docx(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the paragraphs of a Word document: its text, tables, headers, footers and notes.

    Text in the formatting that most of a paragraph has is plain; other formatting, links, and what is no text, such as
    pictures and fields, are tags.

    Args:
        path: the file.
        languages: the languages, which the file does not name.

    Raises:
        UserError: if the file cannot be read.
    """
    with open_archive(path) as archive:
        for member in sorted(filter(_DOCX_MEMBERS.match, archive.namelist()), key=lambda name: "document" not in name):
            file = XmlFile(path, read_member(path, archive, member), member)
            assert file.data is not None
            for element in read_elements(f"{path}: {member}", {"p"}, io.BytesIO(file.data)):
                if element.name == "p" and element.children:
                    yield from _paragraph(file, element)


def read_odt(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the paragraphs and headings of an OpenDocument text: its text, tables, headers and footers.

    Args:
        path: the file.
        languages: the languages, which the file does not name.

    Raises:
        UserError: if the file cannot be read.
    """
    with open_archive(path) as archive:
        for member in filter(archive.namelist().__contains__, _ODT_MEMBERS):
            file = XmlFile(path, read_member(path, archive, member), member)
            assert file.data is not None
            for element in read_elements(f"{path}: {member}", {"p", "h", "tracked-changes"}, io.BytesIO(file.data)):
                if element.name in ("p", "h") and element.children:
                    yield from _odt_units(file, element)


def _odt_units(file: XmlFile, element: Element) -> Iterator[Unit]:
    tags = Tags(_ODT_ALONE)
    text = re.sub(r"\s+", " ", tags.source(element))
    if re.sub(r"<[^<>]*>", "", text).strip():

        def edits(value: str | None) -> Sequence[Edit]:
            return [file.filled(element, file.tagged(value, tags))] if value else []

        yield Unit(
            f"{file.member}:{element.line}",
            element.line,
            text,
            tags=tuple(tags.ranges),
            edits=edits,
            code=file.code_of(tags),
        )
    else:
        # Text in frames of a paragraph without text of its own.
        yield from (unit for inner in _paragraphs_inside(element) for unit in _odt_units(file, inner))


def _paragraphs_inside(element: Element) -> Iterator[Element]:
    for child in element.elements:
        if child.name in ("p", "h"):
            yield child
        else:
            yield from _paragraphs_inside(child)


class _Runs:
    """A Word paragraph as text with tags, and how each piece of text and each tag is written."""

    def __init__(self, file: XmlFile, paragraph: Element) -> None:
        self.file = file
        self.raw: dict[str, str] = {}
        self.parts: list[str] = []
        self.formats: dict[int, str] = {}  # of the number of a pair of tags: the properties of its run
        self.formatted: tuple[str, int] | None = None  # the formatting and the number of the tag that is open
        self.number = 0
        sizes: Counter[str] = Counter()
        for run in _all_runs(paragraph):
            sizes[self.properties(run)] += len(_run_text(run))
        self.base = sizes.most_common(1)[0][0] if sizes else ""
        self.taken = {int(number) for number in re.findall(r"</?[gx](\d+)/?>", paragraph.text())}

    def properties(self, run: Element) -> str:
        """The formatting of a run, as it is written, without the marks of the spelling checker and of revisions."""
        element = run.first("rPr")
        if element is None:
            return ""
        inner = [
            self.file.raw(one.start, one.end)
            for one in element.elements
            if one.name not in ("lang", "noProof", "rFonts")
            or (one.name == "rFonts" and "hint" not in str(one.attributes))
        ]
        return self.file.first_tag(element) + "".join(inner) + "".join(self._closing(element)) if inner else ""

    def _closing(self, element: Element) -> str:
        return self.file.raw(element.close, element.end)

    def next_number(self) -> int:
        self.number += 1
        while self.number in self.taken:
            self.number += 1
        return self.number

    def single(self, start: int, end: int) -> None:
        tag = f"<x{self.next_number()}/>"
        self.raw[tag] = self.file.raw(start, end)
        self.parts.append(tag)

    def read(self, parent: Element) -> None:
        """Reads the runs of a paragraph, or of what encloses some, one after the other."""
        field, depth = 0, 0  # where a field, such as a page's number, has begun, and how many have not ended
        children = [one for one in parent.elements if one.name not in ("pPr", "proofErr")]
        for child in children:
            marks = [_attribute(one, "fldCharType") for one in child.named("fldChar")]
            if depth or "begin" in marks:
                field = field if depth else child.start
                depth += marks.count("begin") - marks.count("end")
                if depth <= 0 or child is children[-1]:
                    self.close()
                    self.single(field, child.end)
            elif child.name == "r":
                self.run(child)
            elif child.name in _ENCLOSING and child.content < child.close and any(_all_runs(child)):
                self.close()
                number = self.next_number()
                self.raw[f"<g{number}>"] = self.file.raw(child.start, child.content)
                self.raw[f"</g{number}>"] = self.file.raw(child.close, child.end)
                self.parts.append(f"<g{number}>")
                self.read(child)
                self.parts.append(f"</g{number}>")
            else:
                self.close()
                self.single(child.start, child.end)
        self.close()

    def run(self, run: Element) -> None:
        """Reads a run: its texts, and what else is in it as tags."""
        properties = self.properties(run)
        content = [one for one in run.elements if one.name not in ("rPr", "lastRenderedPageBreak")]
        for one in content:
            if one.name == "t":
                self.text(one.text(), properties)
                continue
            self.close()
            if len(content) == 1:
                self.single(run.start, run.end)
                continue
            element = run.first("rPr")
            formatting = self.file.raw(element.start, element.end) if element else ""
            inside = formatting + self.file.raw(one.start, one.end)
            tag = f"<x{self.next_number()}/>"
            self.raw[tag] = f"{self.file.first_tag(run)}{inside}{self.file.raw(run.close, run.end)}"
            self.parts.append(tag)

    def text(self, text: str, properties: str) -> None:
        """Adds text with a formatting."""
        if self.formatted and properties != self.formatted[0]:
            self.close()
        if text and properties != self.base and not self.formatted:
            self.formatted = (properties, self.next_number())
            self.formats[self.formatted[1]] = properties
            self.parts.append(f"<g{self.formatted[1]}>")
        self.parts.append(text)

    def close(self) -> None:
        """Ends a formatting."""
        if self.formatted:
            self.parts.append(f"</g{self.formatted[1]}>")
            self.formatted = None

    def written(self, text: str, prefix: str) -> str:
        """Writes a translation as runs."""
        opened = [self.base]
        written = []
        tags = [*self.raw, *(tag for number in self.formats for tag in (f"<g{number}>", f"</g{number}>"))]
        for part in re.split("(" + "|".join(map(re.escape, tags)) + ")", text) if tags else [text]:
            number = re.fullmatch(r"</?g(\d+)>", part)
            if part in self.raw:
                written.append(self.raw[part])
            elif number and int(number[1]) in self.formats:
                opened = opened[:-1] if part[1] == "/" else [*opened, self.formats[int(number[1])]]
            elif part:
                inside = f'<{prefix}t xml:space="preserve">{xml_text(part)}</{prefix}t>'
                written.append(f"<{prefix}r>{opened[-1]}{inside}</{prefix}r>")
        return "".join(written)


def _paragraph(file: XmlFile, paragraph: Element) -> Iterator[Unit]:
    runs = _Runs(file, paragraph)
    runs.read(paragraph)
    text = "".join(runs.parts)
    tags = tuple(re.findall(r"</?g\d+>|<x\d+/>", text))
    if re.sub("|".join(map(re.escape, tags)) or "$^", "", text).strip():
        properties = paragraph.first("pPr")
        start = properties.end if properties else paragraph.content
        prefix = re.match(r"<((?:[\w.-]+:)?)p\b", file.first_tag(paragraph))
        before = prefix[1] if prefix else ""

        def edits(value: str | None) -> Sequence[Edit]:
            return [file.edit(start, paragraph.close, runs.written(value, before))] if value else []

        yield Unit(f"{file.member}:{paragraph.line}", paragraph.line, text, tags=tags, edits=edits)
    else:
        yield from (unit for inner in _paragraphs_inside(paragraph) for unit in _paragraph(file, inner))


def _all_runs(parent: Element) -> Iterator[Element]:
    for child in parent.elements:
        if child.name == "r":
            yield child
        elif child.name in _ENCLOSING:
            yield from _all_runs(child)


def _attribute(element: Element, name: str) -> str:
    return next((value for key, value in element.attributes.items() if key.rpartition(":")[2] == name), "")


def _run_text(run: Element) -> str:
    return "".join(one.text() for one in run.named("t"))
