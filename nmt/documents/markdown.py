"""Markdown: headings, paragraphs, lists, quotes and tables; code and links stay."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.data.formats.text_file import TextFile, read_text_file
from nmt.data.formats.units import Edit, Languages, Unit
from nmt.text.layout import wrap

_FENCE = re.compile(r"(?:[ \t]*>)*[ \t]*(?:[-*+] |\d+[.)] )?[ \t]*(`{3,}|~{3,})(.*)$")
_PREFIX = re.compile(r"[ \t]*(?:>[ \t]?)*[ \t]*")
_BULLET = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?")
_HEADING = re.compile(r"#{1,6}[ \t]+")
_RULE = re.compile(r"(?:[-*_=][ \t]*){3,}$|[-=]+[ \t]*$")
_TABLE_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_DEFINITION = re.compile(r"\[[^\]]+\]:")
_HTML_BLOCK = re.compile(r"</?[A-Za-z][\w-]*(?:[\s/>]|$)|<!--|<\?|<!")
_HTML_INLINE = re.compile(r"<(?:a|abbr|b|br|code|del|em|i|ins|kbd|s|small|span|strong|sub|sup|u)\b", re.IGNORECASE)
# What stays in a text, and what encloses text.
_KEPT = re.compile(
    r"(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))|(?P<escape>\\[!-/:-@\[-`{-~])|(?P<auto><(?:https?|mailto|ftp):[^<>\s]*>|<[\w.+-]+@[\w.-]+>)"
    r"|(?P<tag></?[A-Za-z][^<>]*>|<!--.*?-->)|(?P<note>\[\^[^\]]+\])|(?P<math>\$\$.+?\$\$)"
    r"|(?P<link>!?\[)|(?P<emphasis>\*\*\*|\*\*|\*|___|__|_|~~)",
    re.DOTALL,
)
_TARGET = re.compile(r"\]\((?:[^()\\\n]|\\.|\([^()\n]*\))*\)|\]\[[^\]\n]*\]|\]")


class _Line(NamedTuple):
    text: str
    start: int


def read_markdown(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads a Markdown file.

    A paragraph is one text, whatever its lines; its translation is wrapped as they are. Code, front matter, link
    definitions and blocks of HTML stay.

    Args:
        path: the file.
        languages: the languages, which the file does not name.

    Raises:
        UserError: if the file cannot be read.
    """
    file = read_text_file(path)
    lines = [
        _Line(found[1], found.start()) for found in re.finditer(r"([^\r\n]*)(\r\n|\n|\r|\Z)", file.text) if found[0]
    ]
    number = _after_front_matter(lines)
    blank = True
    while number < len(lines):
        fence = _FENCE.match(lines[number].text)
        bare = lines[number].text[len(_PREFIX.match(lines[number].text)[0]) :]  # type: ignore[index]
        if fence and not (fence[1][0] == "`" and "`" in fence[2]):
            number = _after_fence(lines, number, fence[1])
        elif blank and re.match(r"(?: {4}|\t)", lines[number].text) and not _in_list(lines, number):
            number += 1
            continue  # indented code goes on
        elif blank and _HTML_BLOCK.match(bare) and not _HTML_INLINE.match(bare):
            while number < len(lines) and lines[number].text.strip():
                number += 1
        elif not bare.strip() or _RULE.match(bare) or _DEFINITION.match(bare):
            number += 1
        else:
            end = _end_of_block(lines, number)
            yield from _block(file, lines[number:end], number + 1)
            number = end
        blank = number == 0 or not lines[number - 1].text.strip()


def markdown_tagged(text: str) -> tuple[str, dict[str, str]]:
    """Returns a text with short tags for what Markdown marks up, and the code that these stand for.

    Example:

    >>> markdown_tagged("Use **`x`** or [this](https://a.b).")[0]
    'Use <g1><x2/></g1> or <g3>this</g3>.'
    """
    raw: dict[str, str] = {}
    taken = {int(number) for number in re.findall(r"</?[gx](\d+)/?>", text)}
    numbers = (number for number in range(1, 10**6) if number not in taken)

    def single(code: str) -> str:
        tag = f"<x{next(numbers)}/>"
        raw[tag] = code
        return tag

    def inside(part: str) -> str:
        written, place = [], 0
        while found := _KEPT.search(part, place):
            written.append(part[place : found.start()])
            place = found.end()
            if not (found["link"] or found["emphasis"]):
                written.append(single(found[0]))
            else:
                span = _enclosed(part, found)
                if span is None:
                    written.append(found[0] if found["emphasis"] in ("_", "*", None) else single(found[0]))
                    continue
                close_start, place = span
                number = next(numbers)
                raw[f"<g{number}>"], raw[f"</g{number}>"] = found[0], part[close_start:place]
                written.append(f"<g{number}>{inside(part[found.end() : close_start])}</g{number}>")
        return "".join([*written, part[place:]])

    return _pair_html(inside(text), raw), raw


def _pair_html(text: str, raw: dict[str, str]) -> str:
    """Makes pairs of the tags of HTML that open and close an element."""
    opened: list[tuple[str, str]] = []
    level: list[int] = []
    for tag in re.findall(r"<x\d+/>|</?g\d+>", text):
        if tag.startswith("<g"):
            level.append(len(opened))
        elif tag.startswith("</g"):
            del opened[level.pop() :]
        elif (html := re.fullmatch(r"<(/?)([A-Za-z][\w-]*)[^<>]*>", raw.get(tag, ""))) and not raw[tag].endswith("/>"):
            name, number = html[2].lower(), tag[2:-2]
            if not html[1]:
                opened.append((name, number))
                continue
            base = level[-1] if level else 0
            place = next((i for i in reversed(range(base, len(opened))) if opened[i][0] == name), None)
            if place is None:
                continue
            first = opened[place][1]
            del opened[place:]
            raw[f"<g{first}>"], raw[f"</g{first}>"] = raw.pop(f"<x{first}/>"), raw.pop(tag)
            text = text.replace(f"<x{first}/>", f"<g{first}>").replace(tag, f"</g{first}>")
    return text


def _enclosed(text: str, opening: re.Match[str]) -> tuple[int, int] | None:
    """Where what closes a link or an emphasis begins and ends; None if nothing does."""
    if opening["link"]:
        depth = 1
        for found in re.compile(r"\\.|`[^`]*`|[\[\]]").finditer(text, opening.end()):
            depth += {"[": 1, "]": -1}.get(found[0], 0)
            if not depth:
                target = _TARGET.match(text, found.start())
                assert target is not None
                # Square brackets alone are text, unless they name a definition, which cannot be known here.
                return (found.start(), target.end()) if target[0] != "]" else None
        return None
    mark = opening["emphasis"]
    after = text[opening.end() : opening.end() + 1]
    if not after or after.isspace() or (mark[0] == "_" and text[: opening.start()][-1:].isalnum()):
        return None
    close = re.compile(rf"(?<=\S)(?<!\\)(?<!{re.escape(mark[0])}){re.escape(mark)}(?!{re.escape(mark[0])})")
    for found in close.finditer(text, opening.end() + 1):
        inside = text[opening.end() : found.start()]
        if (mark[0] != "_" or not text[found.end() : found.end() + 1].isalnum()) and inside.count("`") % 2 == 0:
            return found.span()
    return None


def _after_front_matter(lines: Sequence[_Line]) -> int:
    if lines and lines[0].text.strip() in ("---", "+++"):
        for number, line in enumerate(lines[1:], 1):
            if line.text.strip() == lines[0].text.strip():
                return number + 1
    return 0


def _after_fence(lines: Sequence[_Line], number: int, fence: str) -> int:
    for place in range(number + 1, len(lines)):
        closing = _FENCE.match(lines[place].text)
        if closing and closing[1].startswith(fence) and not closing[2].strip():
            return place + 1
    return len(lines)


def _in_list(lines: Sequence[_Line], number: int) -> bool:
    """Whether an indented line belongs to an item of a list above it."""
    for line in reversed(lines[:number]):
        if not line.text.strip():
            continue
        if _BULLET.match(line.text.lstrip()):
            return True
        if not line.text.startswith((" ", "\t")):
            return False
    return False


def _end_of_block(lines: Sequence[_Line], number: int) -> int:
    """The number of the line after the paragraph that begins at a line."""
    first = lines[number].text
    prefix = _PREFIX.match(first)[0]  # type: ignore[index]
    if _HEADING.match(first[len(prefix) :]) or _is_row(lines, number):
        return number + 1
    end = number + 1
    while end < len(lines):
        text = lines[end].text
        before = _PREFIX.match(text)[0]  # type: ignore[index]
        bare = text[len(before) :]
        if not bare.strip() or before.count(">") != prefix.count(">") or _BULLET.match(bare) or _HEADING.match(bare):
            break
        if _RULE.match(bare) or _FENCE.match(text) or _DEFINITION.match(bare) or _is_row(lines, end):
            break
        end += 1
    return end


def _is_row(lines: Sequence[_Line], number: int) -> bool:
    """Whether a line is a row of a table: there is its rule above it, right below it, or it begins with a bar."""
    bare = lines[number].text.strip()
    if "|" not in bare:
        return False
    if bare.startswith("|"):
        return True
    place = number + 1
    while place >= 0 and place < len(lines) and "|" in lines[place].text:
        if _TABLE_RULE.match(lines[place].text.strip()):
            return True
        place -= 1
    return False


def _block(file: TextFile, lines: Sequence[_Line], number: int) -> Iterator[Unit]:
    first = lines[0]
    prefix = len(_PREFIX.match(first.text)[0])  # type: ignore[index]
    bullet = _BULLET.match(first.text, prefix) or _HEADING.match(first.text, prefix)
    begin = bullet.end() if bullet else prefix
    if len(lines) == 1 and _is_row(lines, 0):
        if not _TABLE_RULE.match(first.text.strip()):
            yield from _row(first, number)
        return
    if len(lines) == 1 and bullet and _HEADING.match(first.text, prefix):
        text = re.sub(r"[ \t]+#+[ \t]*$", "", first.text[begin:])
        yield from _unit([_Line(text.rstrip(), first.start + begin)], number, "", "\n")
        return
    parts = [_Line(first.text[begin:], first.start + begin)]
    for line in lines[1:]:
        inside = len(_PREFIX.match(line.text)[0])  # type: ignore[index]
        parts.append(_Line(line.text[inside:], line.start + inside))
    continuation = lines[1].text[: len(_PREFIX.match(lines[1].text)[0])] if len(lines) > 1 else ""  # type: ignore[index]
    # A line that ends in two spaces or a backslash is broken there.
    group: list[_Line] = []
    for place, part in enumerate(parts):
        hard = re.search(r"(?: {2,}|\\)$", part.text)
        group.append(_Line(part.text.rstrip() if not hard else part.text[: hard.start()].rstrip(), part.start))
        if hard or place == len(parts) - 1:
            yield from _unit(group, number + place + 1 - len(group), continuation, file.line_end)
            group = []


def _row(line: _Line, number: int) -> Iterator[Unit]:
    place = 0
    for cell in re.split(r"(?<!\\)\|", line.text):
        text = cell.strip()
        if text:
            start = line.start + place + cell.index(text)
            yield from _unit([_Line(text, start)], number, "", "\n")
        place += len(cell) + 1


def _unit(lines: Sequence[_Line], number: int, continuation: str, line_end: str) -> Iterator[Unit]:
    start, end = lines[0].start, lines[-1].start + len(lines[-1].text)
    text = " ".join(line.text.strip() for line in lines)
    tagged, raw = markdown_tagged(text)
    if not re.search(r"[^\W\d_]", re.sub(r"<[^<>]*>", "", tagged)):
        return
    width = max(len(line.text) for line in lines) if len(lines) > 1 else 0

    def edits(value: str | None) -> Sequence[Edit]:
        if not value:
            return []
        parts = re.split("(" + "|".join(map(re.escape, raw)) + ")", value) if raw else [value]
        written = "".join(raw[part] if place % 2 else part for place, part in enumerate(parts))
        if width:
            written = (line_end + continuation).join(_wrapped(written, width))
        return [Edit(start, end, written)]

    yield Unit(f"line {number}", number, tagged, tags=tuple(raw), edits=edits, code=raw.__getitem__)


def _wrapped(text: str, width: int) -> list[str]:
    """Wraps a paragraph so that no line begins with what would make it a list, a heading or a quote."""
    lines: list[str] = []
    for line in wrap(text, width):
        if lines and re.match(r"(?:[-*+>#|=~]|\d+[.)](?:\s|$))", line):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return lines
