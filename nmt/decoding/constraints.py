"""Constraints: which tokens may come next. Any number of them compose in one search.

A constraint has three methods. `start(source, max_lengths)` reads the source. `advance(tokens, state)` takes note of
the token that each hypothesis has just got. `allow(log_probabilities, state)` makes tokens impossible, or less
probable. Its state is a `DecoderState`, as a scorer's: `memory` is what the hypotheses of a sentence share, `states`
what each has for itself.

A search applies its constraints in the order given, each to what those before it have left: a forced prefix comes
first. A new constraint is a class with these three methods; nothing else has to know it. One whose `allow` does nothing
but forbid tokens may say so by an attribute `forbids_only`: it is then given what becomes log-probabilities once the
same number is taken from all, which is faster.
"""

from typing import Protocol

import tensorflow as tf

from nmt.constants import PADDING
from nmt.decoding.scorers import IMPOSSIBLE
from nmt.models.decoder import DecoderState


class Constraint(Protocol):
    """The interface of constraints."""

    def start(self, source: tf.Tensor, max_lengths: tf.Tensor) -> DecoderState:
        """Reads the source.

        Args:
            source: int32 `[batch, source time]`, token ids closed by the end token, then zeros.
            max_lengths: int32 `[batch]`, the most tokens of each translation, its end token included.

        Returns:
            The state before the begin token; each tensor is `[batch, ...]`.
        """

    def advance(self, tokens: tf.Tensor, state: DecoderState) -> DecoderState:
        """Takes note of the last tokens.

        Args:
            tokens: int32 `[batch, hypotheses]`, the last token of each hypothesis, at first the begin token.
            state: from `start`, its `states` repeated to `[batch, hypotheses, ...]`, or from the step before.

        Returns:
            The new state.
        """

    def allow(self, log_probabilities: tf.Tensor, state: DecoderState) -> tf.Tensor:
        """Lowers the log-probabilities of tokens that may not come next.

        Args:
            log_probabilities: float32 `[n, vocabulary]`.
            state: after `advance`, each tensor `[n, ...]`: its `memory` is repeated for the hypotheses.

        Returns:
            The log-probabilities, `IMPOSSIBLE` where a token is forbidden.
        """


class SymbolConstraint:
    """Each symbol of the source comes as often in the translation, which ends only after that.

    Symbols stand for placeholders (`nmt.text.masking`). A hypothesis that has forgotten a symbol has to place it where
    it is improbable, and falls behind one that has it where the model expects it. It is placed where the model would
    end, or where no more room is left than the symbols need: if only the end were forbidden, a model would repeat
    itself.

    Args:
        first_id: int, the id of the first symbol; all follow one another, right after the end token.
        num_symbols: int, how many symbols there are.
        end_id: int, the end token.
        space_id: int, the token of a space, which may precede a symbol that is placed; -1 if there is none.
    """

    # For an end token while symbols are missing: less than any other score, but possible, because a translation may
    # have room for fewer tokens than there are symbols.
    _EARLY_END = -1e5

    def __init__(self, first_id: int, num_symbols: int, end_id: int, space_id: int) -> None:
        if first_id != end_id + 1:
            raise ValueError(f"SymbolConstraint: expected `first_id` right after `end_id`, got {first_id} and {end_id}")
        self.first_id = first_id
        self.num_symbols = num_symbols
        self.end_id = end_id
        self.space_id = space_id

    def start(self, source: tf.Tensor, max_lengths: tf.Tensor) -> DecoderState:
        """Counts how often each symbol, and how many tokens, may still come."""
        symbols = tf.reduce_sum(tf.one_hot(source - self.first_id, self.num_symbols), 1)
        room = tf.cast(max_lengths[:, None] + 1, tf.float32)  # the begin token takes one
        return DecoderState((), (tf.concat([symbols, room], 1),))

    def advance(self, tokens: tf.Tensor, state: DecoderState) -> DecoderState:
        """See `Constraint.advance`."""
        symbols = tf.one_hot(tokens - self.first_id, self.num_symbols)
        came = tf.concat([symbols, tf.ones_like(tokens, tf.float32)[..., None]], -1)
        return DecoderState((), (state.states[0] - came,))

    def allow(self, log_probabilities: tf.Tensor, state: DecoderState) -> tf.Tensor:
        """See `Constraint.allow`."""
        (left,) = state.states
        left, room = left[:, :-1], left[:, -1:]

        def no_symbols() -> tf.Tensor:
            ids = tf.range(tf.shape(log_probabilities)[1])
            is_symbol = (ids >= self.first_id) & (ids < self.first_id + self.num_symbols)
            return tf.where(is_symbol, IMPOSSIBLE, log_probabilities)

        # Sources without symbols are the rule, and each pass over the vocabulary costs.
        return tf.cond(
            tf.reduce_any(left > 0.5), lambda: self._allow_missing(log_probabilities, left, room), no_symbols
        )

    def _allow_missing(self, log_probabilities: tf.Tensor, left: tf.Tensor, room: tf.Tensor) -> tf.Tensor:
        """`allow` where any of the hypotheses misses symbols.

        Args:
            log_probabilities: float32 `[n, vocabulary]`.
            left: float32 `[n, symbols]`, how often each has still to come.
            room: float32 `[n, 1]`, how many tokens may still come.
        """
        end, last = self.end_id, self.end_id + self.num_symbols
        missing, end_score = left > 0.5, log_probabilities[:, end : end + 1]
        any_missing = tf.reduce_any(missing, 1, keepdims=True)
        no_room = room < tf.reduce_sum(left, 1, keepdims=True) + 1.5
        placing = any_missing & (no_room | (end_score >= tf.reduce_max(log_probabilities, 1, keepdims=True)))
        not_space = tf.range(tf.shape(log_probabilities)[1]) != self.space_id
        others = tf.where(placing & (no_room | not_space), IMPOSSIBLE, log_probabilities)
        symbols = tf.where(missing, log_probabilities[:, self.first_id : last + 1], IMPOSSIBLE)
        end_score = tf.where(any_missing, end_score + self._EARLY_END, end_score)
        return tf.concat([others[:, :end], end_score, symbols, others[:, last + 1 :]], 1)


class PrefixConstraint:
    """A translation begins with given tokens.

    Args:
        prefix: int32 `[batch, time]`, the tokens of each sentence's prefix, then zeros; without the end token.

    Example:

    >>> constraint = PrefixConstraint(tf.constant([[7, 8], [0, 0]]))
    >>> state = constraint.start(tf.constant([[5, 3], [6, 3]]), tf.constant([9, 9]))
    >>> state = constraint.advance(tf.constant([[2], [2]]), state._replace(states=(state.states[0][:, None],)))
    >>> rows = DecoderState(state.memory, (state.states[0][:, 0],))
    >>> (constraint.allow(tf.zeros((2, 10)), rows) > IMPOSSIBLE).numpy().sum(1).tolist()
    [1, 10]
    """

    def __init__(self, prefix: tf.Tensor) -> None:
        self.prefix = tf.convert_to_tensor(prefix, tf.int32)

    def start(self, source: tf.Tensor, max_lengths: tf.Tensor) -> DecoderState:
        """See `Constraint.start`."""
        return DecoderState((self.prefix,), (tf.fill(tf.shape(max_lengths), -1),))

    def advance(self, tokens: tf.Tensor, state: DecoderState) -> DecoderState:
        """Counts the tokens; the begin token makes it 0."""
        return state._replace(states=(state.states[0] + 1,))

    def allow(self, log_probabilities: tf.Tensor, state: DecoderState) -> tf.Tensor:
        """See `Constraint.allow`."""
        ((prefix,), (length,)) = state
        padded = tf.pad(prefix, ((0, 0), (0, 1)))  # whatever follows the prefix is free
        wanted = tf.gather(padded, tf.minimum(length, tf.shape(prefix)[1]), batch_dims=1)[:, None]
        allowed = (wanted == PADDING) | (tf.range(tf.shape(log_probabilities)[1]) == wanted)
        return tf.where(allowed, log_probabilities, IMPOSSIBLE)


class NoRepeatConstraint:
    """No n-gram comes twice in a translation (Paulus et al. 2018, section 2.5), unless the source repeats one.

    Where a source has an n-gram of its own twice or more, its translation is left alone.

    Args:
        ngram_size: int, at least 1, the length n.
        exempt_ids: tuple of int, tokens whose n-grams may repeat whatever the source says, such as placeholders.
    """

    def __init__(self, ngram_size: int, exempt_ids: tuple[int, ...] = ()) -> None:
        if ngram_size < 1:
            raise ValueError(f"NoRepeatConstraint: expected `ngram_size` of at least 1, got {ngram_size}")
        self.ngram_size = ngram_size
        self.exempt_ids = exempt_ids

    def start(self, source: tf.Tensor, max_lengths: tf.Tensor) -> DecoderState:
        """Looks for n-grams that the source repeats, and makes room for the tokens to come."""
        batch = tf.shape(source)[0]
        history = tf.zeros((batch, tf.reduce_max(max_lengths) + 1), tf.int32)
        return DecoderState((self._repeats(source),), (history, tf.zeros((batch,), tf.int32)))

    def advance(self, tokens: tf.Tensor, state: DecoderState) -> DecoderState:
        """Appends the tokens to each hypothesis's history; the begin token is its first."""
        history, length = state.states
        places = tf.range(tf.shape(history)[-1])
        history = tf.where(places == length[..., None], tokens[..., None], history)
        return state._replace(states=(history, length + 1))

    def allow(self, log_probabilities: tf.Tensor, state: DecoderState) -> tf.Tensor:
        """See `Constraint.allow`."""
        (repeats,), (history, length) = state
        n, vocabulary = self.ngram_size, tf.shape(log_probabilities)[1]
        places = tf.range(tf.shape(history)[1])
        # A token is forbidden where the n - 1 tokens before it in the history equal the last n - 1 tokens.
        same = (places >= n) & (places[None] < length[:, None])
        for back in range(1, n):
            last = tf.gather(history, tf.maximum(length - back, 0), batch_dims=1)[:, None]
            same &= tf.roll(history, back, 1) == last
        for exempt in self.exempt_ids:
            same &= history != exempt
        same &= ~repeats[:, None] & (length[:, None] >= n)
        rows = tf.broadcast_to(tf.range(tf.shape(history)[0])[:, None], tf.shape(history))
        # One column more takes the places where nothing is forbidden, so that all sizes are known beforehand.
        found = tf.reshape(tf.stack([rows, tf.where(same, history, vocabulary)], -1), (-1, 2))
        counts = tf.scatter_nd(found, tf.ones_like(found[:, 0]), (tf.shape(history)[0], vocabulary + 1))
        return tf.where(counts[:, :-1] > 0, IMPOSSIBLE, log_probabilities)

    def _repeats(self, source: tf.Tensor) -> tf.Tensor:
        """Whether each source has an n-gram twice: boolean `[batch]`."""
        n = self.ngram_size
        padded = tf.pad(source, ((0, 0), (0, n - 1)))
        grams = tf.stack([padded[:, i : i + tf.shape(source)[1]] for i in range(n)], -1)
        equal = tf.reduce_all(grams[:, :, None] == grams[:, None], -1)
        places = tf.range(tf.shape(source)[1])
        whole = tf.reduce_all(grams != PADDING, -1)
        pairs = equal & whole[:, :, None] & whole[:, None] & (places[:, None] < places)
        return tf.reduce_any(pairs, (1, 2))
