"""Beam search for one sentence in numpy; `nmt.decoding.beam_search` has the same in the graph, and explains it."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.constants import BEGIN, END
from nmt.text.nesting import TagNesting
from nmt.text.repetition import LONGEST_BLOCK, PUNCTUATION, WINDOW, RepetitionLimit, WordClasses

Array = NDArray[Any]

IMPOSSIBLE = np.float32(-1e9)  # as in nmt.decoding.scorers, which needs TensorFlow
_EARLY_END = -1e5  # added to the end mark's score while symbols are missing: below all others, but possible


class Step(NamedTuple):
    """What the decoder makes of the last token of each hypothesis."""

    scores: Array  # float32 [beam, vocabulary], which the search may change
    attention: Array | None  # float32 [beam, source tokens], where coverage counts
    states: Array  # float32 [layers, beam, units]


class Options(NamedTuple):
    """What is asked of a search; see `nmt.decoding.beam_search.beam_search`."""

    beam_size: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    limit: int = 50  # the most tokens of a translation
    min_length: int = 0


class Constraint(Protocol):
    """Which tokens may come next in each hypothesis."""

    def allow(self, hypothesis: int, scores: Array, room: int) -> None:
        """Lowers the scores `[vocabulary]` of what may not come; `room` tokens may still come, the end included."""

    def follow(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """The new hypotheses: which one each goes on from, and by which token."""


def beam_search(
    step: Callable[[Array, Array], Step], states: Array, options: Options, constraints: Sequence[Constraint] = ()
) -> list[int]:
    """Searches the translation with the highest score.

    Args:
        step: from the last tokens, int32 `[beam]`, and the states to a `Step`. The scores are log-probabilities; for a
            beam of one, logits do as well.
        states: float32 `[layers, 1, units]`, before the first step.
        options: what is asked.
        constraints: applied in their order.

    Returns:
        Token ids with the end mark last.

    Example:

    >>> scores = np.log(np.array([[0.1, 0.1, 0.1, 0.3, 0.4]], np.float32))
    >>> beam_search(lambda last, states: Step(scores.copy(), None, states), np.zeros((1, 1, 1)), Options(limit=3))
    [4, 4, 3]
    """
    beam, limit = options.beam_size, options.limit
    last = np.full(beam, BEGIN, np.int32)
    totals = np.full(beam, IMPOSSIBLE)
    totals[0] = 0.0  # one hypothesis, not `beam` times the same
    ids = np.zeros((beam, limit), np.int32)
    states = np.repeat(states, beam, axis=1)
    coverage: Any = 0.0
    found_scores, found_ids = np.full(beam, IMPOSSIBLE), ids
    for t in range(limit):
        made = step(last, states)
        scores, room = made.scores, limit - t
        for hypothesis in np.flatnonzero(totals > IMPOSSIBLE / 2).tolist():
            row = scores[hypothesis]
            for constraint in constraints:
                constraint.allow(hypothesis, row, room)
            end = row[END]
            if t < options.min_length:
                row[END] = IMPOSSIBLE
            if room == 1:
                row[:] = IMPOSSIBLE
                row[END] = end
        totals, chosen = _highest(scores + totals[:, None], beam)
        parents, last = np.divmod(chosen, scores.shape[1])
        last = last.astype(np.int32)
        states, ids = made.states[:, parents], ids[parents]
        ids[:, t] = last
        # Those that ended keep their places in the beam.
        totals[beam - np.count_nonzero(found_scores > IMPOSSIBLE / 2) :] = IMPOSSIBLE
        ends = (last == END) & (totals > IMPOSSIBLE / 2)
        normalized = totals / _length_penalty(t + 1, options)
        if options.coverage_penalty:
            coverage = (coverage + made.attention)[parents]
            covered = np.log(np.clip(coverage, 1e-6, 1.0)).sum(-1)
            normalized += np.float32(options.coverage_penalty) * covered
        if ends.any():
            both = np.concatenate([found_scores, np.where(ends, normalized, IMPOSSIBLE)])
            best = np.argsort(-both, kind="stable")[:beam]
            found_scores, found_ids = both[best], np.concatenate([found_ids, ids])[best]
        # Those that can no longer become the best are given up.
        going_on = ~ends & (totals / _length_penalty(limit, options) > found_scores[0])
        totals = np.where(going_on, totals, IMPOSSIBLE)
        if not (totals > IMPOSSIBLE / 2).any():
            break
        for constraint in constraints:
            constraint.follow(parents.tolist(), last.tolist())
    translation: list[int] = found_ids[0].tolist()
    # The scores of a model whose weights are damaged may be no numbers: then nothing is found.
    return translation[: translation.index(END) + 1] if END in translation else [END]


def _length_penalty(length: int, options: Options) -> np.float32:
    return np.float32(((5.0 + length) / 6.0) ** options.length_penalty)


def _highest(scores: Array, count: int) -> tuple[Array, Array]:
    """The highest scores, in descending order, and their places in the flattened array."""
    flat = scores.reshape(-1)
    best = np.array([flat.argmax()]) if count == 1 else np.argpartition(flat, -count)[-count:]
    best = best[np.lexsort((best, -flat[best]))]  # of equal scores the first, as TensorFlow orders them
    return flat[best], best


class Symbols:
    """Each symbol of the source comes as often in the translation, and tags are nested.

    `nmt.decoding.constraints.SymbolConstraint` and `nmt.decoding.tags.TagConstraint` explain the rules.

    Args:
        source: token ids of the source.
        first: the id of the first symbol, right after the end mark.
        number: how many symbols there are.
        space: the token of a space.
        tags: what each symbol stands for, if tags are to be nested; else empty.
        beam_size: how many hypotheses there are.
    """

    def __init__(
        self, source: Sequence[int], first: int, number: int, space: int, tags: Sequence[str], beam_size: int
    ) -> None:
        self._first, self._number, self._space = first, number, space
        symbols = [token - first for token in source if first <= token < first + number]
        self._missing = [[symbols.count(symbol) for symbol in range(number)] for _ in range(beam_size)]
        self._nesting = [TagNesting(tags, symbols) for _ in range(beam_size)]
        self._any = bool(symbols)

    def allow(self, hypothesis: int, scores: Array, room: int) -> None:
        """See `Constraint.allow`."""
        symbols = slice(self._first, self._first + self._number)
        if not self._any:
            scores[symbols] = IMPOSSIBLE
            return
        missing = self._missing[hypothesis]
        of_symbols = np.where(np.array(missing) > 0, scores[symbols], IMPOSSIBLE)
        of_end, of_space = scores[END], scores[self._space]
        if any(missing):
            no_room = room <= sum(missing) + 1
            if no_room or of_end == scores.max():
                scores[:] = IMPOSSIBLE
                scores[self._space] = IMPOSSIBLE if no_room else of_space
            scores[END] = of_end + _EARLY_END
        scores[symbols] = of_symbols
        scores[[self._first + symbol for symbol in self._nesting[hypothesis].forbidden()]] = IMPOSSIBLE

    def follow(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """See `Constraint.follow`."""
        if not self._any:
            return
        self._missing = [self._missing[parent].copy() for parent in parents]
        self._nesting = [copy.deepcopy(self._nesting[parent]) for parent in parents]
        for hypothesis, token in enumerate(tokens):
            symbol = token - self._first
            if 0 <= symbol < self._number:
                self._missing[hypothesis][symbol] -= 1
                self._nesting[hypothesis].advance(symbol)


class NoLoops:
    """What a translation repeats is limited by what its source repeats.

    Most hypotheses repeat nothing. What tells so is followed for all together; only the others are compared token by
    token, by `nmt.text.repetition.RepetitionLimit`.

    Args:
        limit: of the source.
        vocabulary: which tokens read the same.
        exempt: tokens that may always come.
        beam_size: how many hypotheses there are.
    """

    def __init__(self, limit: RepetitionLimit, vocabulary: WordClasses, exempt: Sequence[int], beam_size: int) -> None:
        self._limit, self._exempt = limit, list(exempt)
        self._classes, self._prolongs = np.array(vocabulary.classes), np.array(vocabulary.prolongs)
        self._done: list[list[int]] = [[] for _ in range(beam_size)]
        # The last words, the latest first, and how many of them in a row equal those a distance before.
        self._last = np.zeros((beam_size, WINDOW), np.int32)
        self._matches = np.zeros((beam_size, WINDOW), np.int32)
        self._marks = np.zeros(beam_size, np.int32)
        self._blocks = np.arange(1, LONGEST_BLOCK + 1) * (limit.times - 1)
        self._repeating = np.zeros(beam_size, bool)
        self.follow(range(beam_size), [BEGIN] * beam_size)

    def allow(self, hypothesis: int, scores: Array, room: int) -> None:
        """See `Constraint.allow`."""
        if self._repeating[hypothesis]:
            forbidden = self._limit.forbidden(self._done[hypothesis])
            kept = scores[self._exempt]
            scores[np.isin(self._classes, list(forbidden))] = IMPOSSIBLE
            scores[self._exempt] = kept

    def follow(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """See `Constraint.follow`."""
        new = self._classes[list(tokens)]
        new = np.where(self._prolongs[list(tokens)] & (new == self._last[parents, 0]), PUNCTUATION, new)
        self._done = [[*self._done[parent], one] for parent, one in zip(parents, new.tolist(), strict=True)]
        last, matches = self._last[parents], self._matches[parents]
        is_word = (new > PUNCTUATION)[:, None]
        further = np.where(last == new[:, None], matches + 1, 0)
        appended = np.concatenate([new[:, None], last[:, :-1]], 1)
        self._marks = np.where(is_word[:, 0], 0, self._marks[parents] + 1)
        self._last, self._matches = np.where(is_word, appended, last), np.where(is_word, further, matches)
        in_a_row = (self._matches[:, :LONGEST_BLOCK] >= self._blocks).any(1)
        again = [
            np.count_nonzero(self._matches >= size - 1, axis=1) >= count for size, count in self._limit.counts.items()
        ]
        self._repeating = in_a_row | np.any(again, axis=0) | (self._marks >= self._limit.marks)
