"""Gettext catalogues: PO and POT, read line by line with the place of each string, and compiled MO."""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmt.data.formats.plurals import PluralRule, form_source, gettext_header, gettext_rule, plural_forms, sample
from nmt.data.formats.text_file import TextFile, open_binary, read_text_file
from nmt.data.formats.units import Edit, Languages, Plural, State, Unit
from nmt.text.languages import serves
from nmt.utils.errors import UserError

PO_CHARSET = r"Content-Type:[^\"]*?charset=([A-Za-z0-9_.:-]+)"
_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d+)\])?\s*(?=\")")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPED = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{2}|.)")
_WIDTH = 79  # where gettext's own programs wrap
_LONGEST_ID = 60  # characters


@dataclass
class _String:
    """A keyword's string: its text, and where its quotes begin and end."""

    text: str
    start: int
    end: int


@dataclass
class _Entry:
    line: int = 0
    place: int = 0  # where its first keyword, or the old text before it, begins
    flags: set[str] = field(default_factory=set)
    flags_end: int = -1  # the end of the line of its flags
    strings: dict[str, _String] = field(default_factory=dict)
    translations: dict[int, _String] = field(default_factory=dict)
    obsolete: bool = False


def read_po(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads a PO or POT file.

    Args:
        path: the file.
        languages: the languages that are wanted. A catalogue of the opposite direction is read backwards, unless
            nothing is translated in it: it is then a template, as that of a program's own language.

    Yields:
        A unit for each entry and for each form of a plural; and the edits that a header which is not filled in needs.

    Raises:
        UserError: if the file cannot be read, or translates into another language.
    """
    file = read_text_file(path, PO_CHARSET)
    entries = _entries(file)
    first = next(entries, None)
    header: dict[str, str] = {}
    has_header = first is not None and not first.obsolete and first.strings["msgid"].text == ""
    if first is not None and has_header and first.translations:
        header = dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", first.translations[0].text, re.MULTILINE))
    backwards = _is_backwards(file, header.get("Language", ""), languages)
    if backwards and _is_template(file):
        backwards = False
        header |= {name: "" for name in ("Language", "Plural-Forms") if name in header}
    rule = gettext_rule(header.get("Plural-Forms", ""))
    width = _wrapping(file)
    if has_header and first is not None:
        given = header.get("Plural-Forms")
        plurals = "msgid_plural" in file.text or given == "" or "EXPRESSION" in (given or "")  # as templates have it
        yield from _header_edits(file, first, header, languages, needs_plurals=plurals and not rule)
    for entry in [] if first is None or has_header else [first]:
        yield from _units(file, entry, rule, languages, width, backwards)
    for entry in entries:
        if entry.strings["msgid"].text:
            rule = rule or _own_rule(entry, languages)
            yield from _units(file, entry, rule, languages, width, backwards)


def read_mo(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads a compiled catalogue; nothing can be put into it.

    Args:
        path: the file.
        languages: as for `read_po`.

    Raises:
        UserError: if the file is no catalogue or is damaged.
    """
    with open_binary(path) as opened:
        data: bytes = opened.read()
    order = {0x950412DE: "<", 0xDE120495: ">"}.get(int.from_bytes(data[:4], "little"))
    if order is None:
        raise UserError(f"{path}: is no compiled catalogue of gettext")
    try:
        count, originals, translations = struct.unpack_from(f"{order}III", data, 8)
        pairs = []
        for number in range(count):
            texts = []
            for table in (originals, translations):
                length, place = struct.unpack_from(f"{order}II", data, table + 8 * number)
                if place + length > len(data):
                    raise struct.error
                texts.append(data[place : place + length])
            pairs.append((texts[0], texts[1]))
    except struct.error:
        raise UserError(f"{path}: the catalogue is damaged or cut off") from None
    header = next((text.decode("utf-8", "replace") for key, text in pairs if not key), "")
    fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", header, re.MULTILINE))
    charset = re.search(r"charset=([\w.:-]+)", header)
    rule = gettext_rule(fields.get("Plural-Forms", ""))
    file = TextFile(Path(path), "", "utf-8", b"")
    backwards = _is_backwards(file, fields.get("Language", ""), languages)
    for number, (key, value) in enumerate(pairs, 1):
        if not key:
            continue
        try:
            source, target = (text.decode(charset[1] if charset else "utf-8") for text in (key, value))
        except (UnicodeDecodeError, LookupError):
            source, target = (text.decode("utf-8", "replace") for text in (key, value))
        singular, *plural = source.rpartition("\x04")[2].split("\0")
        strings = {"msgid": _String(singular, 0, 0)}
        if plural:
            strings["msgid_plural"] = _String(plural[0], 0, 0)
        forms = {place: _String(text, 0, 0) for place, text in enumerate(target.split("\0"))}
        entry = _Entry(number, strings=strings, translations=forms)
        for unit in _units(file, entry, rule or _own_rule(entry, languages), languages, 0, backwards):
            yield Unit(unit.id, number, unit.source, unit.targets, unit.state, plural=unit.plural)


def _entries(file: TextFile) -> Iterator[_Entry]:
    """The entries of a catalogue, in their order; each has a `msgid`."""
    parser = _Parser(file)
    place = 0
    for number, line in enumerate(re.findall("[^\n]*\n|[^\n]+", file.text), 1):
        begin = place + len(line) - len(line.lstrip())
        bare, obsolete = line.strip(), line.lstrip().startswith("#~")
        if obsolete:
            inside = bare[2:].lstrip()
            begin += len(bare) - len(inside)
            bare = "" if inside.startswith(("|", "#")) else inside
        if bare.startswith("#") and not obsolete:
            yield from parser.comment(line, place, bare)
        elif keyword := _KEYWORD.match(bare):
            yield from parser.keyword(keyword, bare, begin, number, obsolete)
        elif bare:
            parser.continuation(bare, begin)
        else:
            parser.last = None
        place += len(line)
    yield from parser.end()


class _Parser:
    """Puts the lines of a catalogue together to entries."""

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.entry = _Entry()
        self.last: _String | None = None  # which further lines go on with

    def finished(self) -> Iterator[_Entry]:
        if self.entry.translations:
            yield self.entry
            self.entry = _Entry()

    def comment(self, line: str, place: int, bare: str) -> Iterator[_Entry]:
        yield from self.finished()
        self.last = None
        if bare.startswith(("#,", "#=")):
            self.entry.flags |= {flag.strip() for flag in bare[2:].split(",")}
            self.entry.flags_end = place + len(line.rstrip("\r\n"))
        elif bare.startswith("#|") and not self.entry.place:
            self.entry.place = place

    def keyword(self, found: re.Match[str], bare: str, begin: int, number: int, obsolete: bool) -> Iterator[_Entry]:
        name = found[1]
        if name in ("msgctxt", "msgid"):
            yield from self.finished()
            if name in self.entry.strings:
                raise self.file.error(begin, f"expected msgstr before the next {name}")
        entry = self.entry
        if not entry.strings:
            entry.line, entry.obsolete = number, obsolete
            entry.place = entry.place or begin
        self.last = _string(self.file, bare, begin, found.end())
        if name != "msgstr":
            entry.strings[name] = self.last
        elif "msgid" in entry.strings:
            entry.translations[int(found[2] or 0)] = self.last
        else:
            raise self.file.error(begin, "expected msgid before msgstr")

    def continuation(self, bare: str, begin: int) -> None:
        if self.last is None or not bare.startswith('"'):
            raise self.file.error(begin, f"expected a keyword of PO and its string, got {bare[:40]!r}")
        more = _string(self.file, bare, begin, 0)
        self.last.text += more.text
        self.last.end = more.end

    def end(self) -> Iterator[_Entry]:
        yield from self.finished()
        if self.entry.strings:
            raise self.file.error(len(self.file.text), "the last entry has no msgstr: the file is cut off")


def _string(file: TextFile, bare: str, begin: int, after: int) -> _String:
    found = _STRING.fullmatch(bare, after)
    if found is None:
        raise file.error(begin, "expected a string in quotes, closed in its line")
    return _String(_unescaped(found[1]), begin + found.start(), begin + found.end())


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def character(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "01234567":
            return chr(int(code, 8))
        return chr(int(code[1:], 16)) if code[0] == "x" and len(code) == 3 else _ESCAPES.get(code, code)

    return _ESCAPED.sub(character, text)


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    for letter, character in _ESCAPES.items():
        text = text.replace(character, f"\\{letter}")
    return text


def _is_backwards(file: TextFile, language: str, languages: Languages) -> bool:
    if not language or serves(language, languages.target):
        return False
    if serves(language, languages.source):
        return True
    raise UserError(f"{file.path}: translates into {language!r}, expected {languages.target!r}")


def _is_template(file: TextFile) -> bool:
    """Whether no text has a translation."""
    entries = (entry for entry in _entries(file) if entry.strings["msgid"].text and not entry.obsolete)
    return not any(string.text for entry in entries for string in entry.translations.values())


def _own_rule(entry: _Entry, languages: Languages) -> tuple[int, PluralRule] | None:
    """The rule of the target language, for a plural in a catalogue whose header has none."""
    return gettext_rule(gettext_header(languages.target)) if "msgid_plural" in entry.strings else None


def _units(
    file: TextFile,
    entry: _Entry,
    rule: tuple[int, PluralRule] | None,
    languages: Languages,
    width: int,
    backwards: bool,
) -> Iterator[Unit]:
    singular = entry.strings["msgid"].text
    shown = singular if len(singular) <= _LONGEST_ID else f"{singular[:_LONGEST_ID]}..."
    if "msgid_plural" not in entry.strings:
        translation = entry.translations[min(entry.translations)]
        yield _unit(file, entry, shown, singular, translation, None, width, backwards)
        return
    assert rule is not None
    count, form_of = rule
    numbers = [sample(form_of, form) for form in range(count)]
    other = entry.strings["msgid_plural"].text
    for form, described in enumerate(plural_forms([str(form) for form in range(count)], numbers)):
        text, plural = form_source(described, singular, other) if count > 1 else (other, described)
        if form in entry.translations:
            yield _unit(file, entry, shown, text, entry.translations[form], plural, width, backwards)
        else:
            yield _missing_form(file, entry, shown, text, plural, width)


def _unit(
    file: TextFile,
    entry: _Entry,
    shown: str,
    source: str,
    translation: _String,
    plural: Plural | None,
    width: int,
    backwards: bool,
) -> Unit:
    texts = (source, translation.text)
    source, target = texts[::-1] if backwards else texts
    edits: Callable[[str | None], Sequence[Edit]] | None = None
    if not backwards and not entry.obsolete:

        def edits(text: str | None) -> Sequence[Edit]:
            if not text:
                return []
            indent = 6 + 1 + (3 if plural else 0)  # of `msgstr `, or `msgstr[0] `
            value = _wrapped(text, width, indent, file.line_end)
            return [Edit(translation.start, translation.end, value), *_fuzzy(file, entry)]

    state = _state(entry, target)
    return Unit(
        shown, entry.line, source, (target,) if target else (), state, plural=plural, edits=edits, accelerators=True
    )


def _missing_form(file: TextFile, entry: _Entry, shown: str, source: str, plural: Plural, width: int) -> Unit:
    """A form that the file has no line for yet, as in templates, which have two."""
    end = max(translation.end for translation in entry.translations.values())

    def edits(text: str | None) -> Sequence[Edit]:
        value = _wrapped(text or "", width, 10, file.line_end)
        line = f"{file.line_end}msgstr[{plural.category}] {value}"
        return [Edit(end, end, line), *(_fuzzy(file, entry) if text else ())]

    # A translation that lacks a form of its language stays: with a new form it would be marked, and not be used.
    place = None if entry.obsolete or all(one.text for one in entry.translations.values()) else edits
    state: State = "obsolete" if entry.obsolete else "untranslated"
    return Unit(shown, entry.line, source, (), state, plural=plural, edits=place)


def _state(entry: _Entry, target: str) -> State:
    if entry.obsolete:
        return "obsolete"
    if not target:
        return "untranslated"
    return "fuzzy" if "fuzzy" in entry.flags else "translated"


def _fuzzy(file: TextFile, entry: _Entry) -> list[Edit]:
    """Marks an entry as one that a person has to look at."""
    if "fuzzy" in entry.flags:
        return []
    if entry.flags_end >= 0:
        begin = file.text.rfind("\n", 0, entry.flags_end) + 1
        mark = begin + file.text[begin : entry.flags_end].index("#") + 2
        return [Edit(mark, mark, " fuzzy,")]
    return [Edit(entry.place, entry.place, f"#, fuzzy{file.line_end}")]


def _wrapping(file: TextFile) -> int:
    """The width at which the catalogue wraps its strings; 0 if it does not."""
    long = max((len(line.rstrip()) for line in re.findall(r'^(?:msg\w+ )?".* .*"', file.text, re.MULTILINE)), default=0)
    return 0 if long > _WIDTH + 1 else _WIDTH


def _wrapped(text: str, width: int, indent: int, line_end: str) -> str:
    """Writes a string as gettext's programs do: wrapped after spaces and line feeds."""
    lines = [line for line in re.findall("[^\n]*\n|[^\n]+", text)] or [""]
    whole = f'"{_escaped(text)}"'
    if len(lines) == 1 and (not width or len(whole) + indent <= width):
        return whole
    if not width:
        return line_end.join(['""', *(f'"{_escaped(line)}"' for line in lines)])
    written = ['""']
    for line in lines:
        current = ""
        for word in re.findall(r"\S*\s+|\S+", line):
            piece = _escaped(word)
            if current and len(current) + len(piece) + 2 > width:
                written.append(f'"{current}"')
                current = ""
            current += piece
        written.append(f'"{current}"')
    return line_end.join(written)


def _header_edits(
    file: TextFile, entry: _Entry, header: dict[str, str], languages: Languages, needs_plurals: bool
) -> Iterator[Edit]:
    """The fields of a header that a catalogue in the target language needs, where they are not filled in."""
    if not entry.translations:
        return
    string = entry.translations[0]
    changed = text = string.text
    wanted = {}
    if "Language" in header and not header["Language"].strip():
        wanted["Language"] = languages.target.replace("-", "_")
    if needs_plurals:
        wanted["Plural-Forms"] = gettext_header(languages.target)
    if header and "charset=CHARSET" in header.get("Content-Type", ""):
        wanted["Content-Type"] = "text/plain; charset=UTF-8"
    for name, value in wanted.items():
        if name in header:
            line = f"{name}: {value}".replace("\\", r"\\")
            changed = re.sub(rf"^{name}:.*$", line, changed, flags=re.MULTILINE)
        elif header:
            changed = changed.rstrip("\n") + f"\n{name}: {value}\n"
    if changed != text:
        lines = [f'"{_escaped(line)}"' for line in changed.splitlines(keepends=True)]
        yield Edit(string.start, string.end, file.line_end.join(['""', *lines]))
