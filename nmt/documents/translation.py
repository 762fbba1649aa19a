"""Translates a file in place: what has no translation yet gets one, all else stays byte for byte."""

import hashlib
import itertools
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from nmt.data.formats.archives import apply_to_archive
from nmt.data.formats.key_values import read_properties_file
from nmt.data.formats.po import PO_CHARSET
from nmt.data.formats.registry import Format
from nmt.data.formats.text_file import TextFile, open_binary, read_text_file
from nmt.data.formats.units import Edit, Languages, Unit
from nmt.data.formats.xml_elements import xml_encoding
from nmt.data.formats.xml_file import apply_to_xml
from nmt.documents.html import HTML_CHARSET
from nmt.documents.journal import open_journal
from nmt.documents.memory import write_memory
from nmt.documents.placement import translate_with_tags
from nmt.documents.plan import HASH, Plan, is_text, plan_unit
from nmt.documents.protection import protect, restored, split_at_kept
from nmt.documents.registry import document_format, known_ends
from nmt.utils.errors import UserError
from nmt.utils.files import check_outputs, written_whole
from nmt.utils.progress import tracked

_LOG = logging.getLogger(__name__)

_BATCH = 256  # strings between two lines of the journal
_EXAMPLES = 3  # units of each kind that the log names
_MASKED = ("tags", "braces", "printf")

# Strings to their translations, in the same order.
TranslateTexts = Callable[[list[str]], Sequence[str]]


@dataclass
class FileReport:
    """What became of the units of a file.

    Attributes:
        counts: how many units there are of each kind: `filled`, `kept` because they have a translation, and so on.
        examples: for each kind, the first few units by line and id.
        pieces: how many strings were translated in pieces, because the translation of the whole lost something.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    pieces: int = 0

    def count(self, kind: str, unit: Unit) -> None:
        """Counts a unit."""
        self.counts[kind] += 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(f"{unit.line} ({' '.join(unit.id.split())[:60]})")

    def summary(self) -> str:
        """Returns the counts in one line, with the first units of those that were neither filled nor kept.

        Example:

        >>> report = FileReport()
        >>> report.count("filled", Unit("a", 1, "A"))
        >>> report.count("locked", Unit("b", 2, "B"))
        >>> report.summary()
        '1 filled; 1 locked: line 2 (b)'
        """
        shown = []
        for kind, number in self.counts.items():
            where = "" if kind in ("filled", "translated") else f": line {', '.join(self.examples[kind])}"
            shown.append(f"{number:,} {kind}{where}")
        return "; ".join(shown) or "no text"


def translate_file(
    translator: Any,
    path: str | Path,
    output: str | Path,
    *,
    source: str,
    target: str,
    all_units: bool = False,
    as_tmx: bool = False,
    masked: Sequence[str] | None = None,
    tags_learnt: bool = False,
    identity: str = "",
) -> FileReport:
    """Translates a file that people translate, such as a .po, .xliff, .tmx, .json, .html or .docx.

    What has no translation yet gets one, which is marked as a machine's where the format has a mark for it. All else of
    the file stays byte for byte. A file of one language, such as .json, is translated wholly; where `output` is there
    already, it keeps the translations that it has. Tags and placeholders of a source come back in its translation,
    nested as legally: where a translation of the whole lacks one, what is between them is translated by itself.

    A call that is killed leaves `output` as it was. The same call goes on where it was.

    Args:
        translator: an `nmt.Translator`, or a function from a list of strings to their translations.
        path: the file.
        output: the file to write, which appears once it is complete.
        source: code of the language of the texts.
        target: code of the language to translate into.
        all_units: whether what has a translation is translated too.
        as_tmx: whether to write a translation memory of the file's texts, instead of the file.
        masked: the kinds of placeholders, of `nmt.text.placeholders.KINDS`, that the translator is sure to keep; None
            for those of an `nmt.Translator`, and for tags, braces and printf's of a function.
        tags_learnt: whether an `nmt.Translator` that masks tags has learnt from its corpus where they go, so that its
            search puts them; attention puts them otherwise.
        identity: what tells the translator from others, so that a killed call goes on with the same one.

    Returns:
        What became of the units.

    Raises:
        UserError: if the file cannot be read or written, or its format is not known.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "en.json").write_text('{"open": "Open", "count": 3}')
    >>> report = translate_file(
    ...     lambda texts: [text.upper() for text in texts], folder / "en.json", folder / "de.json",
    ...     source="en", target="de",
    ... )
    >>> (folder / "de.json").read_text(), report.summary()
    ('{"open": "OPEN", "count": 3}', '1 filled')
    """
    form = check_document(path, output, as_tmx)
    translate, kinds, places_tags = _translator(translator, masked, tags_learnt)
    languages = Languages(source, target)
    begun = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    options = [str(identity), source, target, all_units, as_tmx, list(kinds), places_tags]
    with open_journal(output, _digest(path, options), begun) as journal:
        units, edits = _read(form, path, languages, journal.begun)
        existing = {} if all_units or form.bilingual or as_tmx else _existing(form, output, languages)
        report = FileReport()
        chosen = [_decide(unit, form, existing, all_units, as_tmx, report) for unit in units]
        plans = [
            plan_unit(unit, target, "numbers" in kinds) if wanted is True else None
            for unit, wanted in zip(units, chosen, strict=True)
        ]
        finished = _translate_strings(plans, translate, kinds, places_tags, journal, report)
        made = [
            _made(unit, wanted, plan, finished, report) for unit, wanted, plan in zip(units, chosen, plans, strict=True)
        ]
        with written_whole(output, "wb") as file:
            if as_tmx:
                write_memory(units, made, languages, file, journal.begun)
            else:
                _write(form, path, [*edits, *_edits(form, units, chosen, made)], file)
    _LOG.info("%s: %s", path, report.summary())
    if report.pieces:
        _LOG.info("%s: texts translated in pieces, between their tags and placeholders: %d", path, report.pieces)
    return report


def check_document(path: str | Path, output: str | Path, as_tmx: bool = False) -> Format:
    """Makes sure that a file can be translated in place, before any work starts.

    Args:
        path: the file.
        output: where its translation is to be written.
        as_tmx: whether that is a translation memory.

    Returns:
        The file's format.

    Raises:
        UserError: if the format is not known, the file is not there, or `output` is the same file.
    """
    form = document_format(path)
    if form is None or (form.kind == "read only" and not as_tmx):
        raise UserError(f"{path}: cannot be translated in place; expected a file that ends in one of {known_ends()}")
    if Path(path).suffix.lower() in (".gz", ".bz2", ".xz") and not as_tmx:
        raise UserError(f"{path}: is compressed; decompress it to translate it in place")
    with open_binary(path):
        pass
    check_outputs([output], [path])
    if Path(output).exists() and not Path(output).is_file():
        raise UserError(f"{output}: expected a file to write, which appears once it is complete")
    return form


def _translator(
    translator: Any, masked: Sequence[str] | None, tags_learnt: bool
) -> tuple[TranslateTexts, Sequence[str], bool]:
    """The function that translates, the placeholders that it keeps, and whether it puts tags where they belong."""
    graph = getattr(translator, "text_to_text", None)
    if masked is None:
        masked = _MASKED if graph is None else graph.source_tokenizer.placeholders
    if graph is None or (tags_learnt and "tags" in masked):
        return getattr(translator, "translate", translator), masked, False
    return partial(translate_with_tags, translator), [kind for kind in masked if kind != "tags"], True


def _digest(path: str | Path, options: Sequence[Any]) -> str:
    digest = hashlib.sha256(json.dumps(options).encode())
    with open_binary(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read(form: Format, path: str | Path, languages: Languages, date: str) -> tuple[list[Unit], list[Edit]]:
    further = (date,) if form.name == "TMX" else ()
    found = list(form.read(path, languages, *further))
    return [one for one in found if isinstance(one, Unit)], [one for one in found if isinstance(one, Edit)]


def _existing(form: Format, output: str | Path, languages: Languages) -> dict[str, Unit]:
    """The units of a file of one language that is there already, by their ids."""
    if form.kind == "archive" or not Path(output).is_file() or form.name in ("HTML", "Markdown", "subtitles"):
        return {}
    backwards = Languages(languages.target, languages.target)
    return {one.id: one for one in form.read(output, backwards) if isinstance(one, Unit) and one.source.strip()}


def _decide(
    unit: Unit, form: Format, existing: Mapping[str, Unit], all_units: bool, as_tmx: bool, report: FileReport
) -> bool | str:
    """Whether a unit is to be translated; or the translation that it keeps."""
    if not unit.source.strip():
        report.count("empty", unit)
        return False
    if unit.state in ("locked", "obsolete"):
        report.count(unit.state, unit)
        return False
    if unit.edits is None and not as_tmx:
        report.count("without a place for a translation", unit)
        return False
    if unit.targets and not all_units:
        report.count(unit.state, unit)
        return False
    known = existing.get(unit.id)
    if known is not None and known.source != unit.source and set(known.tags) == set(unit.tags):
        report.count("translated", unit)
        return known.source
    return True


def _made(
    unit: Unit, wanted: bool | str, plan: Plan | None, finished: Mapping[str, str], report: FileReport
) -> str | None:
    """The translation of a unit; None if it gets none."""
    if isinstance(wanted, str):
        return wanted
    if plan is None:
        return None
    text = plan.build([finished[string] for string in plan.strings])
    report.count("plural form left empty" if text is None and unit.plural else "filled" if text else "left empty", unit)
    return text or None


def _edits(
    form: Format, units: Sequence[Unit], chosen: Sequence[bool | str], made: Sequence[str | None]
) -> Iterator[Edit]:
    """The changes of the file that put the translations there."""
    for unit, wanted, text in zip(units, chosen, made, strict=True):
        # A text that is the same in both languages stays as it is written; a category may have to be added.
        same = text == unit.source and not form.bilingual and unit.plural is None
        if unit.edits is not None and wanted and not same:
            yield from unit.edits(text)


def _translate_strings(
    plans: Iterable[Plan | None],
    translate: TranslateTexts,
    kinds: Sequence[str],
    places_tags: bool,
    journal: Any,
    report: FileReport,
) -> dict[str, str]:
    """Translates the strings of all plans, each once; see `translate_file` on those that lose something."""
    wanted = dict.fromkeys(string for plan in plans if plan is not None for string in plan.strings)
    finished = {string: string for string in wanted if not is_text(string)}
    protected = {string: protect(string, kinds, HASH, not places_tags) for string in wanted if string not in finished}
    known = _ask(translate, (one.text for one in protected.values()), journal)
    broken = []
    for string, one in protected.items():
        whole = restored(known[one.text], one)
        if whole and whole.strip():
            finished[string] = whole
        else:
            broken.append(string)
    if broken:
        report.pieces = len(broken)
        pieces = {string: split_at_kept(string, HASH) for string in broken}
        texts = [piece.strip() for parts in pieces.values() for piece in parts[::2] if is_text(piece)]
        known = _ask(translate, texts, journal)
        for string, parts in pieces.items():
            finished[string] = "".join(
                part if place % 2 or not is_text(part) else _piece(part, known) for place, part in enumerate(parts)
            )
    return finished


def _piece(part: str, known: Mapping[str, str]) -> str:
    """The translation of what is between two tags, with the white space around it; the text itself if it adds tags."""
    core = part.strip()
    begin = part.index(core)
    translation = known[core].strip()
    if not translation or len(split_at_kept(translation, HASH)) > 1 or "<" in translation:
        translation = core
    return part[:begin] + translation + part[begin + len(core) :]


def _ask(translate: TranslateTexts, texts: Iterable[str], journal: Any) -> dict[str, str]:
    """Translates what the journal does not know yet, and keeps it there."""
    missing = [text for text in dict.fromkeys(texts) if text not in journal.known]
    for batch in tracked(_batches(missing), "translating"):
        translations = list(translate(batch))
        if len(translations) != len(batch):
            raise ValueError(f"`translator`: expected {len(batch)} translations, got {len(translations)}")
        journal.add(dict(zip(batch, translations, strict=True)))
    return dict(journal.known)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch


def _write(form: Format, path: str | Path, edits: Sequence[Edit], file: IO[bytes]) -> None:
    # Units may make the same edit, as two forms of a plural that mark their entry.
    ordered = sorted(dict.fromkeys(edits), key=lambda one: (one.member, one.start, one.end))
    if form.kind == "archive":
        apply_to_archive(path, ordered, file)
    elif form.kind == "xml":
        with open_binary(path) as original:
            encoding = xml_encoding(original.read(1000))
            original.seek(0)
            apply_to_xml(original, encoding, ordered, file)
    else:
        file.write(_text_of(form, path).edited(ordered))


def _text_of(form: Format, path: str | Path) -> TextFile:
    if form.name == "Java properties":
        return read_properties_file(path)
    return read_text_file(path, {"PO": PO_CHARSET, "HTML": HTML_CHARSET}.get(form.name))
