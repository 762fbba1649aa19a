"""Word embeddings that also score the output."""

from typing import Any

import keras
import tensorflow as tf


@tf.custom_gradient
def lookup(table: tf.Tensor, ids: tf.Tensor) -> Any:
    """Rows of `table`, with a dense gradient.

    The tied output layer's gradient is dense anyway, and a norm over the slices of a sparse gradient would not
    see that a token occurs twice.
    """
    size = tf.shape(table)[0]

    def gradient(d_rows: tf.Tensor) -> tuple[tf.Tensor, None]:
        flat = tf.reshape(d_rows, (-1, d_rows.shape[-1]))
        return tf.math.unsorted_segment_sum(flat, tf.reshape(ids, (-1,)), size), None

    return tf.gather(table, ids), gradient


@keras.saving.register_keras_serializable("nmt")
class TiedEmbedding(keras.layers.Layer):
    """A matrix that gives tokens their vectors and, transposed, scores them (Press and Wolf 2017).

    The vectors are scaled by sqrt(units), the scores not, so that both start at variance 1 (Vaswani et al. 2017,
    section 3.4).

    Args:
        vocabulary_size: number of tokens.
        units: width of a vector.

    Call arguments:
        ids: int32 of any shape.

    Returns:
        Vectors, `[..., units]`.

    Example:

    >>> embedding = TiedEmbedding(100, 8)
    >>> vectors = embedding(tf.constant([[1, 2, 3]]))
    >>> tuple(vectors.shape), tuple(embedding.logits(vectors).shape)
    ((1, 3, 8), (1, 3, 100))
    """

    def __init__(self, vocabulary_size: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.table = self.add_weight(
            shape=(vocabulary_size, units),
            initializer=keras.initializers.RandomNormal(stddev=units**-0.5),
            name="embeddings",
            autocast=False,  # in half precision, rows are rounded, not the whole table for each lookup
        )
        self.built = True  # also where it only scores the output and is never called

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Looks up the vectors; see the class."""
        vectors = tf.cast(lookup(tf.convert_to_tensor(self.table), ids), self.compute_dtype)
        return vectors * self.units**0.5

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Scores of all tokens, `[..., units]` to `[..., vocabulary]`, in full precision."""
        flat = tf.reshape(outputs, (-1, self.units))
        scores = tf.matmul(flat, tf.cast(self.table, flat.dtype), transpose_b=True)
        shape = tf.concat([tf.shape(outputs)[:-1], [self.vocabulary_size]], 0)
        return tf.cast(tf.reshape(scores, shape), self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"vocabulary_size": self.vocabulary_size, "units": self.units}
