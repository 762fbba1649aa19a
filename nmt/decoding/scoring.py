"""How likely given translations are."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.models.seq2seq import Seq2Seq


class SentenceScores(NamedTuple):
    """Of each sentence of a batch."""

    log_probabilities: tf.Tensor  # [batch], natural logarithms
    tokens: tf.Tensor  # [batch], the end mark included


def sentence_scores(model: Seq2Seq, batch: dict[str, tf.Tensor]) -> SentenceScores:
    """log P(target | source) of each pair of a batch `{"source", "target"}` of padded ids."""
    logits = model.logits(model(batch, training=False))
    targets = batch["target"]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    real = tf.cast(targets != 0, losses.dtype)
    return SentenceScores(-tf.reduce_sum(losses * real, 1), tf.reduce_sum(real, 1))


def make_scorer(model: Seq2Seq) -> Callable[[dict[str, tf.Tensor]], SentenceScores]:
    """`sentence_scores` of a model as a function in the graph."""
    ids = tf.TensorSpec((None, None), tf.int32)

    @tf.function(input_signature=[{"source": ids, "target": ids}])
    def scorer(batch: dict[str, tf.Tensor]) -> SentenceScores:
        return sentence_scores(model, batch)

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
