"""Scorers: what gives each next token its log-probability. They compose: an ensemble is a scorer made of scorers.

A scorer has two methods. `start(source)` reads the source once. `step(tokens, state, rows)` goes on by one token: from
the last token of each hypothesis to the log-probabilities of the next one. Its state is a `DecoderState`: `memory`,
which all hypotheses of a sentence share, and `states`, which each has for itself; both are any structure of tensors.

A scorer of one model also has the method `logits`. It returns what `step` returns, but logits in place of
log-probabilities: a search without constraints normalises the few best tokens alone, which saves two passes over the
vocabulary at every step (12% of the time of ref-256.yaml with a beam of 5).

Scorers are made inside the graph that searches, where each reads its model's weights once for all steps.
"""

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from nmt.decoding.shortlist import Shortlist, candidates
from nmt.models.decoder import DecoderState
from nmt.models.token_model import TokenModel, score_tokens

IMPOSSIBLE = -1e9  # a log-probability that no hypothesis has; finite, so that sums of it stay comparable


class Scorer(Protocol):
    """The interface of scorers; a model has it too, without the argument `rows`."""

    def start(self, source: tf.Tensor) -> DecoderState:
        """Reads the source.

        Args:
            source: int32 `[batch, source time]`, token ids closed by the end token, then zeros.

        Returns:
            The state before the first step; each tensor is `[batch, ...]`.
        """

    def step(self, tokens: tf.Tensor, state: DecoderState, rows: tf.Tensor | None = None) -> Any:
        """Goes on by one token.

        Args:
            tokens: int32 `[batch, hypotheses]`, the last token of each hypothesis, at first the begin token.
            state: from `start`, its `states` repeated to `[batch, hypotheses, ...]`, or from the step before.
            rows: int `[n]`, the hypotheses whose next token is wanted, as indices into `[batch * hypotheses]`; None
                for all of them.

        Returns:
            Log-probabilities of the next token, float32 `[n, vocabulary]`; attention weights, `[batch, hypotheses,
            source time]`, or an empty tuple; and the new state.
        """


class ModelScorer:
    """The log-probabilities that one model gives.

    Args:
        model: a `Seq2Seq` or `LanguageModel`.
        output_weights: float `[embedding_dim, vocabulary]`, `model.output_weights()` if it is at hand.

    Example:

    >>> from nmt.models.seq2seq import Seq2Seq
    >>> scorer = ModelScorer(Seq2Seq(vocabulary_size=20, units=8))
    >>> state = scorer.start(tf.constant([[5, 6, 3]]))
    >>> state = state._replace(states=tuple(one[:, None] for one in state.states))
    >>> log_probabilities, attention, state = scorer.step(tf.constant([[2]]), state)
    >>> tuple(log_probabilities.shape), tuple(attention.shape)
    ((1, 20), (1, 1, 3))
    """

    def __init__(self, model: TokenModel, output_weights: tf.Tensor | None = None) -> None:
        self.model = model
        self._step = model.stepper()
        self._output_weights = model.output_weights() if output_weights is None else output_weights

    def start(self, source: tf.Tensor) -> DecoderState:
        """See `Scorer.start`."""
        return self.model.start(source)

    def step(self, tokens: tf.Tensor, state: DecoderState, rows: tf.Tensor | None = None) -> Any:
        """See `Scorer.step`."""
        logits, attention, state = self.logits(tokens, state, rows)
        return tf.nn.log_softmax(logits), attention, state

    def logits(self, tokens: tf.Tensor, state: DecoderState, rows: tf.Tensor | None = None) -> Any:
        """As `step`, before the softmax."""
        vectors, attention, state = self._step(tokens, state)
        return score_tokens(_flat(vectors, rows), self._output_weights), attention, state


class ShortlistScorer:
    """A model's log-probabilities of the few target tokens that each source sentence may need.

    The vocabulary of a batch is the union of its sentences' candidates: `vocabulary` gives their ids once `start` has
    read the source. A sentence is allowed its own candidates alone, so that batching changes nothing.

    Args:
        model: a `Seq2Seq`.
        shortlist: the candidates of each source token, as tensors.
    """

    def __init__(self, model: TokenModel, shortlist: Shortlist) -> None:
        self.model = model
        self.vocabulary: tf.Tensor | None = None
        self._shortlist = shortlist
        self._step = model.stepper()

    def start(self, source: tf.Tensor) -> DecoderState:
        """See `Scorer.start`."""
        self.vocabulary, allowed = candidates(self._shortlist, source)
        table = tf.gather(self.model.output_embedding.table, self.vocabulary)
        self._output_weights = tf.cast(tf.transpose(table), self.model.compute_dtype)
        state = self.model.start(source)
        return state._replace(memory=(state.memory, allowed))

    def step(self, tokens: tf.Tensor, state: DecoderState, rows: tf.Tensor | None = None) -> Any:
        """See `Scorer.step`."""
        logits, attention, state = self.logits(tokens, state, rows)
        return tf.nn.log_softmax(logits), attention, state

    def logits(self, tokens: tf.Tensor, state: DecoderState, rows: tf.Tensor | None = None) -> Any:
        """As `step`, before the softmax."""
        memory, allowed = state.memory
        vectors, attention, new = self._step(tokens, DecoderState(memory, state.states))
        values = score_tokens(_flat(vectors, rows), self._output_weights)
        hypotheses = tokens.shape[1]
        sentence = tf.range(tf.size(tokens)) // hypotheses if rows is None else rows // hypotheses
        return tf.where(tf.gather(allowed, sentence), values, IMPOSSIBLE), attention, new._replace(memory=state.memory)


class EnsembleScorer:
    """The mean of the probabilities that several scorers give (Sutskever et al. 2014; Sennrich et al. 2016).

        log P(token) = log(1/M sum_m P_m(token | source, tokens before))

    The models may differ in everything but their tokens. The attention is the mean of theirs.

    Args:
        scorers: at least one.
    """

    def __init__(self, scorers: Sequence[Scorer]) -> None:
        self.scorers = tuple(scorers)

    def start(self, source: tf.Tensor) -> DecoderState:
        """See `Scorer.start`."""
        return _joined([scorer.start(source) for scorer in self.scorers])

    def step(self, tokens: tf.Tensor, state: DecoderState, rows: tf.Tensor | None = None) -> Any:
        """See `Scorer.step`."""
        steps = [scorer.step(tokens, own, rows) for scorer, own in zip(self.scorers, _parts(state), strict=True)]
        log_probabilities, attention, states = zip(*steps, strict=True)
        return log_mean(log_probabilities), mean(attention), _joined(states)


class FusedScorer:
    """Shallow fusion: a language model's log-probabilities are added (Gulcehre et al. 2015, section 4.1).

        score(token) = log P(token | source, tokens before) + weight * log P_language(token | tokens before)

    Args:
        scorer: the translation's.
        language_model: a scorer that ignores the source.
        weight: float, how much the language model counts.
    """

    def __init__(self, scorer: Scorer, language_model: Scorer, weight: float) -> None:
        self.scorers = scorer, language_model
        self.weight = weight

    def start(self, source: tf.Tensor) -> DecoderState:
        """See `Scorer.start`."""
        return _joined([scorer.start(source) for scorer in self.scorers])

    def step(self, tokens: tf.Tensor, state: DecoderState, rows: tf.Tensor | None = None) -> Any:
        """See `Scorer.step`; the attention is the translation's."""
        (own, attention, new), (language, _, new_language) = (
            scorer.step(tokens, part, rows) for scorer, part in zip(self.scorers, _parts(state), strict=True)
        )
        return own + self.weight * language, attention, _joined([new, new_language])


def log_mean(log_probabilities: Sequence[tf.Tensor]) -> tf.Tensor:
    """The logarithm of the mean of probabilities; of equal ones exactly their logarithm.

    Args:
        log_probabilities: tensors of one shape, natural logarithms.

    Returns:
        A tensor of that shape.

    Example:

    >>> [float(one) for one in log_mean([tf.constant([-2000.0, 0.0]), tf.constant([-2000.0, 0.0])])]
    [-2000.0, 0.0]
    """
    highest = functools.reduce(tf.maximum, log_probabilities)
    return highest + tf.math.log(mean([tf.exp(one - highest) for one in log_probabilities]))


def mean(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """The mean of tensors of one shape."""
    return tf.add_n(values) / len(values)


def _flat(vectors: tf.Tensor, rows: tf.Tensor | None) -> tf.Tensor:
    """`[batch, hypotheses, width]` to `[n, width]`."""
    flat = tf.reshape(vectors, (-1, vectors.shape[-1]))
    return flat if rows is None else tf.gather(flat, rows)


def _joined(states: Sequence[DecoderState]) -> DecoderState:
    memory, own = zip(*states, strict=True)
    return DecoderState(memory, own)


def _parts(state: DecoderState) -> list[DecoderState]:
    return [DecoderState(*part) for part in zip(state.memory, state.states, strict=True)]
