"""XLIFF 1.2 and 2.0 to 2.2, unit by unit in constant memory."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nmt.data.formats.inline import Tags
from nmt.data.formats.units import Edit, Languages, State, Unit
from nmt.data.formats.xml_elements import Element, read_elements, with_attributes
from nmt.data.formats.xml_file import XmlFile
from nmt.text.languages import serves
from nmt.utils.errors import UserError

_UNFINISHED = re.compile(r"new|needs-.*|initial")
_MACHINE = re.compile(r"(?i)(?:^|[:-])(?:mt|machine)")


def read_xliff(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads an XLIFF file.

    Args:
        path: the file.
        languages: the languages that are wanted; a file that says that it has others is refused.

    Yields:
        A unit for each `trans-unit` of version 1, and for each `segment` of version 2; and the edits that add a target
        language where none is named.

    Raises:
        UserError: if the file cannot be read or has other languages.
    """
    file = XmlFile(path)
    depth: list[tuple[int, bool]] = []  # of the containers that the next unit may stand in, and whether each is locked
    for element in read_elements(path, {"trans-unit", "unit", "bin-unit", "header", "originalData"}):
        if element.children is None:
            level = len(element.path)
            depth = [one for one in depth if one[0] < level]
            depth.append((level, element.attributes.get("translate") == "no"))
            if element.name == "file" and "source-language" in element.attributes:
                yield from _checked(file, element, "source-language", "target-language", languages)
            elif element.name == "xliff" and "srcLang" in element.attributes:
                yield from _checked(file, element, "srcLang", "trgLang", languages)
            continue
        depth = [one for one in depth if one[0] < len(element.path)]
        locked = any(one for _, one in depth)
        if element.attributes.get("translate"):
            locked = element.attributes["translate"] == "no"
        if element.name == "trans-unit":
            yield _unit_1(file, element, locked)
        elif element.name == "unit":
            yield from _segments(file, element, locked)


def _checked(file: XmlFile, element: Element, source: str, target: str, languages: Languages) -> Iterator[Edit]:
    for name, wanted in ((source, languages.source), (target, languages.target)):
        code = element.attributes.get(name, "")
        if code and not serves(code, wanted):
            raise UserError(f"{file.path}:{element.line}: {name} is {code!r}, expected {wanted!r}")
    if not element.attributes.get(target):
        yield from file.with_attributes(element, {target: languages.target.replace("_", "-")})


def _unit_1(file: XmlFile, unit: Element, locked: bool) -> Unit:
    name = unit.attributes.get("id") or unit.attributes.get("resname") or f"line {unit.line}"
    source, target = unit.first("seg-source") or unit.first("source"), unit.first("target")
    tags = Tags()
    text = tags.source(source) if source else ""
    translation = tags.target(target) if target else ""
    attributes = target.attributes if target else {}
    state: State = "translated" if translation.strip() else "untranslated"
    if translation and _UNFINISHED.match(attributes.get("state", "")) and unit.attributes.get("approved") != "yes":
        # Tools that make such files copy the source into targets that are new.
        state = "untranslated" if translation == text and attributes["state"] != "needs-review-translation" else "fuzzy"
    if state != "untranslated" and _MACHINE.search(attributes.get("state-qualifier", "")):
        state = "machine"
    state = "locked" if locked else state
    marks = {"state": "needs-review-translation", "state-qualifier": "mt-suggestion"}

    def edits(value: str | None) -> Sequence[Edit]:
        return [] if not value or source is None else _put(file, unit, source, target, file.tagged(value, tags), marks)

    targets = (translation,) if translation.strip() and state != "untranslated" else ()
    return Unit(name, unit.line, text, targets, state, tuple(tags.ranges), edits=edits, code=file.code_of(tags))


def _segments(file: XmlFile, unit: Element, locked: bool) -> Iterator[Unit]:
    for number, segment in enumerate(unit.named("segment"), 1):
        name = "/".join(filter(None, (unit.attributes.get("id"), segment.attributes.get("id") or str(number))))
        source, target = segment.first("source"), segment.first("target")
        tags = Tags()
        text = tags.source(source) if source else ""
        translation = tags.target(target) if target else ""
        state: State = "translated" if translation.strip() else "untranslated"
        if translation and segment.attributes.get("state") == "initial":
            state = "untranslated" if translation == text else "fuzzy"
        if state != "untranslated" and _MACHINE.search(segment.attributes.get("subState", "")):
            state = "machine"
        state = "locked" if locked else state
        yield Unit(
            name,
            segment.line,
            text,
            (translation,) if translation.strip() and state != "untranslated" else (),
            state,
            tuple(tags.ranges),
            edits=_segment_edits(file, segment, source, target, tags),
            code=file.code_of(tags),
        )


def _segment_edits(
    file: XmlFile, segment: Element, source: Element | None, target: Element | None, tags: Tags
) -> Callable[[str | None], Sequence[Edit]]:
    def edits(value: str | None) -> Sequence[Edit]:
        if not value or source is None:
            return []
        marked = {"state": "translated", "subState": "nmt:machine"}
        return [
            *file.with_attributes(segment, marked),
            *_put(file, segment, source, target, file.tagged(value, tags), {}),
        ]

    return edits


def _put(
    file: XmlFile, unit: Element, source: Element, target: Element | None, content: str, attributes: dict[str, str]
) -> list[Edit]:
    if target is not None:
        return [file.filled(target, content, attributes)]
    # The name as it is written, with the prefix of a namespace if there is one.
    prefix = file.first_tag(source)[1:].split(source.name)[0]
    tag = with_attributes(f"<{prefix}target>", attributes)
    indent = file.indent(source, unit.children or ())
    return [file.edit(source.end, source.end, f"{indent}{tag}{content}</{prefix}target>")]
