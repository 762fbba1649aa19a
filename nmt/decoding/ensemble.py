"""Ensembles: several models translate together (Sutskever et al. 2014; Sennrich et al. 2016).

The probability of each next token is the arithmetic mean of what the models give it:

    log P(token) = log(1/M * sum over models m of P_m(token | source, tokens before))

The models may differ in all but their tokens. Their output vectors lie side by side; memories and states are tuples.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from nmt.decoding.beam_search import Memory, Scores, States, Step
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import score_tokens


class Member(NamedTuple):
    """A model that translates together with a first one."""

    model: Seq2Seq
    output_weights: tf.Tensor  # `model.output_weights()`


def begin_together(
    members: Sequence[Member], source: tf.Tensor, memory: Memory, states: States
) -> tuple[tuple[Memory, ...], tuple[States, ...]]:
    """Memories and first states of all models, from the first one's."""
    others = [member.model.begin(source, training=False) for member in members]
    return (memory, *(of_model for of_model, _ in others)), (states, *(first for _, first in others))


def joint_step(members: Sequence[Member], step: Step) -> Step:
    """A step of all models, from the first one's; its attention is the mean of theirs."""
    steps = [step, *(member.model.decoder.stepper() for member in members)]

    def all_of_them(ids: tf.Tensor, memory: Memory, states: States) -> tuple[tf.Tensor, tf.Tensor, States]:
        made = (one(ids, *of_model) for one, *of_model in zip(steps, memory, states, strict=True))
        vectors, attention, new = zip(*made, strict=True)
        return tf.concat(vectors, -1), _mean(attention), new

    return all_of_them


def joint_scores(members: Sequence[Member], scores: Scores) -> Scores:
    """Log-probabilities of such vectors, from the first model's scores."""
    widths = [member.output_weights.shape[0] for member in members]

    def mean(vectors: tf.Tensor, sentence: tf.Tensor) -> tf.Tensor:
        first, *others = tf.split(vectors, [vectors.shape[-1] - sum(widths), *widths], -1)
        pairs = zip(others, members, strict=True)
        logits = [scores(first, sentence), *(score_tokens(own, member.output_weights) for own, member in pairs)]
        return log_mean([tf.nn.log_softmax(of_model) for of_model in logits])

    return mean


def attention_of(models: Sequence[Seq2Seq], batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """The mean of what models attend to in whole translations, `[batch, target time, source time]`."""
    return _mean([model.attend(batch, training=False)[1] for model in models])


def log_mean(log_probabilities: Sequence[tf.Tensor]) -> tf.Tensor:
    """The logarithm of the mean of probabilities; of equal ones, exactly their logarithm.

    Example:

    >>> [float(one) for one in log_mean([tf.constant([-2000.0, 0.0]), tf.constant([-2000.0, 0.0])])]
    [-2000.0, 0.0]
    """
    highest = functools.reduce(tf.maximum, log_probabilities)
    return highest + tf.math.log(_mean([tf.exp(one - highest) for one in log_probabilities]))


def _mean(values: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.add_n(values) / len(values)
