"""Plain text, one sentence per line: translates a file or a stream, to text or to JSON lines."""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from nmt.inference.alignment import CONTROL_PIECES, heat_map, pharaoh
from nmt.utils.files import check_outputs, written_whole
from nmt.utils.json_text import json_text
from nmt.utils.lines import read_lines
from nmt.utils.progress import tracked
from nmt.utils.standard_input import StandardInput
from nmt.utils.terminal import joined_lines, printable

AlignmentUnit = Literal["words", "pieces"]

# From lines, and a function that says whether the next line is there already (None if all are), to the hypotheses of
# each line, the best first. A hypothesis has `text` and `score`, and may have the other fields of `nmt.inference`'s
# `Hypothesis`.
TranslateLines = Callable[[Iterator[str], Callable[[], bool] | None], Iterator[Sequence[Any]]]


def translate_text_file(
    translate: TranslateLines,
    source: str | Path | None,
    output: str | Path | None,
    *,
    as_json: bool = False,
    alignments: AlignmentUnit | None = None,
    heat_maps: str | Path | None = None,
) -> None:
    """Translates a text file line by line, in constant memory.

    Args:
        translate: function that translates a stream of lines; see `TranslateLines`.
        source: a text file, which may be compressed; see `nmt.utils.lines.read_lines`. None for standard input in
            UTF-8, whose lines are answered once no more are ready. Invalid bytes become U+FFFD.
        output: the file to write, which appears once it is complete; None for standard output.
        as_json: whether to write one JSON object per line instead of the best translation: the line's number, its
            text, and its hypotheses with their text, score, log-probability if known, and alignment if requested.
        alignments: whether to write the alignment of each translation, between words, which are what white space
            separates in the line and in its translation, or between pieces, which are in JSON too; None for no
            alignments. Requires hypotheses with attention.
        heat_maps: a folder for pictures of the attention of each line's best translation, `line-000001.png` and so
            on; None for no pictures. Requires hypotheses with attention.

    Raises:
        UserError: if a file cannot be read or written, or `output` is `source`.

    Example:

    >>> import tempfile
    >>> from collections import namedtuple
    >>> Hypothesis = namedtuple("Hypothesis", ["text", "score"])
    >>> source = Path(tempfile.mkdtemp()) / "source.txt"
    >>> _ = source.write_text("one\\ntwo\\n")
    >>> translate_text_file(lambda lines, _: ([Hypothesis(line.upper(), -0.5)] for line in lines), source, None)
    ONE
    TWO
    """
    pending: deque[str] = deque()  # lines that have been read, but whose translations have not been written yet

    def recorded(lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            pending.append(line)
            yield line

    stream = StandardInput() if source is None else read_lines(source)  # a missing file is an error before any output
    lines = (line.decode("utf-8", "replace") for line in stream)
    if source is not None and output is not None:
        check_outputs([output], [source])
    target: Any = nullcontext(sys.stdout) if output is None else written_whole(Path(output))
    with target as file:
        translated = translate(recorded(lines), stream.is_ready if isinstance(stream, StandardInput) else None)
        if source is not None and output is not None:  # otherwise the progress bar would mix with the lines
            translated = tracked(translated, "translating")
        for number, hypotheses in enumerate(translated, 1):
            text = pending.popleft()
            if as_json:
                plain = [_as_json(hypothesis, alignments) for hypothesis in hypotheses]
                row = json_text({"line": number, "source": text, "hypotheses": plain})
            else:
                row = joined_lines(_best(hypotheses, alignments))
            file.write(printable(row + "\n", file))
            if heat_maps is not None and hypotheses:
                best = hypotheses[0]
                picture = Path(heat_maps) / f"line-{number:06}.png"
                heat_map(best.attention, best.source_pieces, best.target_pieces, picture)
            if output is None:
                file.flush()


def _best(hypotheses: Sequence[Any], alignments: AlignmentUnit | None) -> str:
    """Returns the best translation, followed by ` ||| ` and its alignment if requested."""
    if not hypotheses:
        return ""
    return hypotheses[0].text + (f" ||| {_alignment(hypotheses[0], alignments)}" if alignments else "")


def _as_json(hypothesis: Any, alignments: AlignmentUnit | None) -> dict[str, Any]:
    names = ("text", "score", "log_probability")
    fields = {name: getattr(hypothesis, name) for name in names if hasattr(hypothesis, name)}
    if alignments == "pieces":  # which stand nowhere else
        for name in ("source_pieces", "target_pieces"):
            fields[name] = [piece for piece in getattr(hypothesis, name) if piece not in CONTROL_PIECES]
    return fields | ({"alignment": _alignment(hypothesis, alignments)} if alignments else {})


def _alignment(hypothesis: Any, alignments: AlignmentUnit | None) -> str:
    return pharaoh(
        hypothesis.attention,
        hypothesis.source_pieces,
        hypothesis.target_pieces,
        words=alignments == "words",
        source_words=hypothesis.source_words,
        target_words=hypothesis.target_words,
    )
