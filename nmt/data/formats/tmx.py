"""Translation memories: TMX 1.1 to 1.4, and term bases in TBX, unit by unit in constant memory."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.data.formats.inline import Tags
from nmt.data.formats.units import Edit, Languages, State, Unit
from nmt.data.formats.xml_elements import Element, read_elements
from nmt.data.formats.xml_file import XmlFile
from nmt.text.languages import serves

TOOL = "gru-nmt"
# How tools mark what a machine has translated, in the fields for who or what has made a translation.
_MACHINE = re.compile(rf"(?i)^(?:mt!?|.*\bmt\b.*|.*machine.?translat.*|{TOOL})$")
_MADE_BY = ("creationtool", "creationid", "changeid")
_MARKED = re.compile(r"(?i)^(?:x-)?(?:mt|machine|origin|origintype|createdby|match-?origin)")


def read_tmx(path: str | Path, languages: Languages, date: str = "") -> Iterator[Unit | Edit]:
    """Reads a translation memory.

    Args:
        path: the file.
        languages: the languages that are wanted; see `nmt.text.languages.serves`.
        date: when translations are made, as TMX writes it.

    Yields:
        A unit for each `tu`. One without text in the source language has an empty source.

    Raises:
        UserError: as for `read_elements`.
    """
    file = XmlFile(path)
    for element in read_elements(path, {"tu", "header"}):
        if element.name == "tu":
            yield _unit(file, element, languages, date)


def read_tbx(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the terms of a term base; nothing can be put into it.

    Args:
        path: the file.
        languages: the languages that are wanted.

    Yields:
        A unit for each concept and each of its terms in the source language, with all terms of the target language.

    Raises:
        UserError: as for `read_elements`.
    """
    for element in read_elements(path, {"termEntry", "conceptEntry"}):
        if element.children is None:
            continue
        sections = element.named("langSet", "langSec")
        sources, targets = (_terms(_best(sections, language)) for language in languages)
        name = element.attributes.get("id") or f"line {element.line}"
        for source in sources or [""]:
            yield Unit(name, element.line, source, tuple(targets), "translated" if targets else "untranslated")


def _terms(sections: Sequence[Element]) -> list[str]:
    found: list[str] = []

    def inside(element: Element) -> None:
        for child in element.elements:
            if child.name == "term":
                found.append(child.text().strip())
            else:
                inside(child)

    for section in sections:
        inside(section)
    return [term for term in dict.fromkeys(found) if term]


def _best(elements: Sequence[Element], wanted: str) -> list[Element]:
    """The elements in the language that serves best."""
    ranks = [serves(element.language(), wanted) for element in elements]
    best = max(ranks, default=0)
    return [element for element, rank in zip(elements, ranks, strict=True) if best and rank == best]


def _unit(file: XmlFile, unit: Element, languages: Languages, date: str) -> Unit:
    variants = unit.named("tuv")
    sources, targets = (_best(variants, language) for language in languages)
    name = unit.attributes.get("tuid") or f"line {unit.line}"
    tags = Tags()
    segment = sources[0].first("seg") if sources else None
    source = tags.source(segment) if segment else ""
    texts = [tags.target(seg) for target in targets if (seg := target.first("seg"))]
    texts = [text for text in dict.fromkeys(texts) if text.strip()]
    state: State = "untranslated"
    if texts:
        state = "machine" if any(_is_machine(one) for one in (unit, *targets)) else "translated"

    def edits(text: str | None) -> Sequence[Edit]:
        if not text:
            return []
        content = file.tagged(text, tags)
        made = {"creationtool": TOOL, "creationtoolversion": _version()} | ({"creationdate": date} if date else {})
        if targets:
            place = targets[0].first("seg")
            if place is None:
                return []
            return [*file.with_attributes(targets[0], made), file.filled(place, content)]
        attributes = "".join(f' {key}="{value}"' for key, value in made.items())
        code = _target_code(languages.target)
        named = "xml:lang" if "xml:lang" in sources[0].attributes else "lang"  # up to version 1.2
        inserted = f'<tuv {named}="{code}"{attributes}><seg>{content}</seg></tuv>'
        indent = file.indent(sources[0], unit.children or ())
        return [file.edit(variants[-1].end, variants[-1].end, indent + inserted)]

    return Unit(name, unit.line, source, tuple(texts), state, tuple(tags.ranges), edits=edits if source else None)


def _target_code(code: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", code)


def _is_machine(element: Element) -> bool:
    """Whether a unit or a variant says that a machine has translated it."""
    made_by = [element.attributes[name].strip() for name in _MADE_BY if name in element.attributes]
    if any(map(_MACHINE.match, made_by)):
        return True
    properties = element.named("prop")
    return any(
        _MARKED.match(one.attributes.get("type", "")) and _MACHINE.match(one.text().strip()) for one in properties
    )


def _version() -> str:
    from nmt import __version__

    return __version__
