"""Writes a translation memory, TMX 1.4, which every tool for translators reads."""

import html
import re
from collections.abc import Sequence
from typing import IO

from nmt import __version__
from nmt.data.formats.tmx import TOOL
from nmt.data.formats.units import Languages, Unit
from nmt.data.formats.xml_elements import xml_text
from nmt.text.placeholders import KINDS
from nmt.text.sentences import split_sentences

_HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header creationtool="{tool}" creationtoolversion="{version}" segtype="sentence" o-tmf="{tool}" adminlang="en" \
srclang="{source}" datatype="plaintext" creationdate="{date}"/>
  <body>
"""
_TAG = re.compile(KINDS["tags"])
_END = "  </body>\n</tmx>\n"


def write_memory(
    units: Sequence[Unit], made: Sequence[str | None], languages: Languages, file: IO[bytes], date: str
) -> None:
    """Writes the units that have a translation, a person's or one that was made, as a translation memory.

    A text of several sentences is there as a whole, and sentence by sentence if both sides have as many with the same
    tags, because tools for translators look for either.

    Args:
        units: the units.
        made: for each, the translation that was made; None for those that have their own.
        languages: the languages.
        file: where to write.
        date: when the translations were made, as TMX writes it.

    Example:

    >>> import io
    >>> file = io.BytesIO()
    >>> write_memory([Unit("a", 1, "One")], ["Eins"], Languages("en", "de"), file, "20260101T000000Z")
    >>> b'<tuv xml:lang="de"' in file.getvalue()
    True
    """
    header = _HEADER.format(tool=TOOL, version=__version__, source=html.escape(languages.source), date=date)
    file.write(header.encode())
    seen: set[tuple[str, str]] = set()
    for unit, text in zip(units, made, strict=True):
        translations = [(text, True)] if text else [(one, unit.state == "machine") for one in unit.targets]
        if not unit.source.strip() or unit.state == "obsolete" or (unit.state == "fuzzy" and not text):
            continue
        for translation, machine in translations:
            for pair in [(unit.source, translation), *_sentences(unit.source, translation, languages)]:
                if translation and pair not in seen:
                    seen.add(pair)
                    file.write(_unit(unit, *pair, machine, languages, date).encode())
    file.write(_END.encode())


def _sentences(source: str, target: str, languages: Languages) -> list[tuple[str, str]]:
    """The sentences of a text and its translation; none if they may not belong together, or there is just one."""
    sides = [
        [sentence for _, sentence in split_sentences(text, language, ["tags"])[0]]
        for text, language in ((source, languages.source), (target, languages.target))
    ]
    if len(sides[0]) < 2 or len(sides[0]) != len(sides[1]):
        return []
    pairs = list(zip(sides[0], sides[1], strict=True))
    if any(sorted(_TAG.findall(one)) != sorted(_TAG.findall(other)) for one, other in pairs):
        return []
    return pairs


def _unit(unit: Unit, source: str, target: str, machine: bool, languages: Languages, date: str) -> str:
    made = f' creationtool="{TOOL}" creationtoolversion="{__version__}" creationdate="{date}"' if machine else ""
    name = re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", " ".join(unit.id.split()))
    codes = map(html.escape, languages)
    return (
        f'    <tu>\n      <prop type="x-id">{xml_text(name)}</prop>\n'
        f'      <tuv xml:lang="{next(codes)}"><seg>{_segment(source, unit)}</seg></tuv>\n'
        f'      <tuv xml:lang="{next(codes)}"{made}><seg>{_segment(target, unit)}</seg></tuv>\n    </tu>\n'
    )


def _segment(text: str, unit: Unit) -> str:
    """A text as TMX: the tags that stand for inline elements as such elements, with the code that they stand for."""
    if not unit.tags:
        return xml_text(text)
    written = []
    parts = re.split("(" + "|".join(map(re.escape, unit.tags)) + ")", text)
    tags = set(parts[1::2])
    for place, part in enumerate(parts):
        if place % 2 == 0:
            written.append(xml_text(part))
            continue
        number = re.sub(r"\D", "", part)
        code = xml_text(unit.code(part) if unit.code else part)
        if part.startswith("<x") or not {f"<g{number}>", f"</g{number}>"} <= tags:
            written.append(f'<ph x="{number}">{code}</ph>')
        elif part.startswith("</"):
            written.append(f'<ept i="{number}">{code}</ept>')
        else:
            written.append(f'<bpt i="{number}" x="{number}">{code}</bpt>')
    return "".join(written)
