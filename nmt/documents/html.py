"""HTML: its text, paragraph by paragraph, and the attributes that people read."""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.data.formats.text_file import TextFile, read_text_file, spliced
from nmt.data.formats.units import Edit, Languages, Unit
from nmt.text.layout import wrap

HTML_CHARSET = r"<meta[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)"
_TOKEN = re.compile(
    r"(?P<other><!--.*?(?:-->|\Z)|<!\[CDATA\[.*?\]\]>|<![^>]*>|<\?[^>]*>)"
    r"|<(?P<end>/)?(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>(?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>"
    r"|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([\w:@.-]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_INLINE = _names(
    "a abbr acronym b bdi bdo big br button cite code data del dfn em font i img input ins kbd label map mark math "
    "meter noscript object output picture progress q rp rt ruby s samp select small span strike strong sub sup svg "
    "time tt u var wbr"
)
_ALONE = _names("br img input wbr")
_WHOLE = _names("code kbd samp tt var svg math select object picture")  # in a text, but not translated
_SKIPPED = _names("script style pre textarea template")
_READ = ("alt", "title", "placeholder", "aria-label", "label")


class _Token(NamedTuple):
    kind: str  # text, start, end, alone, block, other
    name: str
    start: int
    end: int


def read_html(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads a page.

    Text between the tags of blocks is a unit, in which elements such as `<b>` are tags. Scripts, code, `pre`, and what
    `translate="no"` or the class `notranslate` excludes stay as they are.

    Args:
        path: the file.
        languages: the languages; `lang` of the page becomes the target's.

    Raises:
        UserError: if the file cannot be read.
    """
    file = read_text_file(path, HTML_CHARSET)
    line_of = file.line_numbers()
    run: list[_Token] = []
    for token in _tokens(file.text):
        if token.kind in ("block", "other"):
            yield from _unit(file, run, languages, line_of)
            run = []
            if token.kind == "block":
                yield from _attributes(file, token, languages, line_of, None)
        else:
            run.append(token)
    yield from _unit(file, run, languages, line_of)


def html_tagged(source: str, tokens: Sequence[_Token]) -> tuple[str, dict[str, str], dict[str, int]]:
    """Returns a run of text and inline elements with short tags, the code that these stand for, and its places."""
    texts = [source[one.start : one.end] for one in tokens]
    pairs = _pairs(tokens)
    raw: dict[str, str] = {}
    starts: dict[str, int] = {}
    parts: list[str] = []
    own = html.unescape("".join(text for one, text in zip(tokens, texts, strict=True) if one.kind == "text"))
    taken = {int(number) for number in re.findall(r"</?[gx](\d+)/?>", own)}
    numbers = (number for number in range(1, 10**6) if number not in taken)
    named: dict[int, int] = {}
    for place, (token, text) in enumerate(zip(tokens, texts, strict=True)):
        if token.kind == "text":
            parts.append(html.unescape(text))
        else:
            partner = pairs.get(place)
            number = named[partner] if partner in named else next(numbers)
            named[place] = number
            tag = f"<x{number}/>" if partner is None else f"</g{number}>" if token.kind == "end" else f"<g{number}>"
            raw[tag], starts[tag] = text, token.start
            parts.append(tag)
    return "".join(parts), raw, starts


def _tokens(text: str, begin: int = 0) -> Iterator[_Token]:
    place = begin
    while place < len(text):
        found = _TOKEN.match(text, place)
        assert found is not None  # the last alternative takes any character
        place = found.end()
        if found["text"]:
            yield _Token("text", "", *found.span())
            continue
        if found["other"]:
            # A comment may stand inside a sentence.
            yield _Token("alone" if found["other"].startswith("<!--") else "other", "", *found.span())
            continue
        name = found["name"].lower()
        excluded = not found["end"] and _is_excluded(found["attributes"])
        closes = found["attributes"].endswith("/") or name in _ALONE
        if not found["end"] and not closes and (name in _SKIPPED or name in _WHOLE or excluded):
            place = _end_of(text, name, place)
            yield _Token("alone" if name in _INLINE else "block", name, found.start(), place)
        elif name not in _INLINE:
            yield _Token("block", name, *found.span())
        else:
            yield _Token("end" if found["end"] else "alone" if closes else "start", name, *found.span())


def _is_excluded(attributes: str) -> bool:
    return bool(re.search(r"translate\s*=\s*[\"']?no\b|class\s*=\s*(?:\"[^\"]*|'[^']*|)\bnotranslate\b", attributes))


def _end_of(text: str, name: str, place: int) -> int:
    """The place after the end of an element that has begun before `place`."""
    depth = 1
    for found in re.compile(rf"<(/?){re.escape(name)}\b[^>]*?(/?)>", re.IGNORECASE).finditer(text, place):
        depth += -1 if found[1] else 0 if found[2] else 1
        if not depth:
            return found.end()
    return len(text)


def _pairs(tokens: Sequence[_Token]) -> dict[int, int]:
    """For the tags of a run that open and close an element legally, the place of the other one."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for place, token in enumerate(tokens):
        if token.kind == "start":
            opened.append(place)
        elif token.kind == "end":
            match = next((i for i in reversed(range(len(opened))) if tokens[opened[i]].name == token.name), None)
            if match is not None:
                pairs[opened[match]], pairs[place] = place, opened[match]
                del opened[match:]
    return pairs


def _unit(
    file: TextFile, run: Sequence[_Token], languages: Languages, line_of: Callable[[int], int]
) -> Iterator[Unit | Edit]:
    """A unit of a run, without the white space and the single tags around its text; and its attributes before it."""
    text = file.text
    words = [i for i, one in enumerate(run) if one.kind == "text" and html.unescape(text[one.start : one.end]).strip()]
    if not words:
        for token in run:
            yield from _attributes(file, token, languages, line_of, None)
        return
    first, last = words[0], words[-1]
    pairs = _pairs(run)
    # Tags around the text belong to it only if their partner stands inside.
    while first > 0 and first - 1 in pairs and first <= pairs[first - 1] <= last:
        first -= 1
    while last + 1 in pairs and first <= pairs[last + 1] <= last:
        last += 1
    inside = list(run[first : last + 1])
    attributes: dict[int, list[Edit]] = {}  # of each tag inside: those edits are made where the tag comes to stand
    for token in run:
        yield from _attributes(file, token, languages, line_of, attributes if token in inside else None)
    start, end = inside[0].start, inside[-1].end
    if inside[0].kind == "text":
        start += len(text[start : inside[0].end]) - len(text[start : inside[0].end].lstrip())
        inside[0] = inside[0]._replace(start=start)
    if inside[-1].kind == "text":
        end = inside[-1].start + len(text[inside[-1].start : end].rstrip())
        inside[-1] = inside[-1]._replace(end=end)
    whole = text[start:end]
    tagged, raw, places = html_tagged(text, inside)
    lines = whole.splitlines()
    indent = re.match(r"\s*", lines[1])[0] if len(lines) > 1 else ""  # type: ignore[index]
    column = start - text.rfind("\n", 0, start) - 1
    width = max(column + len(lines[0]), *map(len, lines[1:])) - len(indent) if len(lines) > 1 else 0

    def edits(value: str | None) -> Sequence[Edit]:
        if not value:
            return []
        tags = {
            tag: spliced(code, [edit._replace(start=edit.start - place, end=edit.end - place) for edit in changed])
            for tag, code in raw.items()
            for place, changed in [(places[tag], attributes.get(places[tag], []))]
        }
        written = written_html(value, tags, whole, file.encoding)
        if width:
            written = (file.line_end + indent).join(wrap(written, width))
        return [Edit(start, end, written)]

    source = re.sub(r"[ \t\r\n\f]+", " ", tagged)
    yield Unit(f"line {line_of(start)}", line_of(start), source, tags=tuple(raw), edits=edits, code=raw.__getitem__)


def written_html(text: str, raw: dict[str, str], source: str, encoding: str) -> str:
    """Returns a translation as HTML: its tags as their code, other text with entities where they are needed."""
    parts = re.split("(" + "|".join(map(re.escape, raw)) + ")", text) if raw else [text]

    def escaped(part: str) -> str:
        part = html.escape(part, quote=False)
        if "&nbsp;" in source:
            part = part.replace("\xa0", "&nbsp;")
        return part.encode(encoding, "xmlcharrefreplace").decode(encoding)

    return "".join(raw[part] if place % 2 else escaped(part) for place, part in enumerate(parts))


def _attributes(
    file: TextFile,
    token: _Token,
    languages: Languages,
    line_of: Callable[[int], int],
    inside: dict[int, list[Edit]] | None,
) -> Iterator[Unit | Edit]:
    """The attributes of a tag that people read; their edits go to `inside` where the tag is part of a unit."""
    tag = file.text[token.start : token.end]
    head = re.match(r"<[A-Za-z][\w:.-]*((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", tag)
    if head is None or _is_excluded(head[1]):
        return
    values = {}
    for found in _ATTRIBUTE.finditer(head[1]):
        group = next((i for i in (2, 3, 4) if found[i] is not None), None)
        if group is not None:
            begin = token.start + head.start(1)
            values[found[1].lower()] = found[group], begin + found.start(group), begin + found.end(group)
    wanted = [name for name in _READ if name in values]
    if token.name == "meta" and values.get("name", ("",))[0].lower() in ("description", "keywords", "title"):
        wanted.append("content")
    if token.name in ("input", "button") and values.get("type", ("",))[0].lower() in ("submit", "button", "reset"):
        wanted.append("value")
    if token.name == "html":
        for name in ("lang", "xml:lang"):
            if name in values:
                yield Edit(values[name][1], values[name][2], languages.target)
    for name in wanted:
        written, start, end = values.get(name, ("", 0, 0))
        quote = file.text[start - 1] if start else '"'
        if written.strip() and quote in "\"'":
            place = None if inside is None else inside.setdefault(token.start, [])
            yield _attribute(file, f"{token.name} {name}", written, (start, end), quote, line_of(start), place)


def _attribute(
    file: TextFile, name: str, written: str, span: tuple[int, int], quote: str, line: int, inside: list[Edit] | None
) -> Unit:
    def edits(value: str | None) -> Sequence[Edit]:
        if not value:
            return []
        text = written_html(value, {}, written, file.encoding)
        edit = Edit(*span, text.replace(quote, "&quot;" if quote == '"' else "&#39;"))
        if inside is None:
            return [edit]
        inside.append(edit)
        return []

    return Unit(f"line {line} {name}", line, html.unescape(written), edits=edits)
