"""Beam search in the graph; greedy search is a beam of one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.config import DecodingSettings
from nmt.constants import BEGIN, END
from nmt.decoding.top import normalized_top, plain_top
from nmt.layers.xla import inside_xla

IMPOSSIBLE = -1e9  # a score that no hypothesis has; finite, so that sums of it stay comparable

# Any structure of tensors: [batch, beam, ...] what a hypothesis carries on, [batch, ...] what its sentence has.
States = Any
Memory = Any

# Last tokens [batch, beam], memory and states to output vectors [batch, beam, width], attention weights
# [batch, beam, source time] and new states.
Step = Callable[[tf.Tensor, Memory, States], tuple[tf.Tensor, tf.Tensor, States]]

# Output vectors [n, width], and the index of each one's sentence [n], to scores of the next token [n, vocabulary]:
# log-probabilities, or logits.
Scores = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


Top = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


class Hypotheses(NamedTuple):
    """The best translations of each sentence, best first. Where there are fewer than asked, scores are below -1e8."""

    ids: tf.Tensor  # int32 [batch, beam, target time], closed by the end mark, then zeros
    scores: tf.Tensor  # [batch, beam], normalised by length and coverage
    log_probabilities: tf.Tensor  # [batch, beam], their plain sums


class _Sentences(NamedTuple):
    """What stays the same of sentences from step to step: made here once, for each operation counts."""

    index: tf.Tensor  # int32 [sentences], in the batch
    limits: tf.Tensor  # int32 [sentences], the most tokens of a translation
    penalties: tf.Tensor  # [sentences, 1], of a translation as long
    places: tf.Tensor  # int32 [sentences, 1, target time], 0, 1, 2 and so on
    mask: tf.Tensor  # boolean [sentences, source time]
    memory: Memory


class _Beams(NamedTuple):
    """Hypotheses that are open or finished; an empty place has the log-probability or score IMPOSSIBLE."""

    last: tf.Tensor  # int32 [sentences, beam], the token to go on from
    ids: tf.Tensor
    log_probabilities: tf.Tensor
    coverage: tf.Tensor | tuple[()]  # sums of attention, [sentences, beam, source time], where a penalty needs them
    states: States
    finished: Hypotheses


def beam_search(
    step: Step,
    scores: Scores,
    memory: Memory,
    states: States,
    source_mask: tf.Tensor,
    settings: DecodingSettings,
    wanted: int = 1,
    vocabulary: tf.Tensor | None = None,
    normalized: bool = True,
) -> Hypotheses:
    """Searches the translations with the highest score (Wu et al. 2016, equation 14):

        score(Y) = log P(Y) / ((5 + |Y|) / 6) ** alpha + beta * sum over source i of log min(sum over t of a_ti, 1)

    with |Y| the tokens of Y, its end mark included. At every step, the likeliest continuations of each sentence's open
    hypotheses stay in the beam, and those that end keep their places there. An open hypothesis is given up when it
    can no longer enter the `wanted` best: a log-probability only falls, and no penalty can lift it above what it has
    now, divided by the penalty of the longest translation. A sentence without open hypotheses is done and does not
    change while others go on, so that a translation never depends on the batch.

    Outside XLA, where sizes may depend on values, the vocabulary is scored for open hypotheses alone, and done
    sentences leave the batch.

    Args:
        step: advances the hypotheses by a token.
        scores: of the vocabulary.
        memory: what `step` reads of each sentence, `[batch, ...]`.
        states: before the first step, each `[batch, ...]`.
        source_mask: True where a source token is real, `[batch, source time]`; its end mark counts.
        settings: beam size, penalties and lengths.
        wanted: how many translations of each sentence must be the best ones; at most the beam size.
        vocabulary: the tokens that are scored, int32, the special ones first, if these are not all.
        normalized: whether scores are made log-probabilities, their softmax's logarithm. Otherwise they are added up as
            they are; none may be above zero, as none of a sum of log-probabilities is.

    Returns:
        `Hypotheses`, as many a sentence as the beam is wide.
    """
    batch, source_time, beam = tf.shape(source_mask)[0], tf.shape(source_mask)[1], settings.beam_size
    limits = max_lengths(tf.reduce_sum(tf.cast(source_mask, tf.int32), 1), settings)
    room = max_lengths(source_time, settings)  # from the shape alone: compilers have to know the sizes of arrays
    penalties = length_penalty(limits, settings.length_penalty)[:, None]
    places = tf.repeat(tf.range(room)[None, None], batch, axis=0)
    sentences = _Sentences(tf.range(batch), limits, penalties, places, source_mask, memory)
    nothing = Hypotheses(
        tf.zeros((batch, beam, room), tf.int32),
        tf.fill((batch, beam), IMPOSSIBLE),
        tf.fill((batch, beam), IMPOSSIBLE),
    )
    beams = _Beams(
        tf.fill((batch, beam), BEGIN),
        nothing.ids,
        tf.tile(tf.constant([[0.0] + [IMPOSSIBLE] * (beam - 1)]), (batch, 1)),  # one, not `beam` times the same
        tf.zeros((batch, beam, source_time)) if settings.coverage_penalty else (),
        tf.nest.map_structure(lambda state: tf.repeat(state[:, None], beam, axis=1), states),
        nothing,
    )

    def top(t: tf.Tensor, vectors: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Log-probabilities and tokens of the likeliest continuations, and log-probability of the end mark."""
        forbidden = (t < settings.min_length) if settings.min_length else None
        highest = normalized_top if normalized else plain_top
        values, tokens, ending = highest(scores(vectors, index), beam, END, forbidden)
        return values, tokens if vocabulary is None else tf.gather(vocabulary, tokens), ending

    def some_steps(t: tf.Tensor, sentences: _Sentences, beams: _Beams, until: Any) -> tuple[tf.Tensor, _Beams]:
        """Steps until `until` sentences are done."""
        return tf.while_loop(
            lambda t, beams: tf.math.count_nonzero(_done(beams), dtype=tf.int32) < until,
            lambda t, beams: (t + 1, _advance(t, sentences, beams, step, top, settings, wanted)),
            (t, beams),
        )

    if inside_xla():
        length, beams = some_steps(tf.constant(0), sentences, beams, batch)
        return _until(length, beams.finished)

    def phase(t: tf.Tensor, sentences: _Sentences, beams: _Beams, results: Hypotheses) -> Any:
        """Goes on until a quarter of the sentences is done, puts these into the results, and keeps the others."""
        t, beams = some_steps(t, sentences, beams, (tf.size(sentences.index) + 3) // 4)
        done = _done(beams)
        places, going_on = tf.where(done)[:, 0], tf.where(~done)[:, 0]
        rows = tf.gather(sentences.index, places)[:, None]
        results = tf.nest.map_structure(
            lambda result, new: tf.tensor_scatter_nd_update(result, rows, tf.gather(new, places)),
            results,
            beams.finished,
        )
        sentences, beams = tf.nest.map_structure(lambda x: tf.gather(x, going_on), (sentences, beams))
        return t, sentences, beams, results

    variables = (tf.constant(0), sentences, beams, nothing)
    length, _, _, results = tf.while_loop(
        lambda t, sentences, *_: tf.size(sentences.index) > 0,
        phase,
        variables,
        shape_invariants=tf.nest.map_structure(_any_number, variables),
    )
    return _until(length, results)


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


def _done(beams: _Beams) -> tf.Tensor:
    """True for the sentences without open hypotheses."""
    return tf.reduce_all(beams.log_probabilities < IMPOSSIBLE / 2, 1)


def _advance(
    t: tf.Tensor,
    sentences: _Sentences,
    beams: _Beams,
    step: Step,
    top: Top,
    settings: DecodingSettings,
    wanted: int,
) -> _Beams:
    """Makes the step from t tokens to t + 1."""
    beam, finished = settings.beam_size, beams.finished
    vectors, attention, states = step(beams.last, sentences.memory, beams.states)
    totals, tokens = _continuations(t, sentences, beams.log_probabilities, vectors, top, settings.beam_size)

    coverage = beams.coverage
    if settings.coverage_penalty:
        coverage += attention

    # The best continuations of all open hypotheses; those that ended before keep their places in the beam.
    each = totals.shape[-1]  # the continuations of a hypothesis
    if beam == 1:
        totals, tokens, ids = totals[..., 0], tokens[..., 0], beams.ids
    else:
        totals, chosen = tf.math.top_k(tf.reshape(totals, (-1, beam * each)), beam)
        tokens = tf.gather(tf.reshape(tokens, (-1, beam * each)), chosen, batch_dims=1)
        places = beam - tf.math.count_nonzero(finished.scores > IMPOSSIBLE / 2, 1, keepdims=True, dtype=tf.int32)
        totals = tf.where(tf.range(beam) < places, totals, IMPOSSIBLE)
        ids, coverage, states = _of(chosen // each, (beams.ids, coverage, states))
    ids = tf.where(sentences.places == t, tokens[..., None], ids)

    # Those that end here leave for the finished ones.
    ends = (tokens == END) & (totals > IMPOSSIBLE / 2)
    normalized = totals / length_penalty(t + 1, settings.length_penalty)
    if settings.coverage_penalty:
        covered = tf.where(sentences.mask[:, None], tf.math.log(tf.clip_by_value(coverage, 1e-6, 1.0)), 0.0)
        normalized += settings.coverage_penalty * tf.reduce_sum(covered, -1)
    finished = _best(finished, Hypotheses(ids, tf.where(ends, normalized, IMPOSSIBLE), totals))

    # Those that can no longer enter the best are given up.
    bounds = totals / sentences.penalties
    going_on = ~ends & (bounds > finished.scores[:, wanted - 1 : wanted])
    return _Beams(tokens, ids, tf.where(going_on, totals, IMPOSSIBLE), coverage, states, finished)


def _continuations(
    t: tf.Tensor,
    sentences: _Sentences,
    log_probabilities: tf.Tensor,
    vectors: tf.Tensor,
    top: Top,
    beam: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Log-probabilities and last tokens of the likeliest continuations, `[sentences, beam, continuations]` each.

    A sentence's last step leaves only the end mark, and those before the minimum length all but it.
    """
    before = tf.reshape(log_probabilities, (-1,))
    vectors = tf.reshape(vectors, (-1, vectors.shape[-1]))
    index, limits, rows = sentences.index, sentences.limits, None
    if beam > 1:
        index, limits = tf.repeat(index, beam), tf.repeat(limits, beam)
        if not inside_xla():
            rows = tf.where(before > IMPOSSIBLE / 2)
            before, vectors, index, limits = (tf.gather(x, rows[:, 0]) for x in (before, vectors, index, limits))

    values, tokens, ending = top(t, vectors, index)
    first = tf.constant([place == 0 for place in range(values.shape[-1])])
    must_end = (t + 1 >= limits)[:, None]
    values = tf.where(must_end, tf.where(first, ending, IMPOSSIBLE), values)
    tokens = tf.where(must_end, END, tokens)
    totals = tf.where(before > IMPOSSIBLE / 2, before, IMPOSSIBLE)[:, None] + values

    if rows is not None:
        shape = (tf.size(log_probabilities), values.shape[-1])
        totals = tf.tensor_scatter_nd_update(tf.fill(shape, IMPOSSIBLE), rows, totals)
        tokens = tf.scatter_nd(rows, tokens, tf.cast(shape, tf.int64))
    return tuple(tf.reshape(x, (-1, beam, values.shape[-1])) for x in (totals, tokens))


def _best(finished: Hypotheses, new: Hypotheses) -> Hypotheses:
    """The best of both, as many as of each."""
    beam = new.scores.shape[1]
    if beam == 1:
        better = new.scores > finished.scores
        return Hypotheses(
            tf.where(better[..., None], new.ids, finished.ids),
            *(tf.where(better, *pair) for pair in zip(new[1:], finished[1:], strict=True)),
        )
    both = Hypotheses(*(tf.concat(pair, 1) for pair in zip(finished, new, strict=True)))
    scores, chosen = tf.math.top_k(both.scores, beam)
    return Hypotheses(*_of(chosen, both))._replace(scores=scores)


def _of(chosen: tf.Tensor, values: Any) -> Any:
    """Of each sentence, the hypotheses chosen."""
    return tf.nest.map_structure(lambda x: tf.gather(x, chosen, batch_dims=1), values)


def _until(length: tf.Tensor, hypotheses: Hypotheses) -> Hypotheses:
    return hypotheses._replace(ids=hypotheses.ids[:, :, :length])


def _any_number(value: tf.Tensor) -> tf.TensorShape:
    """The value's shape, but for the number of sentences."""
    return tf.TensorShape([None, *value.shape[1:]]) if value.shape.rank else value.shape
