"""The constraint that tags are nested: what a translation opens it closes, in the order in which that is legal."""

from typing import NamedTuple

import tensorflow as tf

from nmt.decoding.scorers import IMPOSSIBLE
from nmt.models.decoder import DecoderState
from nmt.text.nesting import DEEPEST_NESTING


class _Roles(NamedTuple):
    """What each symbol of a sentence is."""

    closer: tf.Tensor  # int32 [batch, symbols]; for a tag that opens, the symbol that closes it; -1 for any other
    opens: tf.Tensor  # bool [batch, symbols]
    closes: tf.Tensor  # bool [batch, symbols]


class TagConstraint:
    """Tags that open and close an element are nested in a translation, whatever their order in the source.

    Symbols stand for tags (`nmt.text.masking`). A symbol that closes an element may come only if that element was the
    last to be opened. A tag without its other half, such as the first of a pair that goes on in the next sentence, may
    come only outside all elements that the source has wholly, and such tags keep the order of the source. If the
    source itself is not nested, all its tags keep their order.

    It goes with a `SymbolConstraint`, which has each symbol come as often as in the source.

    Args:
        closers: int32 `[batch, symbols]`; see `nmt.text.masking.closers`.
        first_id: int, the id of the first symbol; all follow one another.

    Example:

    >>> constraint = TagConstraint(tf.constant([[1, -1]]), first_id=4)  # symbol 0 is <b>, symbol 1 is </b>
    >>> state = constraint.start(tf.constant([[4, 9, 5, 3]]), tf.constant([9]))
    >>> rows = state._replace(states=tuple(one[:, None] for one in state.states))
    >>> rows = constraint.advance(tf.constant([[2]]), rows)  # the begin token
    >>> rows = rows._replace(states=tuple(one[:, 0] for one in rows.states))
    >>> (constraint.allow(tf.zeros((1, 7)), rows) > IMPOSSIBLE).numpy()[0].tolist()
    [True, True, True, True, True, False, True]
    """

    def __init__(self, closers: tf.Tensor, first_id: int) -> None:
        self.closers = tf.convert_to_tensor(closers, tf.int32)
        self.first_id = first_id

    def start(self, source: tf.Tensor, max_lengths: tf.Tensor) -> DecoderState:
        """Finds out which tags of each source are nested pairs, and in which order all others come."""
        tags = _roles(self.closers)
        roles = self._pairs(source, tags)
        single = (tags.opens | tags.closes) & ~roles.opens & ~roles.closes  # tags without their other half
        is_single = self._of_tokens(source, single, False)
        order = tf.argsort(tf.cast(~is_single, tf.int32), stable=True)
        queue = tf.where(tf.sort(tf.cast(~is_single, tf.int32)) == 0, tf.gather(source, order, batch_dims=1), 0)
        batch = tf.shape(source)[0]
        stack, counters = tf.zeros((batch, DEEPEST_NESTING), tf.int32), tf.zeros((batch, 2), tf.int32)
        memory = (roles.closer, roles.closes, single, tf.pad(queue, ((0, 0), (0, 1))))
        return DecoderState(memory, (stack, counters))

    def advance(self, tokens: tf.Tensor, state: DecoderState) -> DecoderState:
        """Notes which elements are open, the last one last, and how many single tags have come."""
        (closer, closes, single, _), (stack, counters) = state
        symbol, is_symbol = self._symbols(tokens, tf.shape(closer)[1])
        closing = tf.where(is_symbol, tf.gather(closer, symbol, batch_dims=1), -1)
        opened = closing >= 0
        closed = is_symbol & tf.gather(closes, symbol, batch_dims=1)
        came = is_symbol & tf.gather(single, symbol, batch_dims=1)
        depth = counters[..., 0]
        top = tf.range(DEEPEST_NESTING) == depth[..., None]
        stack = tf.where(top & opened[..., None], closing[..., None], stack)
        depth += tf.cast(opened, tf.int32) - tf.cast(closed, tf.int32)
        return state._replace(states=(stack, tf.stack([depth, counters[..., 1] + tf.cast(came, tf.int32)], -1)))

    def allow(self, log_probabilities: tf.Tensor, state: DecoderState) -> tf.Tensor:
        """See `Constraint.allow`."""
        (closer, closes, single, queue), (stack, counters) = state
        depth, place = counters[:, 0], counters[:, 1]
        numbers = tf.range(tf.shape(closer)[1])
        last = tf.gather(stack, tf.maximum(depth - 1, 0), batch_dims=1)[:, None]
        following = tf.gather(queue, place, batch_dims=1)[:, None] - self.first_id
        forbidden = closes & ((depth[:, None] == 0) | (last != numbers))
        forbidden |= (closer >= 0) & (depth[:, None] >= DEEPEST_NESTING)
        forbidden |= single & ((depth[:, None] > 0) | (following != numbers))

        def without() -> tf.Tensor:
            end = self.first_id + tf.shape(closer)[1]
            symbols = tf.where(forbidden, IMPOSSIBLE, log_probabilities[:, self.first_id : end])
            return tf.concat([log_probabilities[:, : self.first_id], symbols, log_probabilities[:, end:]], 1)

        return tf.cond(tf.reduce_any(forbidden), without, lambda: log_probabilities)

    def _symbols(self, tokens: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The number of the symbol that each token is, 0 if it is none, and whether it is one."""
        number = tokens - self.first_id
        is_symbol = (number >= 0) & (number < count)
        return tf.where(is_symbol, number, 0), is_symbol

    def _of_tokens(self, source: tf.Tensor, values: tf.Tensor, otherwise: bool | int) -> tf.Tensor:
        """The value of the symbol that each token of the source is: `[batch, time]`."""
        symbol, is_symbol = self._symbols(source, tf.shape(values)[1])
        return tf.where(is_symbol, tf.gather(values, symbol, batch_dims=1), otherwise)

    def _pairs(self, source: tf.Tensor, roles: _Roles) -> _Roles:
        """The roles of the symbols that the source opens and closes equally often, and nests; no others have any."""
        symbol, is_symbol = self._symbols(source, tf.shape(roles.closer)[1])
        counts = tf.reduce_sum(
            tf.one_hot(tf.where(is_symbol, symbol, -1), tf.shape(roles.closer)[1], dtype=tf.int32), 1
        )
        # Several symbols may open what one closes, such as <a href="1"> and <a href="2">.
        closed_by = tf.one_hot(roles.closer, tf.shape(roles.closer)[1], dtype=tf.int32)  # [batch, opens, closes]
        opened = tf.reduce_sum(closed_by * counts[..., None], 1)
        balanced = roles.closes & (opened == counts) & (counts > 0)
        roles = _keep(roles, balanced)
        return _keep(roles, balanced & self._are_nested(source, roles)[:, None])

    def _are_nested(self, source: tf.Tensor, roles: _Roles) -> tf.Tensor:
        """Whether the tags of each source are nested: boolean `[batch]`."""
        closing = self._of_tokens(source, roles.closer, -1)
        opens, closes = closing >= 0, self._of_tokens(source, roles.closes, False)
        depth = tf.cumsum(tf.cast(opens, tf.int32) - tf.cast(closes, tf.int32), 1)
        # A tag closes the last one before it that has opened the level which it ends.
        places = tf.range(tf.shape(source)[1])
        opener = (places[None, :] < places[:, None]) & opens[:, None] & (depth[:, None] == depth[:, :, None] + 1)
        last = tf.reduce_max(tf.where(opener, places, -1), 2)  # [batch, time]
        wanted = tf.gather(closing, tf.maximum(last, 0), batch_dims=1)
        number = source - self.first_id
        right = ~closes | ((last >= 0) & (wanted == number))
        inside = (depth >= 0) & (depth <= DEEPEST_NESTING)
        return tf.reduce_all(right & inside, 1)


def _roles(closers: tf.Tensor) -> _Roles:
    count = tf.shape(closers)[1]
    return _Roles(closers, closers >= 0, tf.reduce_any(closers[..., None] == tf.range(count), 1))


def _keep(roles: _Roles, closes: tf.Tensor) -> _Roles:
    """The roles of the symbols that close something and are kept, and of those that they close."""
    kept = (roles.closer >= 0) & tf.gather(closes, tf.maximum(roles.closer, 0), batch_dims=1)
    return _Roles(tf.where(kept, roles.closer, -1), kept, closes)
