"""Texts drawn from a language model, token by token, in the graph."""

from collections.abc import Callable

import tensorflow as tf

from nmt.constants import BEGIN, END, PADDING
from nmt.decoding.beam_search import IMPOSSIBLE
from nmt.models.language_model import LanguageModel
from nmt.models.token_model import score_tokens

# Begin of the text, int32 [time]; number of rows; seed, int32 [2]; to drawn tokens, int32 [rows, time], each row closed
# by the end mark, unless it has reached the greatest length, then zeros.
Sampler = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def make_sampler(
    model: LanguageModel,
    max_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Sampler:
    """A function in the graph that goes on with a text at random. Equal arguments give equal texts.

    Args:
        model: from which each next token is drawn. Padding, begin and unknown mark, which no text has, never are.
        max_tokens: the end mark included, the begin of the text not.
        temperature: what scores are divided by, above 0; below 1, likely tokens become likelier.
        top_k: draws among so many likeliest tokens alone.
        top_p: draws among the likeliest tokens alone that have at least this probability together (Holtzman et al.
            2020); with `top_k`, of that of these.
    """

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32), tf.TensorSpec((2,), tf.int32)],
        autograph=False,
    )
    def sampler(prompt: tf.Tensor, rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        step, weights = model.decoder.stepper(), model.output_weights()
        read = tf.concat([[BEGIN], prompt], 0)
        vectors, _, states = step(read[:1, None], (), tuple(zero[:, None] for zero in model.decoder.zeros(1)))
        _, vectors, states = tf.while_loop(
            lambda t, *_: t < tf.size(read),
            lambda t, _, states: (t + 1, *step(read[t][None, None], (), states)[::2]),
            (1, vectors, states),
        )
        vectors, states = tf.nest.map_structure(lambda x: tf.repeat(x, rows, axis=0), (vectors, states))

        def draw(
            t: tf.Tensor, going_on: tf.Tensor, vectors: tf.Tensor, states: tuple[tf.Tensor, ...], ids: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tuple[tf.Tensor, ...], tf.TensorArray]:
            logits = likeliest(score_tokens(vectors[:, 0], weights) / temperature, top_k, top_p)
            of_step = tf.random.experimental.stateless_fold_in(seed, t)
            drawn = tf.random.stateless_categorical(logits, 1, of_step, tf.int32)
            drawn = tf.where(going_on[:, None], drawn, PADDING)
            vectors, _, states = step(drawn, (), states)
            return t + 1, going_on & (drawn[:, 0] != END), vectors, states, ids.write(t, drawn[:, 0])

        ids = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=(None,))
        *_, ids = tf.while_loop(
            lambda t, going_on, *_: (t < max_tokens) & tf.reduce_any(going_on),
            draw,
            (0, tf.fill((rows,), True), vectors, states, ids),
        )
        return tf.transpose(ids.stack())

    return sampler


def likeliest(logits: tf.Tensor, top_k: int | None = None, top_p: float | None = None) -> tf.Tensor:
    """Makes all tokens impossible but those that may be drawn; see `make_sampler`.

    Example:

    >>> logits = tf.math.log([[0.0, 0.0, 0.0, 0.1, 0.5, 0.4]])
    >>> [(likeliest(logits, *limits) > IMPOSSIBLE).numpy()[0, 3:].tolist() for limits in ((1, None), (None, 0.8))]
    [[False, True, False], [False, True, True]]
    """
    logits = tf.where(tf.range(tf.shape(logits)[1]) > BEGIN, logits, IMPOSSIBLE)
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
