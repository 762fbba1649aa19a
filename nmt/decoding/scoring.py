"""How probable given translations and texts are: forced decoding."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf

from nmt.constants import PADDING
from nmt.decoding.scorers import log_mean
from nmt.models.token_model import TokenModel

_TOKENS = 1024  # whose logits are held at once


class SentenceScores(NamedTuple):
    """The scores of the sentences of a batch."""

    log_probabilities: tf.Tensor  # [batch], natural logarithms
    tokens: tf.Tensor  # [batch], number of tokens, the end token included


def sentence_scores(models: Sequence[TokenModel], source: tf.Tensor, target: tf.Tensor) -> SentenceScores:
    """log P(target | source) of each pair, or log P(target) by a language model.

    The probability of a token is the mean of those that the models give it, as in
    `nmt.decoding.scorers.EnsembleScorer`.

    Args:
        models: at least one.
        source: int32 `[batch, source time]`, token ids closed by the end token, then zeros.
        target: int32 `[batch, target time]`, token ids closed by the end token, then zeros.

    Returns:
        `SentenceScores`.
    """
    real = target != PADDING
    places = tf.where(real)
    rows, tokens = places[:, 0], tf.gather_nd(target, places)
    vectors = [tf.gather_nd(model.hidden(source, target, training=False), places) for model in models]
    of_tokens = log_mean([-_losses(*pair, tokens) for pair in zip(models, vectors, strict=True)])
    sums = (tf.math.unsorted_segment_sum(x, rows, tf.shape(target)[0]) for x in (of_tokens, tf.ones_like(of_tokens)))
    return SentenceScores(*sums)


def make_sentence_scorer(*models: TokenModel) -> Callable[[tf.Tensor, tf.Tensor], SentenceScores]:
    """`sentence_scores` by one model, or by several together, as a function in the graph."""
    ids = tf.TensorSpec((None, None), tf.int32)
    return tf.function(
        lambda source, target: sentence_scores(models, source, target), input_signature=[ids, ids], autograph=False
    )


def corpus_loss(
    score: Callable[[tf.Tensor, tf.Tensor], SentenceScores], batches: Iterable[tuple[tf.Tensor, tf.Tensor]]
) -> float:
    """The mean negative log-probability of a target token over a corpus; its exponential is the perplexity.

    Args:
        score: from `make_sentence_scorer`.
        batches: pairs of int32 token ids, source and target; rows of zeros count for nothing.

    Returns:
        The mean, a natural logarithm.
    """
    total = tokens = 0.0
    for source, target in batches:
        scores = score(source, target)
        total -= float(tf.reduce_sum(scores.log_probabilities))
        tokens += float(tf.reduce_sum(scores.tokens))
    return total / max(tokens, 1.0)


def _losses(model: TokenModel, vectors: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Negative log-probabilities of any number of tokens, `[n]`, in memory for the logits of a few."""
    chunks = (tf.size(targets) + _TOKENS - 1) // _TOKENS

    def chunk(index: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        some = slice(index * _TOKENS, (index + 1) * _TOKENS)
        logits = model.logits(vectors[some])
        return index + 1, losses.write(index, tf.nn.sparse_softmax_cross_entropy_with_logits(targets[some], logits))

    losses = tf.TensorArray(tf.float32, chunks, infer_shape=False, element_shape=(None,))
    return tf.while_loop(lambda index, _: index < chunks, chunk, (0, losses), parallel_iterations=1)[1].concat()
