"""Sentence pairs from the files that translators have, such as .tmx and .po: see `nmt.data.formats`."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.config import MemoryCorpus
from nmt.data.formats.plurals import category_numbers, count_place
from nmt.data.formats.registry import Format, check_format
from nmt.data.formats.units import Languages, Unit
from nmt.data.raw_pair import RawPair
from nmt.text.accelerators import find_accelerator
from nmt.text.icu import branches, has_choice
from nmt.text.layout import lay_out
from nmt.utils.errors import UserError

# Why a unit is left out, and the names of the reasons in reports.
UNIT_REASONS = {
    "without_source": "no text in the source language",
    "untranslated": "not translated",
    "fuzzy": "fuzzy or unfinished",
    "machine": "translated by a machine",
    "locked": "locked",
    "obsolete": "obsolete",
    "plural": "a plural whose number is not in its text",
}


def read_memories(paths: Sequence[str | Path], languages: Languages, corpus: MemoryCorpus) -> Iterator[RawPair]:
    """Reads the pairs of files that translators have, unit by unit.

    Args:
        paths: the files. Those of one language, such as .json, come in twos: the source's, then the target's.
        languages: the languages.
        corpus: its `include` says which units are read that are left out otherwise.

    Yields:
        A pair for each translation of each unit: for each of its paragraphs, if both sides have as many; for each
        option of an ICU message. A form of a plural whose source does not say which form is meant, as "%d files" in
        Polish, gets a number that takes that form on both sides. A unit that is left out is a pair with a reason.

    Raises:
        UserError: if a file cannot be read, is of no known format, or lacks its other half; with the line.
    """
    remaining = [Path(path) for path in paths]
    while remaining:
        path = remaining.pop(0)
        form = check_format(path)
        if form.bilingual:
            units: Iterator[Unit] = (one for one in form.read(path, languages) if isinstance(one, Unit))
        else:
            if not remaining or check_format(remaining[0]) != form:
                raise UserError(
                    f"{path}: is of one language; expected the same file in {languages.target!r} after it, got "
                    f"{remaining[0] if remaining else 'nothing'}"
                )
            units = _joined(form, path, remaining.pop(0), languages)
        for unit in units:
            yield from _pairs(unit, path, languages, corpus.include)


def is_memory(name: str | Path) -> bool:
    """Returns whether a file is one of those that `read_memories` reads, by its name.

    Example:

    >>> is_memory("memory.tmx"), is_memory("my.en.txt")
    (True, False)
    """
    try:
        check_format(name)
    except UserError:
        return False
    return True


def _joined(form: Format, source: Path, target: Path, languages: Languages) -> Iterator[Unit]:
    """The units of two files of one language each, which their ids join."""
    found = form.read(target, Languages(languages.target, languages.target))
    texts: dict[str, list[str]] = {}
    for unit in found:
        if isinstance(unit, Unit) and unit.source.strip():
            texts.setdefault(unit.id, []).append(unit.source)
    for unit in form.read(source, languages):
        if isinstance(unit, Unit):
            # A key may stand several times, in the same order in both files.
            own = texts.get(unit.id, [])
            translation = own.pop(0) if own else ""
            state = unit.state if unit.state == "locked" else "translated" if translation else "untranslated"
            yield Unit(
                unit.id, unit.line, unit.source, (translation,) if translation else (), state, unit.tags, unit.plural,
                accelerators=unit.accelerators,
            )  # fmt: skip


def _pairs(unit: Unit, path: Path, languages: Languages, include: Sequence[str]) -> Iterator[RawPair]:
    origin = f"{path}:{unit.line} ({' '.join(unit.id.split())[:60]})"
    if unit.state not in ("translated", "untranslated", *include):
        yield RawPair(b"", b"", origin, unit.state)
    elif not unit.source.strip() or not unit.targets:
        yield RawPair(b"", b"", origin, "untranslated" if unit.source.strip() else "without_source")
    else:
        for target in unit.targets:
            texts = _counted(unit, target) if unit.plural and unit.plural.ambiguous else _texts(unit, target, languages)
            for source, translation in texts:
                yield RawPair(_encoded(source), _encoded(translation), origin)
            if not texts:
                yield RawPair(b"", b"", origin, "plural")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _counted(unit: Unit, target: str) -> list[tuple[str, str]]:
    """A form of a plural with one of the numbers that take it, always the same one, on both sides."""
    places = count_place(unit.source), count_place(target)
    if unit.plural is None or not unit.plural.numbers or None in places:
        return []
    number = unit.plural.numbers[zlib.crc32(unit.source.encode("utf-8", "replace")) % len(unit.plural.numbers)]
    source, translation = (
        text[: place.start()] + str(number) + text[place.end() :]
        for text, place in zip((unit.source, target), places, strict=True)
        if place is not None
    )
    return [(source, translation)]


def _texts(unit: Unit, target: str, languages: Languages) -> list[tuple[str, str]]:
    if has_choice(unit.source) and (options := _options(unit.source, target, languages)):
        return options
    sides = [unit.source, target]
    if unit.accelerators and find_accelerator(unit.source).mark:
        sides = [find_accelerator(side).text for side in sides]
    source, translation = (lay_out(side).texts for side in sides)
    if len(source) == len(translation):
        return list(zip(source, translation, strict=True))
    return [(sides[0], sides[1])]


def _options(source: str, target: str, languages: Languages) -> list[tuple[str, str]]:
    """The options of two ICU messages that belong together; none if one of the two has no choice."""
    of_source, of_target = branches(source), branches(target)
    if not of_source or not of_target:
        return []
    pairs = []
    numbers = category_numbers(languages.target) if any(key not in of_source for key in of_target) else {}
    for key, text in of_target.items():
        if key in of_source:
            pairs.append((of_source[key], text))
        elif "#" in text and "#" in of_source["other"] and numbers.get(key):
            number = str(numbers[key][0])
            pairs.append((of_source["other"].replace("#", number), text.replace("#", number)))
    return pairs
