"""Beam search in the graph; greedy search is a beam of one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.config import DecodingSettings
from nmt.data.tokenizer import BEGIN, END

IMPOSSIBLE = -1e9  # a score that no hypothesis has; finite, so that sums of it stay comparable

States = tuple[tf.Tensor, ...]
# Last tokens [batch, beam] and states [batch, beam, ...] to log-probabilities [batch, beam, vocabulary],
# attention weights [batch, beam, source time] and new states.
Step = Callable[[tf.Tensor, States], tuple[tf.Tensor, tf.Tensor, States]]


class Hypotheses(NamedTuple):
    """The best translations of each sentence, best first. Where there are fewer than asked, scores are below -1e8."""

    ids: tf.Tensor  # int32 [batch, beam, target time], closed by the end mark, then zeros
    scores: tf.Tensor  # [batch, beam], normalised by length and coverage
    log_probabilities: tf.Tensor  # [batch, beam], their plain sums
    attention: tf.Tensor  # [batch, beam, target time, source time]


class _Beam(NamedTuple):
    """Hypotheses of one kind, open or finished; an empty place has the score IMPOSSIBLE."""

    ids: tf.Tensor
    scores: tf.Tensor  # open ones: log-probability; finished ones: normalised
    log_probabilities: tf.Tensor
    attention: tf.Tensor


def beam_search(
    step: Step,
    states: States,
    source_mask: tf.Tensor,
    settings: DecodingSettings,
    wanted: int = 1,
) -> Hypotheses:
    """Searches the translations with the highest score (Wu et al. 2016, equation 14):

        score(Y) = log P(Y) / ((5 + |Y|) / 6) ** alpha + beta * sum over source i of log min(sum over t of a_ti, 1)

    with |Y| the tokens of Y, its end mark included. At every step, the likeliest continuations of each sentence's open
    hypotheses stay in the beam, and those that end keep their places there. A sentence is done when its beam is full
    of finished hypotheses, or when no open one can still enter the `wanted` best of them: a log-probability only
    falls, and no penalty can lift it above what it has now, divided by the penalty of the longest translation. A done
    sentence does not change while others go on, so that a translation never depends on the batch.

    Args:
        step: advances the hypotheses by a token.
        states: before the first step, each `[batch, ...]`.
        source_mask: True where a source token is real, `[batch, source time]`; its end mark counts.
        settings: beam size, penalties and lengths.
        wanted: how many translations of each sentence must be the best ones; at most the beam size.

    Returns:
        `Hypotheses`, as many a sentence as the beam is wide.
    """
    batch, source_time, beam = tf.shape(source_mask)[0], tf.shape(source_mask)[1], settings.beam_size
    limits = max_lengths(tf.reduce_sum(tf.cast(source_mask, tf.int32), 1), settings)
    steps = tf.reduce_max(limits)
    room = max_lengths(source_time, settings)  # from the shape alone: compilers have to know the sizes of arrays

    def normalized(log_probabilities: tf.Tensor, length: tf.Tensor, attention: tf.Tensor) -> tf.Tensor:
        """The score of hypotheses that end at `length`."""
        scores = log_probabilities / length_penalty(length, settings.length_penalty)
        if settings.coverage_penalty:
            covered = tf.math.log(tf.clip_by_value(tf.reduce_sum(attention, 2), 1e-6, 1.0))
            covered = tf.where(source_mask[:, None], covered, 0.0)
            scores += settings.coverage_penalty * tf.reduce_sum(covered, -1)
        return scores

    def done(t: tf.Tensor, opened: _Beam, finished: _Beam) -> tf.Tensor:
        """True for the sentences whose best finished hypotheses no open one can overtake."""
        best_open = tf.reduce_max(opened.log_probabilities, 1) / length_penalty(limits, settings.length_penalty)
        return (finished.scores[:, wanted - 1] >= best_open) | (t >= limits)

    def advance(t: tf.Tensor, opened: _Beam, finished: _Beam, states: States) -> Any:
        last = tf.where(t > 0, opened.ids[:, :, tf.maximum(t - 1, 0)], BEGIN)
        log_probabilities, attention, states = step(last, states)
        log_probabilities = _allowed(log_probabilities, t, limits, settings.min_length)
        vocabulary = log_probabilities.shape[-1]
        totals = opened.log_probabilities[..., None] + log_probabilities
        vocabulary = log_probabilities.shape[-1]

        # The best continuations of all open hypotheses; those that ended before keep their places in the beam.
        places = beam - tf.reduce_sum(tf.cast(finished.scores > IMPOSSIBLE / 2, tf.int32), 1, keepdims=True)
        totals = opened.log_probabilities[..., None] + log_probabilities
        totals, chosen = tf.math.top_k(tf.reshape(totals, (batch, -1)), beam)
        totals = tf.where((tf.range(beam) < places) & (totals > IMPOSSIBLE / 2), totals, IMPOSSIBLE)
        parents, tokens = chosen // vocabulary, chosen % vocabulary
        candidates = _gather(_Beam(opened.ids, totals, totals, _write(opened.attention, attention, t)), parents)
        candidates = candidates._replace(ids=_write(candidates.ids, tokens, t), scores=totals, log_probabilities=totals)
        states = tuple(tf.gather(state, parents, batch_dims=1) for state in states)

        # Those that end here leave for the finished ones; a done sentence's finished ones no longer change.
        ends = (tokens == END) & (totals > IMPOSSIBLE / 2)
        open_totals = tf.where(ends, IMPOSSIBLE, totals)
        ends &= ~done(t, opened, finished)[:, None]
        ended = candidates._replace(scores=tf.where(ends, normalized(totals, t + 1, candidates.attention), IMPOSSIBLE))
        both = _Beam(*(tf.concat(pair, 1) for pair in zip(finished, ended, strict=True)))
        scores, chosen = tf.math.top_k(both.scores, beam)
        finished = _gather(both, chosen)._replace(scores=scores)
        opened = candidates._replace(scores=open_totals, log_probabilities=open_totals)
        return t + 1, opened, finished, states

    def going_on(t: tf.Tensor, opened: _Beam, finished: _Beam, states: States) -> tf.Tensor:
        return (t < steps) & ~tf.reduce_all(done(t, opened, finished))

    def empty(log_probabilities: list[float]) -> _Beam:
        ids = tf.zeros((batch, beam, room), tf.int32)
        scores = tf.tile(tf.constant([log_probabilities], tf.float32), (batch, 1))
        return _Beam(ids, scores, scores, tf.zeros((batch, beam, room, source_time)))

    states = tuple(tf.repeat(state[:, None], beam, axis=1) for state in states)
    loop = (
        tf.constant(0),
        empty([0.0] + [IMPOSSIBLE] * (beam - 1)),  # one hypothesis, not `beam` times the same
        empty([IMPOSSIBLE] * beam),
        states,
    )
    length, _, finished, _ = tf.while_loop(going_on, advance, loop)
    return Hypotheses(
        finished.ids[:, :, :length], finished.scores, finished.log_probabilities, finished.attention[:, :, :length]
    )


def max_lengths(source_lengths: tf.Tensor, settings: DecodingSettings) -> tf.Tensor:
    """Tokens that the translation of each source may have, its end mark included, int32 `[batch]`."""
    from_source = tf.cast(settings.max_length_factor * tf.cast(source_lengths, tf.float32), tf.int32)
    return tf.maximum(from_source + settings.max_length_offset, settings.min_length + 1)


def length_penalty(length: tf.Tensor, alpha: float) -> tf.Tensor:
    """((5 + length) / 6) ** alpha (Wu et al. 2016, equation 14).

    Example:

    >>> float(length_penalty(7, 1.0))
    2.0
    """
    return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** alpha


def _allowed(log_probabilities: tf.Tensor, t: tf.Tensor, limits: tf.Tensor, min_length: int) -> tf.Tensor:
    """Leaves only the end mark at a sentence's last step, and all but it before the minimum length."""
    is_end = tf.range(log_probabilities.shape[-1]) == END
    must_end = (t + 1 >= limits)[:, None, None] & ~is_end
    may_not_end = (t < min_length) & is_end
    return tf.where(must_end | may_not_end, IMPOSSIBLE, log_probabilities)


def _write(values: tf.Tensor, new: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """`values` `[batch, beam, time, ...]` with `new` `[batch, beam, ...]` at time t."""
    here = tf.range(tf.shape(values)[2]) == t
    here = tf.reshape(here, [-1] + [1] * (len(values.shape) - 3))
    return tf.where(here, new[:, :, None], values)


def _gather(beam: _Beam, chosen: tf.Tensor) -> _Beam:
    return _Beam(*(tf.gather(values, chosen, batch_dims=1) for values in beam))
