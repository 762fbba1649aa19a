"""Texts scored by a language model, as a stream."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from nmt.constants import END, PADDING
from nmt.data.token_store import in_chunks
from nmt.decoding.scoring import SentenceScores
from nmt.text.tokenizer import Tokenizer
from nmt.utils.arguments import check_texts
from nmt.utils.errors import UserError

_POSITIONS = 8192  # of a batch of texts, padding included


def score_texts(
    score: Callable[[tf.Tensor, tf.Tensor], SentenceScores], tokenizer: Tokenizer, texts: Iterable[bytes]
) -> Iterator[tuple[float, int]]:
    """Scores texts by a language model, in batches of similar length.

    Args:
        score: from `nmt.decoding.scoring.make_sentence_scorer`.
        tokenizer: the language model's.
        texts: any bytes; what is not UTF-8 is read as U+FFFD.

    Yields:
        For each text, in order, its log-probability, a natural logarithm, and its number of tokens, the end token
        included.

    Raises:
        TypeError: if a text is not bytes, or `texts` is a single one.
        UserError: if a score is no number.
    """
    return _score_texts(score, tokenizer, check_texts(texts, "texts", bytes))


def _score_texts(
    score: Callable[[tf.Tensor, tf.Tensor], SentenceScores], tokenizer: Tokenizer, texts: Iterator[bytes]
) -> Iterator[tuple[float, int]]:
    first = 1
    for chunk in in_chunks(texts):
        encoded = tokenizer.encode(tf.constant(chunk, tf.string))
        lengths = encoded.row_lengths().numpy()
        results = np.zeros((len(chunk), 2))
        for rows in _by_length(lengths):
            ids = tf.gather(encoded, rows).to_tensor(PADDING)
            scores = score(tf.fill((len(rows), 1), END), ids)
            results[rows] = np.stack([scores.log_probabilities, scores.tokens], 1)
        check_scores(results[:, 0], first)
        first += len(chunk)
        yield from ((float(log_probability), int(tokens)) for log_probability, tokens in results)


def check_scores(log_probabilities: np.ndarray, first: int) -> None:
    """Raises an error if a log-probability is no number.

    Args:
        log_probabilities: float `[texts]`.
        first: int, the line number of the first text.

    Raises:
        UserError: naming the first line whose log-probability is NaN or infinite.

    Example:

    >>> check_scores(np.array([-1.0, np.nan]), 1)
    Traceback (most recent call last):
    nmt.utils.errors.UserError: line 2: the model's scores are NaN or infinite; ...
    """
    bad = np.flatnonzero(~np.isfinite(log_probabilities))
    if bad.size:
        raise not_finite(first + int(bad[0]))


def not_finite(line: int) -> UserError:
    """Returns the error for a line, by its number, to which a model gives scores that are no numbers."""
    return UserError(
        f"line {line}: the model's scores are NaN or infinite; its weights are damaged, or its training diverged"
    )


def _by_length(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Divides the rows, sorted by length, into batches of at most `_POSITIONS` positions, or of a single row."""
    order = np.argsort(lengths, kind="stable")
    begin = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - begin) * lengths[order[end]] > _POSITIONS:
            yield order[begin:end]
            begin = end
