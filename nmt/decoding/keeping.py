"""A search that keeps each symbol of a source: the translation has it as often, and ends only then.

The log-probabilities are the model's own, but those of what would break the rule are impossible. So a hypothesis that
forgot a symbol has to place it where it is unlikely, and falls behind one that has it where the model expects it. It is
placed where the model would end, or where just as much room is left: forbidden to end, a model would repeat itself.
"""

import tensorflow as tf

from nmt.constants import END
from nmt.decoding.beam_search import IMPOSSIBLE, Memory, Scores, States, Step
from nmt.text.placeholders import SYMBOLS

FIRST = END + 1  # SentencePiece puts the symbols after its control tokens
_LAST = END + len(SYMBOLS)
# Of an end mark while symbols are missing: less than any other score, but possible, for a translation may have room for
# fewer tokens than there are symbols.
_EARLY = -1e5


def keeping_states(source: tf.Tensor, limits: tf.Tensor, states: States) -> States:
    """The states before the first step, and of each sentence how often each symbol and how many tokens may come.

    Args:
        source: padded ids, int32 `[batch, time]`.
        limits: the most tokens of a translation, int32 `[batch]`.
        states: the model's.
    """
    symbols = tf.reduce_sum(tf.one_hot(source - FIRST, len(SYMBOLS)), 1)
    return states, tf.concat([symbols, tf.cast(limits[:, None] + 1, tf.float32)], 1)  # the first step's is no token


def keeping_step(step: Step) -> Step:
    """A step whose output vectors have beside them what may still come."""

    def keeping(ids: tf.Tensor, memory: Memory, states: States) -> tuple[tf.Tensor, tf.Tensor, States]:
        vectors, attention, new = step(ids, memory, states[0])
        came = tf.concat([tf.one_hot(ids - FIRST, len(SYMBOLS)), tf.ones_like(ids, tf.float32)[..., None]], -1)
        left = states[1] - came
        return tf.concat([vectors, tf.cast(left, vectors.dtype)], -1), attention, (new, left)

    return keeping


def keeping_scores(scores: Scores, space: int) -> Scores:
    """Log-probabilities of such vectors.

    Args:
        scores: the model's.
        space: the token of a space, which may stand before a symbol that is placed; -1 if there is none.
    """

    def keeping(vectors: tf.Tensor, sentence: tf.Tensor) -> tf.Tensor:
        width = len(SYMBOLS) + 1
        values = tf.nn.log_softmax(scores(vectors[:, :-width], sentence))
        left, room = vectors[:, -width:-1], vectors[:, -1:]
        missing, end = left > 0.5, values[:, END : END + 1]
        any_missing = tf.reduce_any(missing, 1, keepdims=True)
        no_room = room < tf.reduce_sum(left, 1, keepdims=True) + 1.5
        placing = any_missing & (no_room | (end >= tf.reduce_max(values, 1, keepdims=True)))
        others = tf.where(placing & (no_room | (tf.range(tf.shape(values)[1]) != space)), IMPOSSIBLE, values)
        symbols = tf.where(missing, values[:, FIRST : _LAST + 1], IMPOSSIBLE)
        end = tf.where(any_missing, end + _EARLY, end)
        return tf.concat([others[:, :END], end, symbols, others[:, _LAST + 1 :]], 1)

    return keeping
