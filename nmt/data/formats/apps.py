"""Resources of apps and programs in XML: Android's strings, .NET's .resx, and Apple's .stringsdict."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from nmt.data.formats.inline import Tags
from nmt.data.formats.plurals import CATEGORIES, category_numbers, form_source, plural_forms
from nmt.data.formats.units import Edit, Languages, Plural, State, Unit
from nmt.data.formats.xml_elements import Element, Text, read_elements, with_attributes
from nmt.data.formats.xml_file import XmlFile

_ANDROID = {"n": "\n", "t": "\t"}
_QUOTE = "\uffff"  # stands nowhere in XML
_ANDROID_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)|\"|[ \t\r\n]+", re.DOTALL)
_REFERENCE = re.compile(r"[@?](?:\+?[\w.]+:)?\w+/[\w.]+$")


def read_android(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the strings, arrays of strings and plurals of an Android resource file.

    Args:
        path: the file.
        languages: the languages; the categories of plurals are those of the target.

    Raises:
        UserError: as for `read_elements`.
    """
    file = XmlFile(path)
    for element in read_elements(path, {"string", "string-array", "plurals"}):
        if element.children is None:
            continue
        name, locked = element.attributes.get("name", ""), element.attributes.get("translatable") == "false"
        if element.name == "string":
            yield _android(file, element, name, locked)
        elif element.name == "string-array":
            for number, item in enumerate(element.named("item")):
                yield _android(file, item, f"{name}[{number}]", locked)
        else:
            yield from _categories(_AndroidPlural(file, element, name, locked), languages.target)


def read_resx(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the strings of a .resx file.

    Args:
        path: the file.
        languages: the languages, which the file does not name.

    Raises:
        UserError: as for `read_elements`.
    """
    file = XmlFile(path)
    for element in read_elements(path, {"data", "schema", "resheader"}):
        name = element.attributes.get("name", "")
        value = element.first("value")
        if element.name != "data" or value is None or {"type", "mimetype"} & element.attributes.keys():
            continue  # numbers, pictures
        if name.startswith(">>") or name == "$this.Name" or name == f"{value.text()}.Name":
            continue  # what the designer of forms needs
        comment = element.first("comment")
        locked = comment is not None and "{Locked}" in comment.text()
        yield _plain(file, value, name, locked, accelerators=True)


def read_stringsdict(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the plurals of a .stringsdict file.

    Args:
        path: the file.
        languages: the languages; the categories of plurals are those of the target.

    Raises:
        UserError: as for `read_elements`.
    """
    file = XmlFile(path)
    for root in read_elements(path, {"plist"}):
        for outer in root.named("dict"):
            for name, entry in _pairs(outer):
                yield from _plist_entry(file, name, entry, languages)


def _plist_entry(file: XmlFile, name: str, entry: Element, languages: Languages) -> Iterator[Unit]:
    for key, value in _pairs(entry):
        if key == "NSStringLocalizedFormatKey":
            text = value.text()
            locked = not re.search(r"[^\W\d_]", re.sub(r"%(?:\d+\$)?#@[^@]*@", "", text))
            yield _plain(file, value, f"{name}/{key}", locked)
        elif value.name == "dict":
            yield from _categories(_ApplePlural(file, value, f"{name}/{key}"), languages.target)


def _pairs(element: Element) -> Iterator[tuple[str, Element]]:
    children = iter(element.elements)
    for key in children:
        if key.name == "key":
            value = next(children, None)
            if value is not None:
                yield key.text(), value


class _Plural(Protocol):
    """A plural of a file, and how its categories are written.

    Attributes:
        items: the elements of its categories.
    """

    file: XmlFile
    items: dict[str, Element]

    def unit(self, source: Element, category: str, plural: Plural, place: Element | None) -> Unit:
        """Returns the unit of a category, its source, and the element for its translation if there is one."""

    def added(self, category: str, source: Element, content: str) -> str:
        """Returns an element for a category, with the white space before it."""


class _AndroidPlural:
    def __init__(self, file: XmlFile, element: Element, name: str, locked: bool) -> None:
        self.file, self.element, self.name, self.locked = file, element, name, locked
        self.items = {item.attributes.get("quantity", ""): item for item in element.named("item")}

    def unit(self, source: Element, category: str, plural: Plural, place: Element | None) -> Unit:
        return _android(self.file, source, f"{self.name}/{category}", self.locked, plural, place)

    def added(self, category: str, source: Element, content: str) -> str:
        tag = with_attributes(self.file.first_tag(source), {"quantity": category})
        end = self.file.raw(source.close, source.end)
        return f"{self.file.indent(source, self.element.children or ())}{tag}{content}{end}"


class _ApplePlural:
    def __init__(self, file: XmlFile, element: Element, name: str) -> None:
        self.file, self.element, self.name = file, element, name
        self.items = {key: value for key, value in _pairs(element) if key in CATEGORIES}
        self.keys = {one.text(): one for one in element.named("key")}

    def unit(self, source: Element, category: str, plural: Plural, place: Element | None) -> Unit:
        return _plain(self.file, source, f"{self.name}/{category}", False, plural, place)

    def added(self, category: str, source: Element, content: str) -> str:
        key = self.keys[next(name for name, one in self.items.items() if one is source)]
        indent = self.file.indent(key, self.element.children or ())
        return f"{indent}<key>{category}</key>{indent}<string>{content}</string>"


def _categories(plural: _Plural, language: str) -> Iterator[Unit]:
    """The categories of a plural: those of the source in their places, those that only the target has after its last.

    One that the target has not is translated all the same, so that nothing is left in the source language. One that is
    empty in the source is filled if the target has it: some templates list all six.
    """
    items = plural.items
    if not items:
        return
    numbers = category_numbers(language)
    written = {category: item for category, item in items.items() if item.text().strip()}
    last = list(items.values())[-1]
    other = written.get("other", list(written.values())[-1] if written else last)
    forms = {form.category: form for form in plural_forms(list(numbers), list(numbers.values()))}
    for category in [*items, *(name for name in forms if name not in items)]:
        form = forms.get(category, Plural(category, (), False))
        source = written.get(category) or (other if category in forms else items[category])
        if 1 in form.numbers:
            one = written.get("one", other)
            text, form = form_source(form, one.text(), other.text())
            source = one if text == one.text() else other
        unit = plural.unit(source, category, form, items.get(category))
        yield unit if category in items else _added(unit, plural, source, last)


def _added(unit: Unit, plural: _Plural, source: Element, last: Element) -> Unit:
    """A category that only the target language has: an element after the last one."""
    assert unit.plural is not None
    assert unit.edits is not None
    category, edits_of_source, file = unit.plural.category, unit.edits, plural.file

    def edits(value: str | None) -> Sequence[Edit]:
        if not value:
            return []
        (filled,) = edits_of_source(value)
        content = filled.text[len(file.first_tag(source)) :].replace("\r\n", "\n")
        return [file.edit(last.end, last.end, plural.added(category, source, content))]

    return replace(unit, targets=(), edits=edits)


def _cdata(element: Element) -> bool:
    """Whether all the text of an element stands in CDATA sections."""
    texts = [one for one in element.children or () if isinstance(one, Text) and (one.cdata or one.text.strip())]
    return bool(texts) and all(one.cdata for one in texts)


def _android(
    file: XmlFile,
    element: Element,
    name: str,
    locked: bool,
    plural: Plural | None = None,
    place: Element | None = None,
) -> Unit:
    tags, cdata = Tags(frozenset({"g"})), _cdata(element)
    written = tags.source(element)
    text = _android_text(written)
    state: State = "locked" if locked or _REFERENCE.match(text) else "untranslated"

    def edits(value: str | None) -> Sequence[Edit]:
        if not value:
            return []
        content = file.tagged(_android_escaped(value, tags.ranges), tags, cdata)
        content = f"<![CDATA[{content}]]>" if cdata else content
        return [file.filled(place or element, content)]

    return Unit(name, element.line, text, (), state, tuple(tags.ranges), plural, edits, code=file.code_of(tags))


def _android_text(written: str) -> str:
    """Reads Android's escapes; white space outside double quotes counts as one space, and as none at the ends."""
    quoted = False

    def read(found: re.Match[str]) -> str:
        nonlocal quoted
        if found[0] == '"':
            quoted = not quoted
            return _QUOTE  # so that white space in quotes is not taken for that at the ends
        if found[1] is None:
            return found[0] if quoted else " "
        return chr(int(found[1][1:], 16)) if len(found[1]) == 5 else _ANDROID.get(found[1], found[1])

    return _ANDROID_ESCAPE.sub(read, written).strip(" ").replace(_QUOTE, "")


def _android_escaped(text: str, tags: Mapping[str, object]) -> str:
    """Writes Android's escapes, outside tags."""
    parts = re.split("(" + "|".join(map(re.escape, tags)) + r"|<[^<>]*>)" if tags else r"(<[A-Za-z/][^<>]*>)", text)
    for place in range(0, len(parts), 2):
        part = re.sub(r"([\\'\"])", r"\\\1", parts[place])
        parts[place] = part.replace("\n", "\\n").replace("\t", "\\t")
    # White space that does not count as one space needs quotes.
    escaped = re.sub(r"^ +| +$|  +", lambda found: f'"{found[0]}"', "".join(parts))
    return f"\\{escaped}" if escaped[:1] in ("@", "?") else escaped


def _plain(
    file: XmlFile,
    element: Element,
    name: str,
    locked: bool,
    plural: Plural | None = None,
    place: Element | None = None,
    accelerators: bool = False,
) -> Unit:
    text, cdata = element.text(), _cdata(element)

    def edits(value: str | None) -> Sequence[Edit]:
        if not value:
            return []
        content = file.tagged(value, Tags(), cdata)
        return [file.filled(place or element, f"<![CDATA[{content}]]>" if cdata else content)]

    return Unit(name, element.line, text, (), "locked" if locked else "untranslated", (), plural, edits, accelerators)
