"""How probable a run's model finds given translations or texts."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from nmt.config import Config, SideFiles
from nmt.constants import PADDING
from nmt.data.raw_pair import RawPair
from nmt.data.readers import read_sides, read_texts
from nmt.decoding.scoring import make_sentence_scorer
from nmt.inference.text_scoring import check_scores, score_texts
from nmt.inference.translator import sentences_at_once
from nmt.models.token_model import TokenModel
from nmt.runs.folder import load_run_config
from nmt.runs.language_models import load_language_model
from nmt.runs.translation import load_ensemble, load_for_search
from nmt.text.masking import encode_pair
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError


def score_files(
    path: str | Path,
    source: str | Path,
    target: str | Path | None = None,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> Iterator[tuple[float, int]]:
    """Scores the translations in a file with a run's translator or its ensemble, or texts with its language model.

    Args:
        path: the run folder.
        source: a text file of source sentences; for a language model, of texts.
        target: a text file of their translations, line by line; None for a language model.
        checkpoint: name of the checkpoint; see `nmt.runs.models.find_checkpoint`.
        overrides: changed settings of a translator's search, such as `decoding.ensemble=[runs/second]`.

    Returns:
        An iterator over the pairs or texts, in order: log P(target | source) or log P(text), a natural logarithm, and
        the number of tokens scored, the end token included.

    Raises:
        UserError: if the files do not suit the run's task, differ in length or cannot be read.

    Example:

    >>> next(score_files("runs/quickstart", "test.en", "test.de"))  # doctest: +SKIP
    (-3.2718, 7)
    """
    _, config = load_run_config(path)
    if config.task == "language_model":
        if target is not None:
            raise UserError(f"`target`: expected none for {path}, which is a language model, got {target}")
        lines = read_texts([source])
        model, tokenizer = load_language_model(path, checkpoint)
        return score_texts(make_sentence_scorer(model), tokenizer, (line.target for line in lines))
    if target is None:
        raise UserError(f"`target`: expected the translations of {source} for {path}, which translates, got none")
    pairs = read_sides(SideFiles(source=[Path(source)], target=[Path(target)]))
    translator, tokenizers, config = load_for_search(path, checkpoint, overrides)
    return _score_pairs([translator, *load_ensemble(config, tokenizers)[0]], tokenizers, config, pairs)


def _score_pairs(
    models: Sequence[TokenModel], tokenizers: tuple[Tokenizer, Tokenizer], config: Config, pairs: Iterator[RawPair]
) -> Iterator[tuple[float, int]]:
    score = make_sentence_scorer(*models)
    size = sentences_at_once(config.decoding.beam_size, config.decoding.batch_size)
    first = 1
    while chunk := list(itertools.islice(pairs, size)):
        texts = (tf.constant([getattr(pair, side) for pair in chunk]) for side in ("source", "target"))
        scores = score(*(ids.to_tensor(PADDING) for ids in encode_pair(tokenizers, *texts)))
        check_scores(scores.log_probabilities.numpy(), first)
        first += len(chunk)
        yield from zip(scores.log_probabilities.numpy().tolist(), map(int, scores.tokens.numpy()), strict=True)
