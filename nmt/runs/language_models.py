"""What a language model's run is used for: to measure its perplexity, and to draw texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from nmt.constants import Split
from nmt.data.token_store import read_sentences
from nmt.decoding.sampling import make_sampler
from nmt.decoding.scoring import make_sentence_scorer
from nmt.evaluation.perplexity import Perplexity, measure_perplexity
from nmt.inference.text_scoring import score_texts
from nmt.models.language_model import LanguageModel
from nmt.runs.folder import load_run_config
from nmt.runs.models import load_model
from nmt.text.tokenizer import Tokenizer
from nmt.utils.lines import read_text_lines

_ROWS = 64  # texts drawn together


class LoadedLanguageModel(NamedTuple):
    """A run's language model, and its tokenizer."""

    model: LanguageModel
    tokenizer: Tokenizer


def load_language_model(path: str | Path, checkpoint: str | None = None) -> LoadedLanguageModel:
    """Loads the language model of a run, in float32, whatever precision it was trained in.

    Args:
        path: the run folder.
        checkpoint: name of the checkpoint: `best`, `last`, `averaged` or another. None for the averaged one if it
            exists, otherwise the best.

    Returns:
        The model and its tokenizer.

    Raises:
        UserError: if the run is not that of a language model, or the checkpoint is missing or damaged.

    Example:

    >>> model, tokenizer = load_language_model("runs/lm")  # doctest: +SKIP
    >>> model(tokenizer.encode(tf.constant(["The end."])).to_tensor()).shape  # doctest: +SKIP
    TensorShape([1, 4, 8000])
    """
    run, config = load_run_config(path, "language_model")
    model, _, tokenizer = load_model(run, config, checkpoint)
    return LoadedLanguageModel(model, tokenizer)


def find_perplexity(
    path: str | Path, split: Split = "test", text: str | Path | None = None, checkpoint: str | None = None
) -> Perplexity:
    """Measures the perplexity of a run's language model on a split of its corpus, or on a file.

    Args:
        path: the run folder.
        split: `validation` or `test`.
        text: a text file to read instead of the split, each line as it stands; None for the split.
        checkpoint: see `load_language_model`.

    Raises:
        UserError: as for `load_language_model`, and if the file cannot be read or is not UTF-8.

    Example:

    >>> find_perplexity("runs/lm", text="other.txt").per_word  # doctest: +SKIP
    144.2
    """
    run, _ = load_run_config(path, "language_model")
    lines = read_sentences(run.data, split, "target") if text is None else read_text_lines(text)
    model, tokenizer = load_language_model(path, checkpoint)
    score = make_sentence_scorer(model)
    return measure_perplexity((line.encode() for line in lines), lambda texts: score_texts(score, tokenizer, texts))


def sample_texts(
    path: str | Path,
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
    """Draws texts from a run's language model. Equal arguments give equal texts.

    Args:
        path: the run folder.
        count: number of texts.
        seed: seed of the random numbers.
        prompt: the beginning of each text.
        max_tokens: see `nmt.make_sampler`, as for the next three arguments.
        temperature: float above 0, by which the logits are divided.
        top_k: number of most probable tokens to draw from; None for all.
        top_p: probability of the most probable tokens to draw from; None for all.
        checkpoint: see `load_language_model`.

    Yields:
        Texts, each in one line.

    Raises:
        UserError: as for `load_language_model`.

    Example:

    >>> list(sample_texts("runs/lm", 1, seed=1, prompt="The"))  # doctest: +SKIP
    ['The device is not connected.']
    """
    if not isinstance(prompt, str):
        raise TypeError(f"`prompt`: expected str, got {type(prompt).__name__}")
    model, tokenizer = load_language_model(path, checkpoint)
    sampler = make_sampler(model, max_tokens, temperature, top_k, top_p)
    begin = tokenizer.encode(tf.constant([prompt.encode("utf-8", errors="replace")]))[0][:-1]
    for first in range(0, count, _ROWS):
        rows = min(_ROWS, count - first)
        drawn = sampler(begin, rows, tf.constant([seed, first], tf.int32))
        whole = tf.concat([tf.repeat(begin[None], rows, axis=0), drawn], 1)
        for text in tokenizer.decode(whole).numpy():
            yield " ".join(text.decode().splitlines())  # a drawn byte may be a line feed
