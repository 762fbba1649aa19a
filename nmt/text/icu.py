"""Messages of ICU: the texts of `{count, plural, one {# file} other {# files}}`, and the message made of others."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

_CHOICE = re.compile(r"\{\s*([\w.-]+)\s*,\s*(plural|select|selectordinal)\s*,")
_OFFSET = re.compile(r"\s*offset:\d+")
_KEY = re.compile(r"\s*(=\d+|[\w-]+)\s*\{")
_DEEPEST = 4
_MOST_TEXTS = 200

# The form of a plural that a text stands for: its category, and whether it counts in order (first, second).
Form = tuple[str, bool]


class Message(NamedTuple):
    """A message's texts.

    Attributes:
        texts: list of str, the texts, each a whole sentence: what stands around a choice is repeated in each option.
        forms: for each, the form of a plural that it is for; None if it is for none.
        counted: for each, whether `#` stands for a number in it.
        build: function from the translations, None for those that cannot be made, to the message; None if it cannot be
            made without them.
    """

    texts: list[str]
    forms: list[Form | None]
    counted: list[bool]
    build: Callable[[Sequence[str | None]], str | None]


class _Options(NamedTuple):
    head: str
    kind: str
    options: list[tuple[str, str]]
    before: str
    after: str


def has_choice(text: str) -> bool:
    """Returns whether a text seems to be a message with a choice, whatever file it is in.

    Example:

    >>> has_choice("{n, plural, one {# file} other {# files}}"), has_choice("{n} files")
    (True, False)
    """
    return _CHOICE.search(text) is not None


def read_message(text: str, categories: Callable[[bool], Sequence[str]]) -> Message | None:
    """Takes a message with choices apart.

    Args:
        text: the message.
        categories: function that returns the categories of the target's plurals; of ordinal numbers for True.

    Returns:
        Its texts, with those for the categories of the target language; None if it has no choice, or is not well
        formed.

    Example:

    >>> message = read_message("You have {n, plural, one {# file} other {# files}}.", lambda _: ["one", "other"])
    >>> message.texts
    ['You have # file.', 'You have # files.']
    >>> message.build(["Sie haben # Datei.", "Sie haben # Dateien."])
    '{n, plural, one {Sie haben # Datei.} other {Sie haben # Dateien.}}'
    """
    if not has_choice(text):
        return None
    try:
        tree = _read(text, categories, None, False, 0)
    except ValueError:
        return None
    texts: list[str] = []
    forms: list[Form | None] = []
    counted: list[bool] = []
    _gather(tree, texts, forms, counted)
    if len(texts) > _MOST_TEXTS:
        return None
    return Message(texts, forms, counted, lambda translations: _build(tree, iter(translations)))


class _Text(NamedTuple):
    text: str
    form: Form | None
    counted: bool


class _Choice(NamedTuple):
    head: str
    branches: "list[tuple[str, _Text | _Choice]]"


def branches(text: str) -> Mapping[str, str] | None:
    """Returns the options of a message with one choice, each with what stands around it; None if it is no such message.

    Args:
        text: the message.

    Example:

    >>> branches("{n, plural, one {# file} other {# files}}")
    {'one': '# file', 'other': '# files'}
    """
    try:
        options = _options(text)
    except ValueError:
        return None
    if options is None:
        return None
    return {key: options.before + inside + options.after for key, inside in options.options}


def _read(
    text: str, categories: Callable[[bool], Sequence[str]], form: Form | None, counted: bool, depth: int
) -> _Text | _Choice:
    options = _options(text) if depth < _DEEPEST else None
    if options is None:
        return _Text(text, form, counted)
    of = {key: options.before + inside + options.after for key, inside in options.options}
    made: list[tuple[str, _Text | _Choice]] = []
    if options.kind == "select":
        return _Choice(
            options.head, [(key, _read(inside, categories, form, counted, depth + 1)) for key, inside in of.items()]
        )
    ordinal = options.kind == "selectordinal"
    exact = {key: inside for key, inside in of.items() if key.startswith("=")}
    for key, inside in exact.items():
        made.append((key, _read(inside, categories, None, True, depth + 1)))
    for category in categories(ordinal):
        source = of.get(category, of["other"])
        made.append((category, _read(source, categories, (category, ordinal), True, depth + 1)))
    return _Choice(options.head, made)


def _gather(node: _Text | _Choice, texts: list[str], forms: list[Form | None], counted: list[bool]) -> None:
    if isinstance(node, _Text):
        texts.append(node.text)
        forms.append(node.form)
        counted.append(node.counted)
        return
    for _, branch in node.branches:
        _gather(branch, texts, forms, counted)


def _build(node: _Text | _Choice, translations: Iterator[str | None]) -> str | None:
    if isinstance(node, _Text):
        return next(translations)
    made = [(key, _build(branch, translations)) for key, branch in node.branches]
    written = [f"{key} {{{inside}}}" for key, inside in made if inside is not None]
    needed = [inside for key, inside in made if key == "other"] or [inside for _, inside in made]
    if None in needed:
        return None
    return f"{node.head} {' '.join(written)}}}"


def _options(text: str) -> _Options | None:
    """The first choice of a message that is not quoted, with its options; None if there is none."""
    place = 0
    while place < len(text):
        if text[place] == "'":
            place = _after_quote(text, place)
        elif text[place] == "{":
            found = _CHOICE.match(text, place)
            if found is None:
                place = _after_braces(text, place)
                continue
            offset = _OFFSET.match(text, found.end())
            end = offset.end() if offset else found.end()
            head, options = text[place:end], []
            while key := _KEY.match(text, end):
                close = _after_braces(text, key.end() - 1)
                options.append((key[1], text[key.end() : close - 1]))
                end = close
            closing = re.compile(r"\s*\}").match(text, end)
            # Angular needs no `other` in a choice between words.
            if closing is None or not options or ("other" not in dict(options) and found[2] != "select"):
                raise ValueError
            return _Options(head, found[2], options, text[:place], text[closing.end() :])
        else:
            place += 1
    return None


def _after_braces(text: str, place: int) -> int:
    depth = 0
    while place < len(text):
        if text[place] == "'":
            place = _after_quote(text, place)
            continue
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        place += 1
        if not depth:
            return place
    raise ValueError


def _after_quote(text: str, place: int) -> int:
    """The place after an apostrophe: it quotes what follows only if that begins with a character of the syntax."""
    if text[place + 1 : place + 2] in ("{", "}", "#", "|") and text[place + 1 : place + 2]:
        end = text.find("'", place + 1)
        return len(text) if end < 0 else end + 1
    return place + 2 if text[place + 1 : place + 2] == "'" else place + 1
