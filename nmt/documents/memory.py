"""Writes a translation memory, TMX 1.4, which every tool for translators reads."""

import re
from collections.abc import Sequence
from typing import IO
from xml.sax.saxutils import quoteattr

from nmt import __version__
from nmt.data.formats.tmx import TOOL
from nmt.data.formats.units import Languages, Unit
from nmt.data.formats.xml_elements import xml_text

_HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
  <header creationtool="{tool}" creationtoolversion="{version}" segtype="paragraph" o-tmf="{tool}" adminlang="en" \
srclang={source} datatype="plaintext" creationdate="{date}"/>
  <body>
"""
_END = "  </body>\n</tmx>\n"


def write_memory(
    units: Sequence[Unit], made: Sequence[str | None], languages: Languages, file: IO[bytes], date: str
) -> None:
    """Writes the units that have a translation, a person's or one that was made, as a translation memory.

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
    header = _HEADER.format(tool=TOOL, version=__version__, source=quoteattr(languages.source), date=date)
    file.write(header.encode())
    seen: set[tuple[str, str]] = set()
    for unit, text in zip(units, made, strict=True):
        translations = [(text, True)] if text else [(one, unit.state == "machine") for one in unit.targets]
        if not unit.source.strip() or unit.state == "obsolete" or (unit.state == "fuzzy" and not text):
            continue
        for translation, machine in translations:
            if translation and (unit.source, translation) not in seen:
                seen.add((unit.source, translation))
                file.write(_unit(unit, translation, machine, languages, date).encode())
    file.write(_END.encode())


def _unit(unit: Unit, translation: str, machine: bool, languages: Languages, date: str) -> str:
    made = f' creationtool="{TOOL}" creationtoolversion="{__version__}" creationdate="{date}"' if machine else ""
    source, target = (_segment(text, unit.tags) for text in (unit.source, translation))
    name = re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", " ".join(unit.id.split()))
    return (
        f'    <tu>\n      <prop type="x-id">{xml_text(name)}</prop>\n'
        f"      <tuv xml:lang={quoteattr(languages.source)}><seg>{source}</seg></tuv>\n"
        f"      <tuv xml:lang={quoteattr(languages.target)}{made}><seg>{target}</seg></tuv>\n    </tu>\n"
    )


def _segment(text: str, tags: Sequence[str]) -> str:
    """A text as TMX: the tags that stand for inline elements as such elements."""
    if not tags:
        return xml_text(text)
    written = []
    for place, part in enumerate(re.split("(" + "|".join(map(re.escape, tags)) + ")", text)):
        if place % 2 == 0:
            written.append(xml_text(part))
            continue
        number = re.sub(r"\D", "", part)
        kind = "ept" if part.startswith("</") else "bpt" if part.startswith("<g") else "ph"
        paired = f' i="{number}"' if kind != "ph" else ""
        x = "" if kind == "ept" else f' x="{number}"'
        written.append(f"<{kind}{paired}{x}>{xml_text(part)}</{kind}>")
    return "".join(written)
