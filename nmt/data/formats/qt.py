"""Qt Linguist's .ts files."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nmt.data.formats.inline import Tags
from nmt.data.formats.plurals import category_numbers, integer_categories, plural_forms
from nmt.data.formats.units import Edit, Languages, Plural, State, Unit
from nmt.data.formats.xml_elements import Element, read_elements
from nmt.data.formats.xml_file import XmlFile
from nmt.text.languages import serves
from nmt.utils.errors import UserError

_STATES: dict[str, State] = {"obsolete": "obsolete", "vanished": "obsolete", "unfinished": "fuzzy"}


def read_ts(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads a .ts file.

    Args:
        path: the file.
        languages: the languages that are wanted.

    Yields:
        A unit for each `message`, and for each form of one that counts something; and the edit that names the target
        language where none is named.

    Raises:
        UserError: if the file cannot be read or translates into another language.
    """
    file, context = XmlFile(path), ""
    forms: list[Plural] | None = None
    for element in read_elements(path, {"message", "name"}):
        if element.name == "TS":
            code = element.attributes.get("language", "")
            if code and not serves(code, languages.target):
                raise UserError(f"{path}:{element.line}: translates into {code!r}, expected {languages.target!r}")
            if not code:
                yield from file.with_attributes(element, {"language": languages.target.replace("-", "_")})
        elif element.name == "name":
            context = element.text()
        elif element.name == "message" and element.children is not None:
            source = element.first("source")
            if source is None:
                name = element.attributes.get("id", f"line {element.line}")
                yield Unit(name, element.line, "")
            elif element.attributes.get("numerus") == "yes":
                if forms is None:
                    categories = integer_categories(languages.target)
                    numbers = category_numbers(languages.target)
                    forms = plural_forms(categories, [numbers[name] for name in categories])
                yield from _forms(file, element, source, context, forms)
            else:
                yield _unit(file, element, source, context)


def _name(message: Element, source: Element, context: str) -> str:
    own = message.attributes.get("id") or source.text()[:60]
    return f"{context}: {own}" if context else own


def _unit(file: XmlFile, message: Element, source: Element, context: str) -> Unit:
    tags, target = Tags(), message.first("translation")
    text = tags.source(source)
    variants = (target.named("lengthvariant") or [target]) if target else []
    texts = tuple(dict.fromkeys(found for found in map(tags.target, variants) if found.strip()))
    kind = target.attributes.get("type", "") if target else ""

    def edits(value: str | None) -> Sequence[Edit]:
        return _put(file, message, source, target, file.tagged(value, tags)) if value else []

    state = _STATES.get(kind, "translated") if texts or kind in ("obsolete", "vanished") else "untranslated"
    tag_names = tuple(tags.ranges)
    name = _name(message, source, context)
    return Unit(name, message.line, text, texts, state, tag_names, edits=edits, accelerators=True)


def _put(file: XmlFile, message: Element, source: Element, target: Element | None, content: str) -> list[Edit]:
    if target is not None:
        return [file.filled(target, content, {"type": "unfinished"})]
    indent = file.indent(source, message.children or ())
    inserted = f'{indent}<translation type="unfinished">{content}</translation>'
    return [file.edit(source.end, source.end, inserted)]


def _forms(file: XmlFile, message: Element, source: Element, context: str, forms: Sequence[Plural]) -> Iterator[Unit]:
    """The forms of a message that counts something; all edits write the whole translation, the last one's counts."""
    tags, target = Tags(), message.first("translation")
    text = tags.source(source)
    places = target.named("numerusform") if target else []
    written: dict[int, str] = {}
    texts = [tags.target(place) for place in places] + [""] * len(forms)
    kind = target.attributes.get("type", "") if target else ""
    for number, form in enumerate(forms):
        state: State = _STATES.get(kind, "translated")
        if state != "obsolete" and not texts[number].strip():
            state = "untranslated"
        targets = (texts[number],) if texts[number].strip() else ()
        # "%n file(s)" is one text for all forms, so that it alone says which is meant for none of them.
        plural = form._replace(ambiguous=len(forms) > 1)
        yield Unit(
            _name(message, source, context), message.line, _counted(text, plural), targets, state, tuple(tags.ranges),
            plural, _form_edits(file, message, source, target, places, number, len(forms), written, tags),
        )  # fmt: skip


def _counted(text: str, plural: Plural) -> str:
    """The source of a form: `file(s)` is `file` for one, `files` for more."""
    return re.sub(r"(?<=\w)\((\w{1,3})\)", "" if 1 in plural.numbers else r"\1", text)


def _form_edits(
    file: XmlFile,
    message: Element,
    source: Element,
    target: Element | None,
    places: Sequence[Element],
    number: int,
    count: int,
    written: dict[int, str],
    tags: Tags,
) -> Callable[[str | None], Sequence[Edit]]:
    def edits(value: str | None) -> Sequence[Edit]:
        content = file.tagged(value, tags) if value else ""
        if number < len(places):
            if not value or target is None:
                return []
            return [*file.with_attributes(target, {"type": "unfinished"}), file.filled(places[number], content)]
        written[number] = f"<numerusform>{content}</numerusform>"
        if number < count - 1:
            return []
        new = "".join(written.get(i, "<numerusform></numerusform>") for i in range(len(places), count))
        if places:
            return [file.edit(places[-1].end, places[-1].end, new)]
        return _put(file, message, source, target, new)

    return edits
