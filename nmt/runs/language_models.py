"""What a language model's run is used for: scores, perplexity and samples."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from nmt.constants import Split
from nmt.data.readers import read_texts
from nmt.data.token_store import read_lines
from nmt.decoding.sampling import make_sampler
from nmt.decoding.scoring import make_scorer, text_scores
from nmt.evaluation.perplexity import Perplexity, measure_perplexity
from nmt.models.language_model import LanguageModel
from nmt.runs.folder import load_model, load_run_config
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError

_ROWS = 64  # texts drawn together


class Loaded(NamedTuple):
    """A run's language model, and its tokenizer."""

    model: LanguageModel
    tokenizer: Tokenizer


def load_language_model(path: Path, checkpoint: str | None = None) -> Loaded:
    """A run's language model, in float32, whatever precision it was trained in.

    Args:
        path: the run folder.
        checkpoint: see `load_model`.

    Raises:
        UserError: if the run is none of a language model, or the checkpoint is not there or damaged.
    """
    run, config = load_run_config(path, "language_model")
    model, _, tokenizer = load_model(run, config, checkpoint)
    return Loaded(model, tokenizer)


def score_lines(path: Path, text: Path, checkpoint: str | None = None) -> Iterator[tuple[float, int]]:
    """Scores the lines of a file by a run's language model, as a stream.

    Args:
        path: the run folder.
        text: a file.
        checkpoint: see `load_model`.

    Yields:
        For each line its log-probability and its tokens, the end mark included.

    Raises:
        UserError: if the file cannot be read.
    """
    lines = read_texts([text])
    model, tokenizer = load_language_model(path, checkpoint)
    yield from text_scores(make_scorer(model), tokenizer, (line.target for line in lines))


def find_perplexity(path: Path, split: Split, text: Path | None = None, checkpoint: str | None = None) -> Perplexity:
    """The perplexity of a run's language model on a split of its corpus, or on a file.

    Args:
        path: the run folder.
        split: `validation` or `test`.
        text: a file instead, of which every line counts as it stands.
        checkpoint: see `load_model`.

    Raises:
        UserError: if the file cannot be read or is no UTF-8.
    """
    run, _ = load_run_config(path)
    lines = (line.encode() for line in read_lines(run.data, split, "target")) if text is None else _checked(text)
    model, tokenizer = load_language_model(path, checkpoint)
    scorer = make_scorer(model)
    return measure_perplexity(lines, lambda texts: text_scores(scorer, tokenizer, texts))


def sample_texts(
    path: Path,
    count: int,
    seed: int,
    *,
    prompt: str = "",
    max_tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    checkpoint: str | None = None,
) -> Iterator[str]:
    """Draws texts from a run's language model; the same for the same arguments.

    Args:
        path: the run folder.
        count: how many.
        seed: of the random numbers.
        prompt: how each begins.
        max_tokens: see `make_sampler`, and so the others.
        temperature: what scores are divided by.
        top_k: how many tokens are drawn among.
        top_p: their probability together.
        checkpoint: see `load_model`.

    Yields:
        Texts, each in one line.
    """
    model, tokenizer = load_language_model(path, checkpoint)
    sampler = make_sampler(model, max_tokens, temperature, top_k, top_p)
    begin = tokenizer.encode(tf.constant([prompt.encode("utf-8", errors="replace")]))[0][:-1]
    for first in range(0, count, _ROWS):
        rows = min(_ROWS, count - first)
        drawn = sampler(begin, rows, tf.constant([seed, first], tf.int32))
        whole = tf.concat([tf.repeat(begin[None], rows, axis=0), drawn], 1)
        for text in tokenizer.decode(whole).numpy():
            yield " ".join(text.decode().splitlines())  # a drawn byte may be a line feed


def _checked(path: Path) -> Iterator[bytes]:
    for number, line in enumerate(read_texts([path]), 1):
        try:
            line.target.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: is not UTF-8 (byte 0x{line.target[error.start]:02x})") from error
        yield line.target
