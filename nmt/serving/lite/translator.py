"""Translates with the folder that `nmt export --format litert` writes, without TensorFlow.

Beside the standard library it needs numpy, sentencepiece and ai-edge-litert alone:

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

from nmt.text.boundaries import SENTENCE_ENDS, SPACELESS_SENTENCE_ENDS, WORD_START
from nmt.text.normalization import normalize
from nmt.text.placeholders import KINDS, SYMBOLS, hide, restore
from nmt.utils.errors import UserError
from nmt.utils.silence import silenced

ENCODER, DECODER_STEP = "encoder.tflite", "decoder_step.tflite"
SOURCE_TOKENIZER, TARGET_TOKENIZER = "source.model", "target.model"
SETTINGS = "settings.json"
FORMAT = 2  # of the folder; counts up when what an older runner expects of it changes
# Settings that are numbers: their types and least values.
_NUMBERS = {
    "max_tokens": ((int,), 2),
    "max_length_factor": ((int, float), 0),
    "max_length_offset": ((int,), 1),
    "min_length": ((int,), 0),
}

_PADDING, _BEGIN, _END = 0, 2, 3  # as in `nmt.text.tokenizer`
_FIRST_SYMBOL, _EARLY = 4, -1e5  # as in `nmt.decoding.keeping`


class LiteTranslator:
    """Translates line by line, as `nmt translate` does with `decoding.beam_size=1`.

    With float32 weights the output is the checkpoint's. Each thread needs a translator of its own.

    Args:
        folder: what `nmt.serving.lite.export.export_lite` wrote.

    Raises:
        UserError: if a file there is missing, damaged or of another version, or ai-edge-litert is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.settings = _read_settings(folder)
        _check_files(folder, self.settings["sha256"])
        self._source = _load_tokenizer(folder / SOURCE_TOKENIZER)
        self._target = _load_tokenizer(folder / TARGET_TOKENIZER)
        self._encode = _load_model(folder / ENCODER)
        self._step = _load_model(folder / DECODER_STEP)

    def translate(self, line: str) -> str:
        """Translates a line.

        Args:
            line: any string. One of more tokens than the model has seen in training is translated in parts.

        Returns:
            Its translation; of an empty line, or one of white space alone, an empty one.
        """
        text = line.encode(errors="replace").decode()  # half a surrogate pair, which no UTF-8 has, becomes a "?"
        hidden, placeholders = hide(text, self.settings["placeholders"])
        ids = self._source.encode(normalize(hidden.replace(WORD_START, " ")))
        if not ids:
            return ""
        parts = split_long(ids, self.settings["max_tokens"] - 1, self._source.id_to_piece)
        return restore(" ".join(self._text(self.search([*part, _END])) for part in parts), placeholders)

    def search(self, ids: Sequence[int]) -> list[int]:
        """Searches greedily: each token is the likeliest after those before it.

        Args:
            ids: of the source, its end mark last.

        Returns:
            The translation's ids, its end mark last.
        """
        settings = self.settings
        memory = self._encode(ids=np.array([ids], np.int32))
        states = memory.pop("states")
        from_source = int(np.float32(settings["max_length_factor"]) * np.float32(len(ids)))  # rounded as the search's
        limit = max(from_source + settings["max_length_offset"], settings["min_length"] + 1)
        missing = [ids.count(_FIRST_SYMBOL + number) for number in range(len(SYMBOLS))]
        found: list[int] = []
        while len(found) < limit - 1 and _END not in found[-1:]:
            last = np.array([found[-1:] or [_BEGIN]], np.int32)
            step = self._step(token=last, states=states, **memory)
            logits, states = step["logits"], step["states"]
            if settings["placeholders"]:
                self._keep_symbols(logits, missing, limit - len(found))
            if len(found) < settings["min_length"]:
                logits[_END] = -np.inf
            found.append(int(logits.argmax()))
            if 0 <= found[-1] - _FIRST_SYMBOL < len(SYMBOLS):
                missing[found[-1] - _FIRST_SYMBOL] -= 1
        return found if _END in found[-1:] else [*found, _END]

    def _keep_symbols(self, logits: np.ndarray, missing: list[int], room: int) -> None:
        """Makes impossible what `nmt.decoding.keeping` does, where there is room for so many tokens."""
        symbols = slice(_FIRST_SYMBOL, _FIRST_SYMBOL + len(SYMBOLS))
        space = self._target.piece_to_id(WORD_START)
        of_symbols = np.where(np.array(missing) > 0, logits[symbols], -np.inf)
        of_end, of_space = logits[_END], logits[space]
        if any(missing):
            no_room = room <= sum(missing) + 1
            if no_room or of_end == logits.max():
                logits[:] = -np.inf
                logits[space] = -np.inf if no_room else of_space
            logits[_END] = of_end + _EARLY
        logits[symbols] = of_symbols

    def _text(self, ids: list[int]) -> str:
        return str(self._target.decode([index for index in ids[:-1] if index != _PADDING]))


def split_long(ids: Sequence[int], limit: int, piece: Callable[[int], str]) -> list[Sequence[int]]:
    """Cuts a text of more than `limit` tokens into parts, where `nmt.text.splitting` cuts it.

    A part takes as many tokens as it may, up to the last end of a sentence in the second half of these, or else the
    last end of a word there, or else all of them.

    Args:
        ids: without end mark.
        limit: the most tokens of a part, at least 1.
        piece: names an id.

    Returns:
        The parts, in order; none is empty.

    Example:

    >>> split_long("▁a b ▁c. ▁d ▁e f".split(), 4, str)
    [['▁a', 'b', '▁c.'], ['▁d', '▁e', 'f']]
    """
    start, parts = 0, []
    while len(ids) - start > limit:
        window = range(start + limit, start + limit // 2, -1)
        sentences = (cut for cut in window if _ends_sentence(piece(ids[cut - 1]), piece(ids[cut])))
        words = (cut for cut in window if piece(ids[cut]).startswith(WORD_START))
        cut = next(sentences, None) or next(words, start + limit)
        parts.append(ids[start:cut])
        start = cut
    return [*parts, ids[start:]]


def _ends_sentence(before: str, after: str) -> bool:
    """Whether a sentence ends between two neighbouring pieces."""
    bare = before.strip(WORD_START)
    return bare.endswith(SPACELESS_SENTENCE_ENDS) or (bare.endswith(SENTENCE_ENDS) and after.startswith(WORD_START))


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; expected the folder of a LiteRT export") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is damaged: it is not JSON in UTF-8") from error
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise UserError(f"{path}: expected the settings of a LiteRT export of format {FORMAT}, got others")
    for name, (kinds, least) in _NUMBERS.items():
        value: Any = settings.get(name)
        if type(value) not in kinds or not least <= value < math.inf:
            raise UserError(f"{path}: {name}: expected a number of at least {least}, got {value!r}")
    hidden = settings.get("placeholders")
    if not isinstance(hidden, list) or not all(isinstance(kind, str) and kind in KINDS for kind in hidden):
        raise UserError(f"{path}: placeholders: expected some of {', '.join(KINDS)}, got {hidden!r}")
    if not isinstance(settings.get("sha256"), dict):
        raise UserError(f"{path}: sha256: missing")
    return settings


def _check_files(folder: Path, digests: dict[str, Any]) -> None:
    """A damaged model may well load, and translate nonsense."""
    for name in (ENCODER, DECODER_STEP, SOURCE_TOKENIZER, TARGET_TOKENIZER):
        try:
            with open(folder / name, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{folder / name}: cannot be read: {error.strerror}") from error
        if digests.get(name) != digest:
            raise UserError(f"{folder / name}: is damaged, or of another export than {SETTINGS}")


def _load_tokenizer(path: Path) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


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
    """Translates stdin to stdout, line by line."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.serving.lite", description="Translates stdin to stdout, line by line."
    )
    parser.add_argument("folder", type=Path, help="what `nmt export RUN --to FOLDER --format litert` wrote")
    try:
        translator = LiteTranslator(parser.parse_args().folder)
        for line in sys.stdin.buffer:
            translation = translator.translate(line.decode("utf-8", "replace").rstrip("\r\n"))
            sys.stdout.buffer.write(translation.encode() + b"\n")
            sys.stdout.buffer.flush()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader, as `head`, has seen enough
        sys.stderr.close()
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
