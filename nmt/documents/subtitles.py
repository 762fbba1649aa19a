"""Subtitles: SubRip (.srt) and WebVTT (.vtt), whose times stay."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.data.formats.text_file import read_text_file
from nmt.data.formats.units import Edit, Languages, Unit
from nmt.text.layout import balanced, columns

_TIMES = re.compile(r"[ \t]*(?:\d+:)?\d{1,2}:\d{2}[,.]\d{1,3}[ \t]*-->[ \t]*(?:\d+:)?\d{1,2}:\d{2}[,.]\d{1,3}.*")
_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|\Z)")
_SPEAKER = re.compile(r"\s*(?:<[^<>]*>|\{\\[^{}]*\})*\s*[-–—](?!-)")  # noqa: RUF001 (dashes that begin speech)
_WIDEST = 42  # columns of a line, as broadcasters want it


def read_subtitles(path: str | Path, languages: Languages) -> Iterator[Unit | Edit]:
    """Reads subtitles.

    The lines of a subtitle are one text, unless each begins with the dash of a speaker. Its translation is divided into
    as many lines.

    Args:
        path: the file.
        languages: the languages, which the file does not name.

    Raises:
        UserError: if the file cannot be read, or has no times.
    """
    file = read_text_file(path)
    if not file.text.strip():
        return
    lines = [found for found in _LINE.finditer(file.text) if found[0]]
    number, count = 0, 0
    while number < len(lines):
        if not _TIMES.fullmatch(lines[number][1]):
            number += 1
            continue
        count += 1
        first = number + 1
        number = first
        while number < len(lines) and lines[number][1].strip() and not _TIMES.fullmatch(lines[number][1]):
            number += 1
        if number < len(lines) and number > first and _TIMES.fullmatch(lines[number][1]):
            number -= 1  # the next subtitle's number, where no empty line precedes it
        yield from _units(lines[first:number], str(count), first + 1)
    if not count and not file.text.startswith("WEBVTT"):
        raise file.error(0, "has no subtitle's times, such as 00:00:01,000 --> 00:00:02,000")


def _units(lines: Sequence[re.Match[str]], name: str, line: int) -> Iterator[Unit]:
    texts = [found[1].strip() for found in lines]
    speakers = [bool(_SPEAKER.match(text)) for text in texts]
    # A speaker's lines go on until the next one begins.
    starts = [i for i, speaks in enumerate(speakers) if speaks or i == 0] if sum(speakers) > 1 else [0][: len(lines)]
    for number, begin in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(lines)
        own = lines[begin:end]
        text = " ".join(texts[begin:end])
        widest = max([_WIDEST, *(columns(re.sub("<[^<>]*>", "", one)) for one in texts[begin:end])])
        line_end = own[0][2] if len(own) > 1 else "\n"

        def edits(
            value: str | None,
            span: tuple[int, int] = (own[0].start(1), own[-1].end(1)),
            count: int = len(own),
            widest: int = widest,
            line_end: str = line_end,
        ) -> Sequence[Edit]:
            return [Edit(*span, line_end.join(balanced(value, count, widest)))] if value else []

        yield Unit(name if len(starts) == 1 else f"{name}/{number + 1}", line + begin, text, edits=edits)
