"""Translates a long stream of lines in parts of a file each, so that a killed process resumes at the last part."""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.data.cleaning import Pair
from nmt.evaluation.metrics import bleu_tokenizer
from nmt.inference.translator import Hypothesis, Translator
from nmt.text.masking import mask
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.folders import names_in

Choose = Callable[[Sequence[Hypothesis], str], Sequence[Hypothesis]]  # from hypotheses and a reference to some of them

_ARGUMENTS = "arguments.json"
_PART = re.compile(rf"\d{{6,9}}\.jsonl|{re.escape(_ARGUMENTS)}", re.ASCII)
_PART_LINES = 10_000


class TranslatedLine(NamedTuple):
    """A line, one of its translations, and that translation's score.

    The translation is None if the line is longer than the training sentences of the model.
    """

    text: str
    translation: str | None
    score: float


def translate_in_parts(
    folder: str | Path, arguments: dict[str, Any], lines: Iterable[Pair], translator: Translator, choose: Choose
) -> list[Path]:
    """Translates lines, except those in the parts that an earlier call with the same arguments has finished.

    Args:
        folder: the folder for the parts.
        arguments: everything that the translations depend on, as values for JSON.
        lines: the source lines, with their references or with empty strings.
        translator: translates the lines.
        choose: picks some of the hypotheses of a line; see `best` and `closest_to_reference`.

    Returns:
        The files of the parts, in order; `read_parts` reads them.

    Raises:
        UserError: if the folder belongs to a call with other arguments, or cannot be written.
    """
    folder = Path(folder)
    _check_arguments(folder, arguments)
    remaining = iter(lines)
    parts: list[Path] = []
    while chunk := list(itertools.islice(remaining, _PART_LINES)):
        path = folder / f"{len(parts):06}.jsonl"
        if not path.exists():
            with written_whole(path) as file:
                rows = _translate(chunk, translator, choose)
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        parts.append(path)
    return parts


def read_parts(parts: Iterable[str | Path]) -> Iterator[tuple[TranslatedLine, Path]]:
    """Reads translated lines back, each with the file that it comes from.

    Args:
        parts: the files that `translate_in_parts` returned.
    """
    for path in parts:
        with open(path, encoding="utf-8", newline="\n") as file:
            for line in file:
                yield TranslatedLine(*json.loads(line)), Path(path)


def are_parts(folder: str | Path) -> bool:
    """Returns whether a folder holds parts, finished or not, and nothing else.

    Args:
        folder: the folder.
    """
    folder = Path(folder)
    return folder.is_dir() and not folder.is_symlink() and all(map(_PART.fullmatch, names_in(folder)))


def remove_parts(folder: str | Path) -> None:
    """Deletes the parts and their folder.

    Args:
        folder: the folder of `translate_in_parts`; anything else in it stays, and so does the folder then.
    """
    for name in names_in(folder):
        if _PART.fullmatch(name):
            (Path(folder) / name).unlink()
    with suppress(OSError):
        Path(folder).rmdir()


def best(number: int) -> Choose:
    """Returns a function that picks the hypotheses with the highest scores.

    Args:
        number: how many.
    """
    return lambda hypotheses, reference: hypotheses[:number]


def closest_to_reference(number: int, language: str) -> Choose:
    """Returns a function that picks the hypotheses with the highest sentence BLEU, among equals the best scored.

    Args:
        number: how many.
        language: code of the target language, which selects the tokenizer.
    """
    from sacrebleu.metrics import BLEU

    metric = BLEU(effective_order=True, tokenize=bleu_tokenizer(language))

    def choose(hypotheses: Sequence[Hypothesis], reference: str) -> Sequence[Hypothesis]:
        def bleu(hypothesis: Hypothesis) -> float:
            return metric.sentence_score(hypothesis.text, [reference]).score

        return sorted(hypotheses, key=bleu, reverse=True)[:number]

    return choose


def _check_arguments(folder: Path, arguments: dict[str, Any]) -> None:
    """Records the arguments in a new folder, and compares them with those of an existing one."""
    path, content = folder / _ARGUMENTS, json.dumps(arguments, indent=2)
    try:
        recorded = path.read_text(encoding="utf-8") if path.exists() else content
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if recorded != content:
        raise UserError(f"{folder.parent}: was begun with other arguments ({path.name}); choose another folder")
    with written_whole(path) as file:
        file.write(content)


def _translate(lines: Sequence[Pair], translator: Translator, choose: Choose) -> Iterator[TranslatedLine]:
    """Translates the lines of a part, except those that are too long for the model."""
    tokenizer = translator.text_to_text.source_tokenizer
    masked = mask(tokenizer.placeholders, tf.constant([text for text, _ in lines]))
    fits = (tokenizer.encode(masked.source).row_lengths() <= translator.text_to_text.max_tokens).numpy()
    translations = translator.hypotheses(line.source for line, fit in zip(lines, fits, strict=True) if fit)
    for (text, reference), fit in zip(lines, fits, strict=True):
        hypotheses = next(translations) if fit else []
        for chosen in choose(hypotheses, reference):
            yield TranslatedLine(text, chosen.text, chosen.score)
        if not hypotheses:
            yield TranslatedLine(text, None, 0.0)
