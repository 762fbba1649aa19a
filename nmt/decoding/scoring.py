"""How likely given translations and texts are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nmt.constants import END, PADDING
from nmt.data.token_store import in_chunks
from nmt.decoding.ensemble import log_mean
from nmt.models.token_model import TokenModel
from nmt.text.tokenizer import Tokenizer

_TOKENS = 1024  # whose scores of the whole vocabulary are held at once
_POSITIONS = 8192  # of a batch of texts, padding included


class SentenceScores(NamedTuple):
    """Of each sentence of a batch."""

    log_probabilities: tf.Tensor  # [batch], natural logarithms
    tokens: tf.Tensor  # [batch], the end mark included


def sentence_scores(models: Sequence[TokenModel], batch: dict[str, tf.Tensor]) -> SentenceScores:
    """log P(target | source) of each pair of a batch `{"source", "target"}` of padded ids; of a text, log P(target).

    The probability of a token is the mean of what the models give it, see `nmt.decoding.ensemble`.
    """
    targets = batch["target"]
    real = targets != PADDING
    rows, tokens = tf.where(real)[:, 0], tf.boolean_mask(targets, real)
    vectors = (tf.boolean_mask(model(batch, training=False), real) for model in models)
    of_tokens = log_mean([-_losses(*of_model, tokens) for of_model in zip(models, vectors, strict=True)])
    sums = (tf.math.unsorted_segment_sum(x, rows, tf.shape(targets)[0]) for x in (of_tokens, tf.ones_like(of_tokens)))
    return SentenceScores(*sums)


def _losses(model: TokenModel, vectors: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Negative log-probabilities of any number of tokens, `[n]`, in memory for the logits of a few."""
    chunks = (tf.size(targets) + _TOKENS - 1) // _TOKENS

    def chunk(index: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        some = slice(index * _TOKENS, (index + 1) * _TOKENS)
        logits = model.logits(vectors[some])
        return index + 1, losses.write(index, tf.nn.sparse_softmax_cross_entropy_with_logits(targets[some], logits))

    losses = tf.TensorArray(tf.float32, chunks, infer_shape=False, element_shape=(None,))
    return tf.while_loop(lambda index, _: index < chunks, chunk, (0, losses), parallel_iterations=1)[1].concat()


def make_scorer(*models: TokenModel) -> Callable[[dict[str, tf.Tensor]], SentenceScores]:
    """`sentence_scores` of a model, or of several together, as a function in the graph."""
    ids = tf.TensorSpec((None, None), tf.int32)

    @tf.function(input_signature=[{"source": ids, "target": ids}], autograph=False)
    def scorer(batch: dict[str, tf.Tensor]) -> SentenceScores:
        return sentence_scores(models, batch)

    return scorer


def corpus_loss(scorer: Callable[[Any], SentenceScores], batches: Iterable[Any]) -> float:
    """The mean negative log-probability of a target token over a corpus; its exponential is the perplexity.

    Args:
        scorer: from `make_scorer`.
        batches: of padded ids; empty rows count for nothing.
    """
    total = tokens = 0.0
    for batch in batches:
        scores = scorer(batch)
        total -= float(tf.reduce_sum(scores.log_probabilities))
        tokens += float(tf.reduce_sum(scores.tokens))
    return total / max(tokens, 1.0)


def text_scores(
    scorer: Callable[[Any], SentenceScores], tokenizer: Tokenizer, texts: Iterable[bytes]
) -> Iterator[tuple[float, int]]:
    """Scores texts by a language model, in batches of like length, as a stream.

    Args:
        scorer: from `make_scorer`.
        tokenizer: of the texts.
        texts: any bytes.

    Yields:
        For each text, in order, its log-probability and its tokens, the end mark included.
    """
    for chunk in in_chunks(texts):
        encoded = tokenizer.encode(tf.constant(chunk, tf.string))
        lengths = encoded.row_lengths().numpy()
        results = np.zeros((len(chunk), 2))
        for rows in _alike(lengths):
            ids = tf.gather(encoded, rows).to_tensor(PADDING)
            scores = scorer({"source": tf.fill((len(rows), 1), END), "target": ids})
            results[rows] = np.stack([scores.log_probabilities, scores.tokens], 1)
        yield from ((float(log_probability), int(tokens)) for log_probability, tokens in results)


def _alike(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Divides the rows, sorted by length, into batches of at most so many positions, or of a single row."""
    order = np.argsort(lengths, kind="stable")
    begin = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - begin) * lengths[order[end]] > _POSITIONS:
            yield order[begin:end]
            begin = end
