"""Where a vocabulary comes from: trained on a folder's text, or taken over; and what its pieces are in another one."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import sentencepiece

from nmt.config import Config
from nmt.constants import SIDES, Side
from nmt.data.token_store import read_masked_lines
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole


def make_tokenizers(config: Config, folder: Path, tell: Callable[[str], None]) -> None:
    """Writes `source.model` and `target.model`.

    Args:
        config: of which `task`, `tokenizer`, `seed` and what fine-tuning starts from count.
        folder: where the cleaned texts are.
        tell: is given a line for people about what is being done.

    Raises:
        UserError: if there is no tokenizer to take, or the text does not do for the settings.
    """
    start, kinds = config.training.tokenizers_of, config.tokenizer.placeholders
    if start is not None:
        tell(f"taking the tokenizers of {start}")
        for side in SIDES:
            _write(folder, [side], _read("training.start_from", start / "data" / f"{side}.model", kinds))
    elif config.tokenizer.model is not None:
        _write(folder, SIDES, _read("tokenizer.model", config.tokenizer.model, kinds))
    else:
        tell("training the tokenizer")
        _train(config, folder)


def find_in(old: Tokenizer, new: Tokenizer) -> list[list[int]]:
    """Finds the pieces of a new vocabulary in an old one.

    Args:
        old: the tokenizer to look in.
        new: the tokenizer whose pieces are looked for.

    Returns:
        For each new id the old ids of its text: the one piece that is the same, as bytes and marks always are, or
        else those into which the old tokenizer splits it.

    Example:

    >>> from nmt.config import TokenizerSettings
    >>> settings = TokenizerSettings(algorithm="bpe", vocabulary_size=300)
    >>> old, new = (Tokenizer(train_tokenizer([text], settings, seed=1)) for text in ("we see", "we saw"))
    >>> found = dict(zip(new.pieces(), (old.pieces(ids) for ids in find_in(old, new))))
    >>> found["<s>"], found["▁we"], found["aw"]
    (['<s>'], ['▁we'], ['<0x61>', 'w'])
    """
    processor = sentencepiece.SentencePieceProcessor(model_proto=old.model)
    # A piece's text has its own mark of a space, or stands within a word.
    processor.OverrideNormalizerSpec(add_dummy_prefix=False, remove_extra_whitespaces=False)
    known = {piece: index for index, piece in enumerate(old.pieces())}
    return [[known[piece]] if piece in known else processor.encode(piece) for piece in new.pieces()]


def _train(config: Config, folder: Path) -> None:
    both = config.tokenizer.joint or config.task == "language_model"
    groups: list[tuple[Side, ...]] = [SIDES] if both else [(side,) for side in SIDES]
    for group in groups:
        sides = group if config.task == "translation" else ("target",)  # the other one is empty
        kinds = config.tokenizer.placeholders
        sentences = itertools.chain.from_iterable(read_masked_lines(folder, "train", side, kinds) for side in sides)
        _write(folder, group, train_tokenizer(sentences, config.tokenizer, config.seed))


def _read(setting: str, path: Path, placeholders: Sequence[str]) -> bytes:
    try:
        model = path.read_bytes()
    except OSError as error:
        raise UserError(f"{setting}: {path}: cannot be read: {error.strerror}") from error
    Tokenizer(model, str(path), placeholders)  # complains about what is none, or none for these settings
    return model


def _write(folder: Path, sides: Sequence[Side], model: bytes) -> None:
    for side in sides:
        with written_whole(folder / f"{side}.model", "wb") as file:
            file.write(model)
