"""Trees of texts: JSON and YAML, as programs keep their translations, with the place of each value."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from nmt.data.formats.plurals import CATEGORIES, category_numbers, form_source, plural_forms
from nmt.data.formats.text_file import TextFile, read_text_file
from nmt.data.formats.units import Edit, Languages, Plural, Unit
from nmt.text.languages import is_language, serves

_TOKEN = re.compile(
    r'(?P<blank>[ \t\r\n]+)|(?P<mark>[{}\[\],:])|(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")'
    r"|(?P<value>-?\d[\d.eE+-]*|true|false|null)"
)
_CHROME = {"message", "description", "placeholders", "hash"}  # keys of a text in an extension's messages.json
_DEEPEST = 200
_SYMBOL = re.compile(r":[A-Za-z_]\w*")  # of Ruby, as in Rails' order of year, month and day: a name, not a text
_SUFFIX = re.compile(rf"(.+?)(_(?:{'|'.join(CATEGORIES)}))$")

_Path = tuple[str | int, ...]
Leaf = tuple[_Path, str, int, int, int]  # path, text, start and end of the value, start of its key


def read_json(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the strings of a JSON file.

    Args:
        path: the file.
        languages: the languages; the categories of plurals are those of the target.

    Yields:
        A unit for each string that is a value, by its path, such as `menu.items[2]`. In an .arb file, and in a
        `messages.json`, only those that are texts. Where the keys of an object, or the ends of keys as of `file_one`,
        are categories of plurals, there is a unit for each category of the target language.

    Raises:
        UserError: if the file cannot be read or is no JSON; with the line.
    """
    file = read_text_file(path)
    leaves, locale = _json_leaves(file)
    if locale is not None:
        yield Edit(*locale, json.dumps(languages.target.replace("-", "_")))
    yield from _units(file, leaves, languages, _JsonWriter(file))


def read_yaml(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads the strings of a YAML file.

    Args:
        path: the file.
        languages: the languages. Where the file's only key is the source language, as Rails has it, an edit makes it
            the target language.

    Yields:
        As `read_json`.

    Raises:
        UserError: if the file cannot be read or is no YAML; with the line.
    """
    file = read_text_file(path)
    walk = _Yaml(file)
    leaves = walk.leaves()
    roots = {path[0] for path, *_ in leaves if path}
    if len(walk.root_keys) == 1 and len(roots) == 1:
        (root,) = roots
        start, end = walk.root_keys[0]
        if isinstance(root, str) and is_language(root) and serves(root, languages.source):
            yield Edit(start, end, file.text[start:end].replace(root, languages.target))
            leaves = [(leaf[0][1:], *leaf[1:]) for leaf in leaves]  # so that both languages have the same ids
    yield from _units(file, leaves, languages, walk)


class _Writer(Protocol):
    """How texts are written into a tree."""

    def written(self, leaf: Leaf, text: str) -> str:
        """Returns a text in the style of a leaf."""

    def added(self, last: Leaf, key: str, value: str) -> Edit:
        """Returns the edit that adds a key and its value after a leaf."""


def _units(file: TextFile, leaves: Sequence[Leaf], languages: Languages, writer: _Writer) -> Iterator[Unit]:
    line_of = file.line_numbers()
    groups = _plural_groups(leaves)
    done: set[int] = set()
    for number, leaf in enumerate(leaves):
        if number in groups and number not in done:
            done |= set(groups[number].values())
            group = {category: leaves[place] for category, place in groups[number].items()}
            yield from _forms(group, leaves[max(groups[number].values())], languages, writer, line_of)
        elif number not in groups:
            yield Unit(_name(leaf[0]), line_of(leaf[2]), leaf[1], edits=_replaced(leaf, leaf, writer))


def _forms(
    group: Mapping[str, Leaf], last: Leaf, languages: Languages, writer: _Writer, line_of: Callable[[int], int]
) -> Iterator[Unit]:
    """The categories of a plural: those that the source has, and those that only the target has, after its last.

    One that is empty in the source is filled if the target has it.
    """
    numbers = category_numbers(languages.target)
    written = {category: leaf for category, leaf in group.items() if leaf[1].strip()}
    other = written.get("other", group["other"])
    described = plural_forms(list(numbers), list(numbers.values()))
    described += [Plural(category, (), False) for category in group if category not in numbers]
    for form in described:
        own = group.get(form.category)
        source = written.get(form.category) or (other if own is None or form.category in numbers else own)
        text, plural = source[1], form
        if 1 in form.numbers:
            text, plural = form_source(form, written.get("one", other)[1], other[1])
        key = _form_key(source[0][-1], form.category)
        edits = _replaced(source, own, writer) if own else _inserted(source, last, key, writer)
        yield Unit(_name((*source[0][:-1], key)), line_of(source[2]), text, plural=plural, edits=edits)


def _replaced(source: Leaf, place: Leaf, writer: _Writer) -> Callable[[str | None], Sequence[Edit]]:
    return lambda value: [Edit(place[2], place[3], writer.written(source, value))] if value else []


def _inserted(source: Leaf, last: Leaf, key: str, writer: _Writer) -> Callable[[str | None], Sequence[Edit]]:
    return lambda value: [writer.added(last, key, writer.written(source, value))] if value else []


def _form_key(key: str | int, category: str) -> str:
    suffixed = _SUFFIX.match(str(key))
    return f"{suffixed[1]}_{category}" if suffixed else category


def _plural_groups(leaves: Sequence[Leaf]) -> dict[int, dict[str, int]]:
    """The categories of each plural, by the numbers of its leaves: an object of them, or keys that end in them."""
    objects: dict[_Path, dict[str, int]] = {}
    suffixes: dict[tuple[_Path, str], dict[str, int]] = {}
    siblings: dict[_Path, int] = {}
    for number, (path, *_) in enumerate(leaves):
        if not path or not isinstance(path[-1], str):
            continue
        siblings[path[:-1]] = siblings.get(path[:-1], 0) + 1
        if path[-1] in CATEGORIES:
            objects.setdefault(path[:-1], {})[path[-1]] = number
        elif suffixed := _SUFFIX.match(path[-1]):
            suffixes.setdefault((path[:-1], suffixed[1]), {})[suffixed[2][1:]] = number
    whole = [group for path, group in objects.items() if len(group) == siblings[path]]
    plurals = [group for group in (*whole, *suffixes.values()) if len(group) > 1 and "other" in group]
    return {number: group for group in plurals for number in group.values()}


def _before(text: str, place: int, ends: str) -> str:
    """The white space before a place, back to what precedes it."""
    begin = place
    while begin and text[begin - 1].isspace():
        begin -= 1
    return text[begin:place] if begin and text[begin - 1] in ends else " "


def _name(path: _Path) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


class _JsonWriter:
    """Writes strings of JSON: with escapes for what is not ASCII only where the file has them throughout."""

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.escape = file.text.isascii() and "\\u" in file.text

    def written(self, leaf: Leaf, text: str) -> str:
        return json.dumps(text, ensure_ascii=self.escape)

    def added(self, last: Leaf, key: str, value: str) -> Edit:
        between = _before(self.file.text, last[4], ",{")
        return Edit(last[3], last[3], f",{between}{json.dumps(key)}: {value}")


def _json_leaves(file: TextFile) -> tuple[list[Leaf], tuple[int, int] | None]:
    """The strings of a JSON file that are texts, and where an .arb file names its language."""
    reader = _Json(file)
    first = next(reader.tokens, None)
    if first is not None:
        reader.value((), first, first.start())
        rest = next(reader.tokens, None)
        if rest is not None:
            raise file.error(rest.start(), f"expected the end of the file, got {rest[0][:20]!r}")
    return reader.leaves, reader.locale


class _Json:
    """Reads the values of a JSON file one inside the other."""

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.arb = file.path.suffix.lower() == ".arb"
        self.tokens = _json_tokens(file)
        self.leaves: list[Leaf] = []
        self.locale: tuple[int, int] | None = None

    def value(self, path: _Path, token: re.Match[str], key: int) -> None:
        if len(path) > _DEEPEST:
            raise self.file.error(token.start(), f"is nested more than {_DEEPEST} deep")
        if token["string"]:
            self.text(path, token, key)
        elif token[0] == "{":
            first = len(self.leaves)
            self.members(path)
            if len(path) == 1:
                self.leaves[first:] = _message_of_extension(self.leaves[first:])
        elif token[0] == "[":
            self.items(path)
        elif not token["value"]:
            raise self.file.error(token.start(), f"expected a value of JSON, got {token[0]!r}")

    def text(self, path: _Path, token: re.Match[str], key: int) -> None:
        if self.arb and path == ("@@locale",):
            self.locale = token.span()
        elif not (self.arb and path and str(path[0]).startswith("@")):
            self.leaves.append((path, _json_string(self.file, token), *token.span(), key))

    def members(self, path: _Path) -> None:
        token = self.next()
        while token[0] != "}":
            if not token["string"]:
                raise self.file.error(token.start(), f"expected a key in quotes, got {token[0]!r}")
            name, key = _json_string(self.file, token), token.start()
            self.expect(":")
            self.value((*path, name), self.next(), key)
            token = self.after("}")

    def items(self, path: _Path) -> None:
        token, number = self.next(), 0
        while token[0] != "]":
            self.value((*path, number), token, token.start())
            number += 1
            token = self.after("]")

    def after(self, end: str) -> re.Match[str]:
        """The token after a member: the end, or what follows a comma."""
        token = self.expect(f",{end}")
        if token[0] == end:
            return token
        token = self.next()
        if token[0] == end:
            raise self.file.error(token.start(), f"expected more after the comma, got {end!r}")
        return token

    def next(self) -> re.Match[str]:
        token = next(self.tokens, None)
        if token is None:
            raise self.file.error(len(self.file.text), "the JSON is cut off")
        return token

    def expect(self, marks: str) -> re.Match[str]:
        token = self.next()
        if token[0] not in marks:
            raise self.file.error(token.start(), f"expected {' or '.join(marks)}, got {token[0][:20]!r}")
        return token


def _message_of_extension(leaves: list[Leaf]) -> list[Leaf]:
    """Of the strings of an object in an extension's messages.json, the one that is shown; of others, all."""
    names = {leaf[0][1] for leaf in leaves}
    shown = [leaf for leaf in leaves if leaf[0][1:] == ("message",)]
    return shown if shown and names <= _CHROME else leaves


def _json_tokens(file: TextFile) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(file.text):
        found = _TOKEN.match(file.text, place)
        if found is None:
            raise file.error(place, f"is no JSON: {file.text[place : place + 20]!r}")
        place = found.end()
        if not found["blank"]:
            yield found


def _json_string(file: TextFile, token: re.Match[str]) -> str:
    try:
        return str(json.loads(token["string"]))
    except ValueError:
        raise file.error(token.start(), f"is no string of JSON: {token['string'][:40]}") from None


class _Yaml:
    """A YAML file's scalars, by the events of its parser."""

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.root_keys: list[tuple[int, int]] = []
        self._styles: dict[tuple[int, int], tuple[str | None, bool]] = {}
        self._flow = 0  # how many brackets and braces are open

    def leaves(self) -> list[Leaf]:
        """The strings that are values, in their order."""
        found: list[Leaf] = []
        try:
            loader = yaml.SafeLoader(self.file.text)
            while loader.check_event():
                event = loader.get_event()
                if not isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent,
                                          yaml.DocumentEndEvent)):  # fmt: skip
                    self._value(loader, event, (), event.start_mark.index, found)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = 0 if mark is None else mark.index
            raise self.file.error(place, f"is no YAML: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise self.file.error(0, f"is no YAML: {' '.join(str(error).split())}") from None
        return found

    def _value(self, loader: Any, event: Any, path: _Path, key: int, found: list[Leaf]) -> None:
        if len(path) > _DEEPEST:
            raise self.file.error(event.start_mark.index, f"is nested more than {_DEEPEST} deep")
        if isinstance(event, yaml.ScalarEvent):
            tag = (
                event.tag
                if event.tag and event.tag != "!"
                else loader.resolve(yaml.ScalarNode, event.value, event.implicit)
            )
            if tag == "tag:yaml.org,2002:str" and (event.style or not _SYMBOL.fullmatch(event.value)):
                start, end = self._span(event)
                found.append((path, event.value, start, end, key))
        elif isinstance(event, yaml.MappingStartEvent):
            self._flow += bool(event.flow_style)
            while not isinstance(name := loader.get_event(), yaml.MappingEndEvent):
                self._member(loader, name, name.start_mark.index, name.end_mark.index, path, found)
            self._flow -= bool(event.flow_style)
        elif isinstance(event, yaml.SequenceStartEvent):
            number = 0
            self._flow += bool(event.flow_style)
            while not isinstance(item := loader.get_event(), yaml.SequenceEndEvent):
                self._value(loader, item, (*path, number), item.start_mark.index, found)
                number += 1
            self._flow -= bool(event.flow_style)

    def _member(self, loader: Any, name: Any, start: int, end: int, path: _Path, found: list[Leaf]) -> None:
        """Reads the value of a key, and the key if it is no scalar, which is no text."""
        scalar = isinstance(name, yaml.ScalarEvent)
        key = name.value if scalar else "?"
        if not scalar:
            self._value(loader, name, (*path, key), start, [])
        if not path:
            self.root_keys.append((start, end))
        self._value(loader, loader.get_event(), (*path, key), start, found)

    def _span(self, event: Any) -> tuple[int, int]:
        """Where a scalar is written, after its anchor and tag."""
        start, end = event.start_mark.index, event.end_mark.index
        if event.anchor or event.tag:
            properties = re.compile(r"(?:[&!]\S*\s+)*").match(self.file.text, start)
            assert properties is not None
            start = properties.end()
        self._styles[start, end] = event.style, bool(self._flow)
        return start, end

    def added(self, last: Leaf, key: str, value: str) -> Edit:
        begin = self.file.text.rfind("\n", 0, last[4]) + 1
        indent, end = self.file.text[begin : last[4]], last[3]
        if indent.strip():  # in braces
            return Edit(end, end, f", {key}: {value}")
        line_end = self.file.line_end
        block = self.file.text[end - 1 : end] == "\n"
        return Edit(end, end, f"{indent}{key}: {value}{line_end}" if block else f"{line_end}{indent}{key}: {value}")

    def written(self, leaf: Leaf, text: str) -> str:
        start, end = leaf[2:4]
        (style, in_flow), written = self._styles[start, end], self.file.text[start:end]
        visible = not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]", text)
        if style in ("|", ">") and visible and not text.startswith((" ", "\n")):
            return self._block(style, written, text)
        if style is None and visible and self._is_plain(text, in_flow):
            return text
        if style == "'" and visible and "\n" not in text:
            return "'" + text.replace("'", "''") + "'"
        return json.dumps(text, ensure_ascii=False)

    def _is_plain(self, text: str, in_flow: bool) -> bool:
        if "\n" in text or text != text.strip() or re.search(r"[\[\]{},]|: | #|:$" if in_flow else r": | #|:$", text):
            return False
        try:
            if in_flow:
                return bool(yaml.safe_load(f"[{{a: {text}, b: {text}}}, {text}]") == [{"a": text, "b": text}, text])
            return bool(yaml.safe_load(f"- {text}") == [text] and yaml.safe_load(f"a: {text}") == {"a": text})
        except yaml.YAMLError:
            return False

    def _block(self, style: str, written: str, text: str) -> str:
        header, _, body = written.partition("\n")
        lines = [line for line in body.split("\n") if line.strip()]
        indent = min((len(line) - len(line.lstrip(" ")) for line in lines), default=2)
        end = "\r\n" if header.endswith("\r") else "\n"
        text = text.rstrip("\n")
        parts = text.split("\n")
        if style == ">":
            parts = text.replace("\n", "\n\n").split("\n")
        tail = body[len(body.rstrip()) :].replace("\r\n", "\n") if body.strip() else "\n"
        block = end.join(" " * indent + part if part else "" for part in parts)
        return header.rstrip("\r") + end + block + tail.replace("\n", end)
