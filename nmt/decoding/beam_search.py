"""Beam search in the graph; greedy search is a beam of one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.constants import BEGIN, END, PADDING
from nmt.decoding.constraints import Constraint
from nmt.decoding.scorers import IMPOSSIBLE, ModelScorer, Scorer
from nmt.decoding.top_k import top_k
from nmt.layers.xla import inside_xla
from nmt.models.decoder import DecoderState
from nmt.models.token_model import TokenModel

# In eager mode, tracing one step takes about as long as running this many; translations are about as long as sources.
_STEPS_WITHOUT_A_GRAPH = 16


class Hypotheses(NamedTuple):
    """The best translations of each sentence, best first. Where there are fewer than the beam, scores are below
    -1e8."""

    ids: tf.Tensor  # int32 [batch, beam, target time], closed by the end token, then zeros
    scores: tf.Tensor  # [batch, beam], normalised by length and coverage
    log_probabilities: tf.Tensor  # [batch, beam], their plain sums


class SearchOptions(NamedTuple):
    """What a search is asked for; see `beam_search`."""

    beam_size: int = 5
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    max_length_factor: float = 2.0
    max_length_offset: int = 20
    min_length: int = 0
    n_best: int = 1
    begin_id: int = BEGIN
    end_id: int = END


class _Sentences(NamedTuple):
    """What stays the same for a sentence from step to step; made once, because each operation of a step counts."""

    index: tf.Tensor  # int32 [sentences], position in the batch
    limits: tf.Tensor  # int32 [sentences], the most tokens of a translation
    penalties: tf.Tensor  # [sentences, 1], the length penalty of a translation of that length
    places: tf.Tensor  # int32 [sentences, 1, target time], 0, 1, 2 and so on
    mask: tf.Tensor  # boolean [sentences, source time]
    memory: Any  # of the scorer
    constrained: Any  # memory of each constraint


class _Beams(NamedTuple):
    """Hypotheses that are open or finished; an empty place has the log-probability or score IMPOSSIBLE."""

    last: tf.Tensor  # int32 [sentences, beam], the token to go on from
    ids: tf.Tensor  # int32 [sentences, beam, target time]
    log_probabilities: tf.Tensor  # [sentences, beam]
    coverage: tf.Tensor | tuple[()]  # sums of attention, [sentences, beam, source time], where a penalty needs them
    states: Any  # of the scorer, [sentences, beam, ...]
    constrained: Any  # states of each constraint
    finished: Hypotheses


def beam_search(
    scorer: Scorer | TokenModel,
    source: tf.Tensor,
    constraints: Sequence[Constraint] = (),
    *,
    beam_size: int = 5,
    length_penalty: float = 1.0,
    coverage_penalty: float = 0.0,
    max_length_factor: float = 2.0,
    max_length_offset: int = 20,
    min_length: int = 0,
    n_best: int = 1,
    begin_id: int = BEGIN,
    end_id: int = END,
) -> Hypotheses:
    """Searches the translations with the highest score (Wu et al. 2016, equation 14):

        score(Y) = log P(Y) / ((5 + |Y|) / 6) ** alpha + beta * sum_i log min(sum_t a_ti, 1)

    with |Y| the tokens of Y, its end token included, and a_ti the attention of step t to source position i. At every
    step the most probable continuations of each sentence's open hypotheses stay in the beam, and those that end keep
    their places there. An open hypothesis is given up when it can no longer enter the `n_best` best: a
    log-probability only falls, and no penalty can lift it above what it has now, divided by the penalty of the longest
    translation. A sentence without open hypotheses is done and does not change while others go on, so that a
    translation never depends on the batch.

    Outside XLA, where sizes may depend on values, the vocabulary is scored for open hypotheses alone, and sentences
    that are done leave the batch.

    Args:
        scorer: a model, or scorers composed of models, see `nmt.decoding.scorers`.
        source: int32 `[batch, source time]`, token ids closed by the end token, then zeros.
        constraints: which tokens may come next, see `nmt.decoding.constraints`.
        beam_size: int, hypotheses kept open for each sentence; 1 is greedy search.
        length_penalty: float, the exponent alpha.
        coverage_penalty: float, the weight beta.
        max_length_factor: float; a translation has at most `max_length_factor * source tokens + max_length_offset`
            tokens.
        max_length_offset: int, see `max_length_factor`.
        min_length: int, tokens before the end token is allowed.
        n_best: int, how many translations of each sentence must be the best ones; at most `beam_size`.
        begin_id: int, the token that decoding starts from.
        end_id: int, the token that closes a translation.

    Returns:
        `Hypotheses`, `beam_size` for each sentence.

    Example:

    >>> from nmt.models.seq2seq import Seq2Seq
    >>> model = Seq2Seq(vocabulary_size=20, units=8)
    >>> found = beam_search(model, tf.constant([[5, 6, 3]]), beam_size=2, max_length_offset=3)
    >>> found.ids.shape[:2], found.scores.shape
    (TensorShape([1, 2]), TensorShape([1, 2]))
    """
    options = SearchOptions(
        beam_size, length_penalty, coverage_penalty, max_length_factor, max_length_offset, min_length, n_best,
        begin_id, end_id,
    )  # fmt: skip
    if not 1 <= n_best <= beam_size:
        raise ValueError(f"beam_search: expected `n_best` from 1 to `beam_size` {beam_size}, got {n_best}")
    source = tf.convert_to_tensor(source, tf.int32)
    prepared: Scorer = ModelScorer(scorer) if isinstance(scorer, TokenModel) else scorer
    sentences, beams = _start(prepared, source, constraints, options)
    nothing = beams.finished

    def step(t: tf.Tensor, sentences: _Sentences, beams: _Beams) -> _Beams:
        return _advance(t, sentences, beams, prepared, constraints, options)

    if tf.executing_eagerly() and source.shape[1] > _STEPS_WITHOUT_A_GRAPH:
        step = tf.function(step, reduce_retracing=True, autograph=False)

    def some_steps(t: tf.Tensor, sentences: _Sentences, beams: _Beams, until: Any) -> tuple[tf.Tensor, _Beams]:
        """Steps until `until` sentences are done."""
        return tf.while_loop(
            lambda t, beams: _count(_done(beams)) < until,
            lambda t, beams: (t + 1, step(t, sentences, beams)),
            (t, beams),
        )

    if inside_xla():
        length, beams = some_steps(tf.constant(0), sentences, beams, tf.shape(source)[0])
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


def max_lengths(
    source_lengths: tf.Tensor, max_length_factor: float, max_length_offset: int, min_length: int = 0
) -> tf.Tensor:
    """The most tokens that the translation of each source may have, its end token included.

    Args:
        source_lengths: int32 of any shape, tokens of each source, its end token included.
        max_length_factor: float, see `beam_search`.
        max_length_offset: int, see `beam_search`.
        min_length: int, see `beam_search`.

    Returns:
        int32 of the same shape.

    Example:

    >>> max_lengths(tf.constant([3, 8]), 1.5, 2).numpy().tolist()
    [6, 14]
    """
    from_source = tf.cast(max_length_factor * tf.cast(source_lengths, tf.float32), tf.int32)
    return tf.maximum(from_source + max_length_offset, min_length + 1)


def length_penalty(length: tf.Tensor, alpha: float) -> tf.Tensor:
    """((5 + length) / 6) ** alpha (Wu et al. 2016, equation 14).

    Example:

    >>> float(length_penalty(7, 1.0))
    2.0
    """
    return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** alpha


def _start(
    scorer: Scorer, source: tf.Tensor, constraints: Sequence[Constraint], options: SearchOptions
) -> tuple[_Sentences, _Beams]:
    """Sentences and beams before the first step."""
    mask, beam = source != PADDING, options.beam_size
    batch, source_time = tf.shape(source)[0], tf.shape(source)[1]
    lengths = options.max_length_factor, options.max_length_offset, options.min_length
    limits = max_lengths(tf.reduce_sum(tf.cast(mask, tf.int32), 1), *lengths)
    room = max_lengths(source_time, *lengths)  # from the shape alone: compilers have to know the sizes of arrays
    places = tf.tile(tf.reshape(tf.range(room), (1, 1, -1)), (batch, 1, 1))
    first = scorer.start(source)
    constrained = [constraint.start(source, limits) for constraint in constraints]
    sentences = _Sentences(
        tf.range(batch),
        limits,
        length_penalty(limits, options.length_penalty)[:, None],
        places,
        mask,
        first.memory,
        tuple(state.memory for state in constrained),
    )
    nothing = Hypotheses(
        tf.zeros((batch, beam, room), tf.int32),
        tf.fill((batch, beam), IMPOSSIBLE),
        tf.fill((batch, beam), IMPOSSIBLE),
    )
    states = first.states, tuple(state.states for state in constrained)
    own, own_constrained = tf.nest.map_structure(lambda state: tf.stack([state] * beam, 1), states)
    beams = _Beams(
        tf.fill((batch, beam), options.begin_id),
        nothing.ids,
        tf.tile(tf.constant([[0.0] + [IMPOSSIBLE] * (beam - 1)]), (batch, 1)),  # one, not `beam` times the same
        tf.zeros((batch, beam, source_time)) if options.coverage_penalty else (),
        own,
        own_constrained,
        nothing,
    )
    return sentences, beams


def _count(values: tf.Tensor, axis: int | None = None) -> tf.Tensor:
    """How many are true; `tf.math.count_nonzero` takes twice the operations."""
    return tf.reduce_sum(tf.cast(values, tf.int32), axis)


def _done(beams: _Beams) -> tf.Tensor:
    """True for the sentences without open hypotheses."""
    return tf.reduce_all(beams.log_probabilities < IMPOSSIBLE / 2, 1)


def _advance(
    t: tf.Tensor,
    sentences: _Sentences,
    beams: _Beams,
    scorer: Scorer,
    constraints: Sequence[Constraint],
    options: SearchOptions,
) -> _Beams:
    """Makes the step from t tokens to t + 1."""
    beam, finished = options.beam_size, beams.finished
    attention, states, constrained, totals, tokens = _continuations(t, sentences, beams, scorer, constraints, options)
    coverage = beams.coverage
    if options.coverage_penalty:
        coverage += attention

    # The best continuations of all open hypotheses; those that ended before keep their places in the beam.
    each = totals.shape[-1]  # the continuations of a hypothesis
    if beam == 1:
        totals, tokens, ids = totals[..., 0], tokens[..., 0], beams.ids
    else:
        totals, chosen = tf.math.top_k(tf.reshape(totals, (-1, beam * each)), beam)
        tokens = tf.gather(tf.reshape(tokens, (-1, beam * each)), chosen, batch_dims=1)
        places = beam - _count(finished.scores > IMPOSSIBLE / 2, 1)[:, None]
        totals = tf.where(tf.range(beam) < places, totals, IMPOSSIBLE)
        ids, coverage, states, constrained = _chosen(chosen // each, (beams.ids, coverage, states, constrained))
    ids = tf.where(sentences.places == t, tokens[..., None], ids)

    # Those that end here leave for the finished ones.
    ends = (tokens == options.end_id) & (totals > IMPOSSIBLE / 2)
    normalized = totals / length_penalty(t + 1, options.length_penalty)
    if options.coverage_penalty:
        covered = tf.where(sentences.mask[:, None], tf.math.log(tf.clip_by_value(coverage, 1e-6, 1.0)), 0.0)
        normalized += options.coverage_penalty * tf.reduce_sum(covered, -1)
    finished = _best(finished, Hypotheses(ids, tf.where(ends, normalized, IMPOSSIBLE), totals))

    # Those that can no longer enter the best are given up.
    bounds = totals / sentences.penalties
    going_on = ~ends & (bounds > finished.scores[:, options.n_best - 1 : options.n_best])
    return _Beams(tokens, ids, tf.where(going_on, totals, IMPOSSIBLE), coverage, states, constrained, finished)


def _continuations(
    t: tf.Tensor,
    sentences: _Sentences,
    beams: _Beams,
    scorer: Scorer,
    constraints: Sequence[Constraint],
    options: SearchOptions,
) -> tuple[tf.Tensor, Any, Any, tf.Tensor, tf.Tensor]:
    """Scores the next token.

    Returns:
        The attention, the new states of the scorer and of the constraints; and log-probabilities and last tokens of the
        most probable continuations, `[sentences, beam, continuations]` each. In a sentence's last step only the end
        token is left, and before the minimum length all but it.
    """
    beam = options.beam_size
    before = tf.reshape(beams.log_probabilities, (-1,))
    sentence, limits, rows = tf.range(tf.size(sentences.index)), sentences.limits, None
    if beam > 1:
        if inside_xla():
            sentence = tf.range(tf.size(before)) // beam
        else:
            rows = tf.where(before > IMPOSSIBLE / 2)[:, 0]
            before, sentence = tf.gather(before, rows), rows // beam
        limits = tf.gather(limits, sentence)

    state = DecoderState(sentences.memory, beams.states)
    plain = not options.min_length and all(getattr(one, "forbids_only", False) for one in constraints)
    logits = getattr(scorer, "logits", None) if plain else None
    # Log-probabilities, or what becomes them below.
    scores, attention, new = (logits or scorer.step)(beams.last, state, rows)
    unconstrained = scores
    constrained: list[Any] = []
    for constraint, memory, states in zip(constraints, sentences.constrained, beams.constrained, strict=True):
        after = constraint.advance(beams.last, DecoderState(memory, states))
        constrained.append(after.states)
        scores = constraint.allow(scores, _of_rows(after, sentence, rows))

    end = options.end_id
    ending = scores[:, end, None]
    if options.min_length:
        is_end = tf.range(tf.shape(scores)[1]) == end
        scores = tf.where((t < options.min_length) & is_end, IMPOSSIBLE, scores)
    values, tokens = top_k(scores, min(beam, scores.shape[1] or beam))
    if logits is not None:
        log_total = _log_total(unconstrained, values[:, :1], tokens[:, :1], not constraints)
        values, ending = values - log_total, ending - log_total
    vocabulary = getattr(scorer, "vocabulary", None)
    if vocabulary is not None:
        tokens = tf.gather(vocabulary, tokens)

    first = tf.constant([place == 0 for place in range(values.shape[-1])])
    must_end = (t + 1 >= limits)[:, None]
    values = tf.where(must_end, tf.where(first, ending, IMPOSSIBLE), values)
    tokens = tf.where(must_end, end, tokens)
    totals = tf.where(before > IMPOSSIBLE / 2, before, IMPOSSIBLE)[:, None] + values

    if rows is not None:
        shape = (tf.size(beams.log_probabilities), values.shape[-1])
        totals = tf.tensor_scatter_nd_update(tf.fill(shape, IMPOSSIBLE), rows[:, None], totals)
        tokens = tf.scatter_nd(rows[:, None], tokens, tf.cast(shape, tf.int64))
    totals, tokens = (tf.reshape(x, (-1, beam, values.shape[-1])) for x in (totals, tokens))
    return attention, new.states, tuple(constrained), totals, tokens


def _log_total(logits: tf.Tensor, logit: tf.Tensor, token: tf.Tensor, is_best: bool) -> tf.Tensor:
    """log sum_i exp(logits_i), `[n, 1]`, from the logit of one token and whether it is the highest of all.

    It is the token's logit less the logarithm of its probability: the softmax is one fused operation, and
    `tf.reduce_logsumexp` is four over the whole vocabulary.
    """
    probability = tf.gather(tf.nn.softmax(logits), token, batch_dims=1)
    if is_best:  # so that its probability is never near zero
        return logit - tf.math.log(probability)
    return tf.cond(
        tf.reduce_all(probability > 1e-30),
        lambda: logit - tf.math.log(probability),
        lambda: tf.reduce_logsumexp(logits, 1, keepdims=True),
    )


def _of_rows(state: DecoderState, sentence: tf.Tensor, rows: tf.Tensor | None) -> DecoderState:
    """A constraint's state for single hypotheses, each tensor `[n, ...]`."""

    def own(values: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(values, _flat_shape(values))
        return flat if rows is None else tf.gather(flat, rows)

    memory = tf.nest.map_structure(lambda values: tf.gather(values, sentence), state.memory)
    return DecoderState(memory, tf.nest.map_structure(own, state.states))


def _flat_shape(values: tf.Tensor) -> Any:
    """Of values `[sentences, beam, ...]` as `[sentences * beam, ...]`."""
    others = values.shape[2:]
    return (-1, *others) if others.is_fully_defined() else tf.concat([[-1], tf.shape(values)[2:]], 0)


def _best(finished: Hypotheses, new: Hypotheses) -> Hypotheses:
    """The best hypotheses of both."""
    beam = new.scores.shape[1]
    if beam == 1:
        better = new.scores > finished.scores
        return Hypotheses(
            tf.where(better[..., None], new.ids, finished.ids),
            *(tf.where(better, *pair) for pair in zip(new[1:], finished[1:], strict=True)),
        )
    both = Hypotheses(*(tf.concat(pair, 1) for pair in zip(finished, new, strict=True)))
    scores, chosen = tf.math.top_k(both.scores, beam)
    return Hypotheses(*_chosen(chosen, both))._replace(scores=scores)


def _chosen(chosen: tf.Tensor, values: Any) -> Any:
    """The chosen hypotheses of each sentence."""
    return tf.nest.map_structure(lambda x: tf.gather(x, chosen, batch_dims=1), values)


def _until(length: tf.Tensor, hypotheses: Hypotheses) -> Hypotheses:
    return hypotheses._replace(ids=hypotheses.ids[:, :, :length])


def _any_number(value: tf.Tensor) -> tf.TensorShape:
    """The value's shape, for any number of sentences."""
    return tf.TensorShape([None, *value.shape[1:]]) if value.shape.rank else value.shape
