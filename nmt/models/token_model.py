"""What a translation model and a language model have in common: vectors that score the next token."""

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

import keras
import tensorflow as tf

from nmt.constants import BEGIN, Side
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import Recurrent


class TokenModel(keras.Model):
    """The frame of a model: what training, scoring and search ask of any.

    Attributes:
        vocabulary: ids below it are tokens.
        output_embedding: what output vectors are multiplied by.

    Call arguments:
        inputs: `{"source", "target"}`, int32 `[batch, source time]` and `[batch, target time]`; both sides close with
            their end mark, then zeros.

    Returns:
        Output vectors, `[batch, target time, embedding]`: vector t tells target token t from the tokens before it.
        `logits` scores them.
    """

    vocabulary: int
    output_embedding: TiedEmbedding

    def embeddings(self) -> Iterator[tuple[Side, TiedEmbedding]]:
        """All embeddings, each with the side whose tokens it is of; a shared one comes more than once."""
        raise NotImplementedError

    def recurrent_layers(self) -> Iterator[Recurrent]:
        """All layers over time."""
        raise NotImplementedError

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Scores of all target tokens before softmax, `[..., embedding]` to `[..., vocabulary]`."""
        return self.output_embedding.logits(outputs)

    def output_weights(self) -> tf.Tensor:
        """What `logits` multiplies by, `[embedding, vocabulary]`, in the precision of the products.

        Read in this order, a search is faster.
        """
        return tf.cast(tf.transpose(self.output_embedding.table), self.compute_dtype)


Model = TypeVar("Model", bound=TokenModel)


def made_from_seed(make: Callable[[], Model], seed: int) -> Model:
    """A model with all its weights made, the same for the same seed."""
    before = random.getstate()
    random.seed(seed)  # from which Keras draws the seeds of initializers and dropout
    try:
        model = make()
        token = tf.ones((1, 1), tf.int32)
        model({"source": token, "target": token})
    finally:
        random.setstate(before)
    return model


def score_tokens(vectors: tf.Tensor, output_weights: tf.Tensor) -> tf.Tensor:
    """`TokenModel.logits` of output vectors, `[n, embedding]`, by its `output_weights`: in float32 at least."""
    values = tf.matmul(vectors, output_weights)
    if values.dtype.size >= tf.float32.size:
        return values
    # Otherwise TensorFlow would reshape the values before it casts them, and cast them twice, if both shapes are used.
    return tf.ensure_shape(tf.cast(values, tf.float32), values.shape)


def shift_right(target: tf.Tensor) -> tf.Tensor:
    """What the decoder has seen before each token: the begin mark, then the target without its last position."""
    return tf.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=BEGIN)
