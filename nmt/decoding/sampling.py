"""Texts drawn from a language model, token by token, in the graph."""

from collections.abc import Callable

import tensorflow as tf

from nmt.constants import PADDING
from nmt.decoding.scorers import IMPOSSIBLE
from nmt.models.decoder import DecoderState
from nmt.models.language_model import LanguageModel
from nmt.models.token_model import score_tokens

# The beginning of the texts, int32 [time]; number of texts; seed, int32 [2]; to drawn tokens, int32 [texts, time], each
# row closed by the end token, unless it has reached the greatest length, then zeros.
Sampler = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def make_sampler(
    model: LanguageModel,
    max_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Sampler:
    """A function in the graph that continues a text at random. Equal arguments give equal texts.

    Args:
        model: gives the distribution of each next token. Padding, unknown and begin tokens, whose ids are not above
            `model.begin_id`, are never drawn.
        max_tokens: int, the most tokens that are drawn, the end token included.
        temperature: float above 0, by which logits are divided; below 1, probable tokens become more probable.
        top_k: int or None; if given, only the k most probable tokens are drawn from.
        top_p: float or None; if given, only the most probable tokens whose probabilities add up to this are drawn from
            (Holtzman et al. 2020). With `top_k`, the probabilities are those among the k tokens.

    Returns:
        A function from the ids of the beginning, int32 `[time]`, the number of texts, and a seed, int32 `[2]`, to drawn
        ids, int32 `[texts, time]`: each row closed by the end token unless `max_tokens` cuts it off, then zeros.

    Example:

    >>> sampler = make_sampler(LanguageModel(vocabulary_size=20, units=8, seed=1), max_tokens=4)
    >>> drawn = sampler(tf.zeros((0,), tf.int32), 3, tf.constant([1, 2]))
    >>> drawn.shape[0], bool(tf.reduce_all(drawn == sampler(tf.zeros((0,), tf.int32), 3, tf.constant([1, 2]))))
    (3, True)
    """

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32), tf.TensorSpec((2,), tf.int32)],
        autograph=False,
    )
    def sampler(prompt: tf.Tensor, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        step, weights = model.stepper(), model.output_weights()
        read = tf.concat([[model.begin_id], prompt], 0)
        first = model.start(read[:1, None])
        first = first._replace(states=tuple(one[:, None] for one in first.states))
        vectors, _, state = step(read[:1, None], first)
        _, vectors, state = tf.while_loop(
            lambda t, *_: t < tf.size(read),
            lambda t, _, state: (t + 1, *step(read[t][None, None], state)[::2]),
            (1, vectors, state),
        )
        vectors, state = tf.nest.map_structure(lambda x: tf.repeat(x, count, axis=0), (vectors, state))

        def draw(
            t: tf.Tensor, is_open: tf.Tensor, vectors: tf.Tensor, state: DecoderState, ids: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, DecoderState, tf.TensorArray]:
            logits = score_tokens(vectors[:, 0], weights) / temperature
            logits = most_probable(logits, model.begin_id, top_k, top_p)
            of_step = tf.random.experimental.stateless_fold_in(seed, t)
            drawn = tf.random.stateless_categorical(logits, 1, of_step, tf.int32)
            drawn = tf.where(is_open[:, None], drawn, PADDING)
            vectors, _, state = step(drawn, state)
            return t + 1, is_open & (drawn[:, 0] != model.end_id), vectors, state, ids.write(t, drawn[:, 0])

        ids = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=(None,))
        *_, ids = tf.while_loop(
            lambda t, is_open, *_: (t < max_tokens) & tf.reduce_any(is_open),
            draw,
            (0, tf.fill((count,), True), vectors, state, ids),
        )
        return tf.transpose(ids.stack())

    return sampler


def most_probable(logits: tf.Tensor, begin_id: int, top_k: int | None = None, top_p: float | None = None) -> tf.Tensor:
    """Keeps the logits of the tokens that may be drawn, and makes all others impossible; see `make_sampler`.

    Args:
        logits: float `[n, vocabulary]`.
        begin_id: int; ids up to it are never drawn.
        top_k: int or None.
        top_p: float or None.

    Returns:
        Float `[n, vocabulary]`.

    Example:

    >>> logits = tf.math.log([[0.0, 0.0, 0.0, 0.1, 0.5, 0.4]])
    >>> kept = [most_probable(logits, 2, *limits) > IMPOSSIBLE for limits in ((1, None), (None, 0.8))]
    >>> [one.numpy()[0, 3:].tolist() for one in kept]
    [[False, True, False], [False, True, True]]
    """
    logits = tf.where(tf.range(tf.shape(logits)[1]) > begin_id, logits, IMPOSSIBLE)
    if top_k is not None:
        least = tf.math.top_k(logits, min(top_k, logits.shape[1])).values[:, -1:]
        logits = tf.where(logits >= least, logits, IMPOSSIBLE)
    if top_p is not None:
        descending = tf.sort(logits, direction="DESCENDING")
        before = tf.cumsum(tf.nn.softmax(descending), 1, exclusive=True)
        kept = tf.math.count_nonzero(before < top_p, 1, keepdims=True, dtype=tf.int32)
        least = tf.gather(descending, tf.maximum(kept, 1) - 1, batch_dims=1)
        logits = tf.where(logits >= least, logits, IMPOSSIBLE)
    return logits
