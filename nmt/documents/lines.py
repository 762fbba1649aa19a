"""Translations from and to files and streams."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from nmt.inference.alignment import heat_map, pharaoh
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.progress import tracked

Alignments = Literal["words", "pieces"] | None


# Lines, and how many to read before any is translated if that matters, to each line's translations, the best first:
# named tuples with the fields of `Hypothesis` that are asked for, or at least with `text` and `score`.
Translate = Callable[[Iterator[str], int | None], Iterator[Sequence[Any]]]


def write_translations(
    translate: Translate,
    source: Path | None,
    output: Path | None,
    *,
    as_json: bool = False,
    alignments: Alignments = None,
    heat_maps: Path | None = None,
) -> None:
    """Translates a file or stdin, line by line, to a file or stdout, in constant memory.

    Args:
        translate: translates lines, as `Translator.translate` does.
        source: a UTF-8 file; stdin if None.
        output: a file that appears once it is complete; stdout if None.
        as_json: whether a JSON object is written for each line: the line's number, its text, and its hypotheses with
            text, score, log-probability where it is known and, where asked, alignment. Otherwise the best translation
            alone.
        alignments: between what alignments are written, if at all.
        heat_maps: a folder that gets `line-000001.png` and so on, the attention of each line's best translation.

    Raises:
        UserError: if a file cannot be read or written.
    """
    read: list[str] = []  # lines whose translations have not been written yet

    def remembered(lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            read.append(line)
            yield line

    target: Any = nullcontext(sys.stdout) if output is None else written_whole(output)
    with _lines(source) as lines, target as file:
        # A person who types waits for each answer; a stream is read ahead.
        window = 1 if source is None and sys.stdin.isatty() else None
        translated = translate(remembered(lines), window)
        if source is not None and output is not None:  # nothing else is on the terminal
            translated = tracked(translated, "translating")
        for number, hypotheses in enumerate(translated, 1):
            text = read.pop(0)
            if as_json:
                shown = [_plain(hypothesis, alignments) for hypothesis in hypotheses]
                file.write(json.dumps({"line": number, "source": text, "hypotheses": shown}, ensure_ascii=False) + "\n")
            else:
                file.write(_best(hypotheses, alignments) + "\n")
            if heat_maps is not None and hypotheses:
                best = hypotheses[0]
                picture = heat_maps / f"line-{number:06}.png"
                heat_map(best.attention, best.source_pieces, best.target_pieces, picture)
            if output is None:
                file.flush()


def _best(hypotheses: Sequence[Any], alignments: Alignments) -> str:
    if not hypotheses:
        return ""
    return hypotheses[0].text + (f" ||| {_alignment(hypotheses[0], alignments)}" if alignments else "")


def _plain(hypothesis: Any, alignments: Alignments) -> dict[str, Any]:
    numbers = ("text", "score", "log_probability")
    plain = {name: getattr(hypothesis, name) for name in numbers if hasattr(hypothesis, name)}
    return plain | ({"alignment": _alignment(hypothesis, alignments)} if alignments else {})


def _alignment(hypothesis: Any, alignments: Alignments) -> str:
    words = alignments == "words"
    return pharaoh(hypothesis.attention, hypothesis.source_pieces, hypothesis.target_pieces, words=words)


@contextmanager
def _lines(path: Path | None) -> Iterator[Iterator[str]]:
    """Lines without their ends; bytes that are no UTF-8 become U+FFFD, as the model reads them."""
    if path is None:
        yield (line.decode("utf-8", "replace").rstrip("\r\n") for line in sys.stdin.buffer)
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    with file:
        yield (line.decode("utf-8", "replace").rstrip("\r\n") for line in file)
