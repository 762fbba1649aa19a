"""The vocabularies of a run: trained on its text, or taken from elsewhere, and how one vocabulary maps to another."""

import itertools
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sentencepiece

from nmt.config import Config
from nmt.constants import SIDES, Side
from nmt.data.token_store import read_masked_sentences, read_model
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

_LOG = logging.getLogger(__name__)

# The arguments of `train_tokenizer` and `Tokenizer` that are settings too, wherever they are no part of a path.
_ARGUMENTS = re.compile(r"(?<![\w./-])(vocabulary_size|character_coverage|placeholders)(?![\w./-])")


def make_tokenizers(config: Config, folder: str | Path) -> None:
    """Writes the tokenizer models of both sides, `source.model` and `target.model`, into a prepared folder.

    Args:
        config: the configuration; its `task`, `tokenizer`, `seed` and `training.start_from` matter.
        folder: the folder with the cleaned texts.

    Raises:
        UserError: if a tokenizer to take over cannot be read, or the text does not suit the settings.
    """
    folder, start, kinds = Path(folder), config.training.tokenizers_of, config.tokenizer.placeholders
    if start is not None:
        _LOG.info("taking the tokenizers of %s", start)
        for side in SIDES:
            _write(folder, [side], _read("training.start_from", start / "data" / f"{side}.model", kinds))
    elif config.tokenizer.model is not None:
        _write(folder, SIDES, _read("tokenizer.model", config.tokenizer.model, kinds))
    else:
        _LOG.info("training the tokenizer")
        _train(config, folder)


def load_tokenizers(folder: str | Path, placeholders: Sequence[str] = ()) -> tuple[Tokenizer, Tokenizer]:
    """Loads the tokenizers of a prepared folder.

    Args:
        folder: a prepared folder.
        placeholders: the setting `tokenizer.placeholders` by which it was prepared.

    Returns:
        The tokenizers of the source and the target language; the same object twice if the vocabulary is joint.

    Raises:
        UserError: if a file is missing or damaged.
    """
    folder = Path(folder)
    source, target = (read_model(folder, side) for side in SIDES)
    with _settings_named():
        tokenizer = Tokenizer(source, str(folder / "source.model"), placeholders)
        if source == target:
            return tokenizer, tokenizer
        return tokenizer, Tokenizer(target, str(folder / "target.model"), placeholders)


def find_in(old: Tokenizer, new: Tokenizer) -> list[list[int]]:
    """Finds the pieces of a new vocabulary in an old one.

    Args:
        old: the tokenizer with the old vocabulary.
        new: the tokenizer with the new vocabulary.

    Returns:
        For each id of `new` the ids of `old` that spell the same text: one id if `old` has the piece itself, as it
        always has special tokens and bytes, or else the ids into which it splits the piece's text.

    Example:

    >>> old, new = (Tokenizer(train_tokenizer([text], 300, "bpe")) for text in ("we see", "we saw"))
    >>> found = dict(zip(new.pieces(), (old.pieces(ids) for ids in find_in(old, new))))
    >>> found["<s>"], found["▁we"], found["aw"]
    (['<s>'], ['▁we'], ['<0x61>', 'w'])
    """
    processor = sentencepiece.SentencePieceProcessor(model_proto=old.model)
    # A piece contains its own mark of a space, or stands inside a word: nothing must be added to it or removed.
    processor.OverrideNormalizerSpec(add_dummy_prefix=False, remove_extra_whitespaces=False)
    known = {piece: index for index, piece in enumerate(old.pieces())}
    return [[known[piece]] if piece in known else processor.encode(piece) for piece in new.pieces()]


def _train(config: Config, folder: Path) -> None:
    """Trains one tokenizer for both sides, or one for each."""
    options = config.tokenizer
    both = options.joint or config.task == "language_model"
    groups: list[tuple[Side, ...]] = [SIDES] if both else [(side,) for side in SIDES]
    for group in groups:
        sides = group if config.task == "translation" else ("target",)  # a language model's source is empty
        sentences = itertools.chain.from_iterable(
            read_masked_sentences(folder, "train", side, options.placeholders) for side in sides
        )
        with _settings_named():
            model = train_tokenizer(
                sentences,
                vocabulary_size=options.vocabulary_size,
                algorithm=options.algorithm,
                character_coverage=options.character_coverage,
                placeholders=options.placeholders,
                seed=config.seed,
            )
        _write(folder, group, model)


@contextmanager
def _settings_named() -> Iterator[None]:
    """Turns errors that name arguments of the tokenizer into errors that name the settings behind them."""
    try:
        yield
    except UserError as error:
        raise UserError(_ARGUMENTS.sub(r"tokenizer.\1", str(error))) from error


def _read(setting: str, path: Path, placeholders: Sequence[str]) -> bytes:
    """Reads a tokenizer model that a setting names, and makes sure that it can be used."""
    try:
        model = path.read_bytes()
    except OSError as error:
        raise UserError(f"{setting}: {path}: cannot be read: {error.strerror}") from error
    with _settings_named():
        Tokenizer(model, str(path), placeholders)
    return model


def _write(folder: Path, sides: Sequence[Side], model: bytes) -> None:
    for side in sides:
        with written_whole(folder / f"{side}.model", "wb") as file:
            file.write(model)
