"""Translates with the folder that `nmt.serving.lite.export.export_lite` writes, without TensorFlow.

It needs numpy, sentencepiece and ai-edge-litert, and nothing else outside the standard library:

    python -m nmt.serving.lite FOLDER < source.txt > translation.txt
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from nmt.constants import END, PADDING, SIDES
from nmt.serving.lite.search import Constraint, NoLoops, Options, Step, Symbols, beam_search
from nmt.text.boundaries import WORD_START, find_boundaries, split_long
from nmt.text.capitals import is_in_capitals, upper
from nmt.text.letters import count_letters, is_unreadable
from nmt.text.normalization import normalize
from nmt.text.pieces import read_pieces
from nmt.text.placeholders import KINDS, SYMBOLS, mask, pattern, restore
from nmt.text.repetition import RepetitionLimit, classes_of, find_word_classes, find_words, without_loops
from nmt.text.sentences import space_between, split_sentences
from nmt.text.truecaser import Truecaser
from nmt.utils.digests import check_files
from nmt.utils.errors import UserError
from nmt.utils.silence import silenced
from nmt.utils.standard_input import StandardInput
from nmt.utils.standard_streams import abandon_stdout, open_streams
from nmt.utils.terminal import joined_lines, printable

ENCODER, DECODER_STEP = "encoder.tflite", "decoder_step.tflite"
SOURCE_TOKENIZER, TARGET_TOKENIZER = "source.model", "target.model"
SETTINGS = "settings.json"
DIGESTS = "digests.json"
FORMAT = 3  # version of the folder's format; increased by every change that an older translator cannot read
_GREEDY = 2  # the format of exports that searched greedily only
# The numeric settings, with their types and minima.
_NUMBERS: dict[str, tuple[tuple[type, ...], int]] = {
    "max_tokens": ((int,), 2),
    "max_length_factor": ((int, float), 0),
    "max_length_offset": ((int,), 1),
    "min_length": ((int,), 0),
    "beam_size": ((int,), 1),
    "length_penalty": ((int, float), 0),
    "coverage_penalty": ((int, float), 0),
}

_FIRST_SYMBOL = END + 1  # the symbols of placeholders follow the end mark, in the order of `SYMBOLS`


class LiteTranslator:
    """Translates single lines.

    With float32 weights, its translations are those of `nmt.Translator` with the same settings of the search. A
    translator must not be shared between threads.

    Args:
        folder: a folder written by `nmt.serving.lite.export.export_lite`.

    Raises:
        UserError: if a file in the folder is missing, damaged or in another format, or ai-edge-litert is not
            installed.

    Example:

    >>> LiteTranslator("lite").translate("Restart the device.")  # doctest: +SKIP
    'Starten Sie das Gerät neu.'
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        checked = check_files(folder, DIGESTS, wholly=True)
        self.settings = _read_settings(folder)
        if not checked:
            _check_files(folder, self.settings["sha256"])
        self._source = _load_tokenizer(folder / SOURCE_TOKENIZER)
        self._target = _load_tokenizer(folder / TARGET_TOKENIZER)
        self._boundaries = find_boundaries(_pieces(self._source))
        self._letters = count_letters(_pieces(self._source))
        self._source_classes = find_word_classes(_pieces(self._source))
        self._target_classes = find_word_classes(_pieces(self._target))
        self._truecaser = _read_truecaser(folder / SETTINGS, self.settings)
        self._languages = tuple(str(self.settings.get(f"{side}_language", "")) for side in SIDES)
        self._encode = _load_model(folder / ENCODER)
        self._step = _load_model(folder / DECODER_STEP)

    def translate(self, line: str) -> str:
        """Translates a line.

        Args:
            line: any string. Its sentences are translated one by one, and one that is longer than the model's training
                sentences in parts.

        Returns:
            The translation; an empty string for a line without text.
        """
        if not isinstance(line, str):
            raise TypeError(f"`line`: expected str, got {type(line).__name__}")
        text = line.encode(errors="replace").decode()  # "?" for unpaired surrogates, which UTF-8 does not have
        source, target = self._languages
        sentences, end = [("", text)], ""
        if self.settings.get("split_sentences"):  # older exports lack it
            sentences, end = split_sentences(text, source, self.settings["placeholders"])
        translations = [self._sentence(sentence) for _, sentence in sentences]
        if not any(translation is not None for translation in translations):
            return ""
        spaces = [space_between(before, target) if place else before for place, (before, _) in enumerate(sentences)]
        pairs = zip(spaces, translations, strict=True)
        return "".join(space + (translation or "") for space, translation in pairs) + end

    def _sentence(self, sentence: str) -> str | None:
        """The translation of a sentence; None if it is empty."""
        masked, placeholders = mask(sentence, self.settings["placeholders"])
        text = normalize(masked)
        capitals = self._truecaser is not None and is_in_capitals(text)
        ids = self._source.encode(text if self._truecaser is None else self._truecaser.restore(text))
        if not ids:
            return None
        if self.settings.get("keep_unreadable") and is_unreadable(ids, self._letters):  # older exports lack the setting
            translation = str(self._source.decode(ids))
        else:
            parts = split_long(ids, self.settings["max_tokens"] - 1, self._boundaries)
            translation = " ".join(self._text(self.search([*part, END], placeholders)) for part in parts)
        return restore(upper(translation, self._languages[1]) if capitals else translation, placeholders)

    def search(self, ids: Sequence[int], placeholders: Sequence[str] = ()) -> list[int]:
        """Searches for the best translation; see `nmt.serving.lite.search`.

        Args:
            ids: token ids of the source, with the end mark last.
            placeholders: what each symbol of the source stands for; tags among them are nested.

        Returns:
            Token ids of the translation, with the end mark last.
        """
        settings, beam = self.settings, self.settings["beam_size"]
        memory = self._encode(ids=np.array([ids], np.int32))
        states = memory.pop("states")
        from_source = int(np.float32(settings["max_length_factor"]) * np.float32(len(ids)))  # rounded like the search
        limit = max(from_source + settings["max_length_offset"], settings["min_length"] + 1)
        options = Options(beam, settings["length_penalty"], settings["coverage_penalty"], limit, settings["min_length"])
        symbols = range(_FIRST_SYMBOL, _FIRST_SYMBOL + len(SYMBOLS)) if settings["placeholders"] else range(0)
        constraints: list[Constraint] = []
        if symbols:
            space = self._target.piece_to_id(WORD_START)
            tags = placeholders if settings.get("nest_tags") else ()  # older exports lack the setting
            constraints.append(Symbols(ids, _FIRST_SYMBOL, len(SYMBOLS), space, tags, beam))
        limit_repetition = settings.get("limit_repetition")  # older exports lack the setting
        words = [letters for letters, _ in find_words(ids[:-1], self._source_classes)] if limit_repetition else []
        if limit_repetition:
            limit = RepetitionLimit(classes_of(ids[:-1], self._source_classes), words)
            constraints.append(NoLoops(limit, self._target_classes, symbols, beam))

        def step(last: np.ndarray, states: np.ndarray) -> Step:
            made = self._step(token=last[None], states=states, **memory)
            scores = made["scores" if "scores" in made else "logits"].reshape(beam, -1)  # as older exports have it
            return Step(scores, made.get("attention"), made["states"])

        found = beam_search(step, states, options, constraints)
        if limit_repetition:
            kept = without_loops(found[:-1], ids[:-1], self._source_classes, self._target_classes, symbols)
            found = [*kept, END]
        return found

    def _text(self, ids: list[int]) -> str:
        return str(self._target.decode([index for index in ids[:-1] if index != PADDING]))


def is_lite_export(folder: Path) -> bool:
    """Returns whether a folder is one that `nmt.serving.lite.export.export_lite` writes."""
    return (folder / DECODER_STEP).exists()


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; expected the folder of a LiteRT export") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged: it is not JSON in UTF-8") from error
    if not isinstance(settings, dict) or settings.get("format") not in (_GREEDY, FORMAT):
        raise UserError(f"{path}: expected the settings of a LiteRT export of format {FORMAT}, got others")
    if settings["format"] == _GREEDY:
        settings |= {"beam_size": 1, "length_penalty": 1.0, "coverage_penalty": 0.0}
    for name, (types, minimum) in _NUMBERS.items():
        value: Any = settings.get(name)
        if type(value) not in types or not minimum <= value < math.inf:
            raise UserError(f"{path}: {name}: expected a number of at least {minimum}, got {value!r}")
    kinds: Any = settings.get("placeholders")
    try:
        pattern(kinds)
    except (ValueError, TypeError):
        raise UserError(f"{path}: placeholders: expected some of {', '.join(KINDS)}, got {kinds!r}") from None
    if not isinstance(settings.get("sha256"), dict):
        raise UserError(f"{path}: sha256: missing")
    return settings


def _read_truecaser(path: Path, settings: dict[str, Any]) -> Truecaser | None:
    language = str(settings.get("source_language", ""))
    if not settings.get("truecase", settings.get("lower_capitals")):  # as older exports have it
        return None
    try:
        return (
            Truecaser.from_json(settings["truecaser"], language)
            if settings.get("truecaser")
            else Truecaser(language=language)
        )
    except ValueError as error:
        raise UserError(f"{path}: truecaser: {error}") from None


def _check_files(folder: Path, digests: dict[str, Any]) -> None:
    """Compares the checksums of an earlier version: a damaged model may load without an error and translate wrongly."""
    for name in (ENCODER, DECODER_STEP, SOURCE_TOKENIZER, TARGET_TOKENIZER):
        try:
            with open(folder / name, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{folder / name}: cannot be read: {error.strerror}") from error
        if digests.get(name) != digest:
            raise UserError(f"{folder / name}: is damaged, or belongs to another export than {SETTINGS}")


def _pieces(tokenizer: sentencepiece.SentencePieceProcessor) -> list[str]:
    return list(tokenizer.id_to_piece(list(range(tokenizer.get_piece_size()))))


def _load_tokenizer(path: Path) -> Any:
    try:
        model = path.read_bytes()
        read_pieces(model)
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(model)  # the constructor would accept empty bytes
        return processor
    except (OSError, RuntimeError, ValueError):
        raise UserError(f"{path}: is not a tokenizer that this program has exported") from None


def _load_model(path: Path) -> Callable[..., dict[str, np.ndarray]]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError("ai-edge-litert is not installed: pip install ai-edge-litert") from error
    try:
        with silenced():
            interpreter = Interpreter(model_path=str(path))
            interpreter.allocate_tensors()
        return interpreter.get_signature_runner()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"{path}: this version of ai-edge-litert cannot run it: {' '.join(str(error).split())}"
        ) from error


def main() -> None:
    """Translates standard input to standard output, line by line."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.serving.lite", description="Translates standard input to standard output, line by line."
    )
    parser.add_argument("folder", type=Path, help="a folder written by `nmt export RUN --to FOLDER --format litert`")
    open_streams()
    try:
        translator = LiteTranslator(parser.parse_args().folder)
        for line in StandardInput():
            translation = translator.translate(line.decode("utf-8", "replace"))
            print(printable(joined_lines(translation), sys.stdout), flush=True)
    except UserError as error:
        print(printable(str(error), sys.stderr), file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader of the pipe, such as `head`, has closed it
        abandon_stdout()
        raise SystemExit(0) from None
    except OSError as error:
        abandon_stdout()
        print(f"input or output failed: {error.strerror or error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
