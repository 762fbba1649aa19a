"""Word embeddings that also score the output.

`keras.layers.ReversibleEmbedding` is as fast with a tied output. But in half precision it rounds the whole table at
each lookup, so that the 320 tokens of a search's step take 1.7 ms in place of 0.9. And the gradient of its lookups is
sparse: for a token that occurs twice, `tf.linalg.global_norm` returns 0.71 of the gradient's norm
(benchmarks/keras_parts.py).
"""

from typing import Any

import keras
import tensorflow as tf

from nmt.layers.seeds import derive_seed


@tf.custom_gradient
def lookup(table: tf.Tensor, ids: tf.Tensor) -> Any:
    """Rows of a table, with a dense gradient.

    The gradient of the tied output layer is dense anyway, and a norm over the slices of a sparse gradient would not
    notice that a token occurs twice.

    Args:
        table: float `[vocabulary, units]`.
        ids: integers of any shape.

    Returns:
        Float `[..., units]`.

    Example:

    >>> lookup(tf.constant([[1.0], [2.0]]), tf.constant([1, 0, 1])).numpy().ravel().tolist()
    [2.0, 1.0, 2.0]
    """
    size = tf.shape(table)[0]

    def gradient(d_rows: tf.Tensor) -> tuple[tf.Tensor, None]:
        flat = tf.reshape(d_rows, (-1, d_rows.shape[-1]))
        return tf.math.unsorted_segment_sum(flat, tf.reshape(ids, (-1,)), size), None

    return tf.gather(table, ids), gradient


@keras.saving.register_keras_serializable("nmt")
class TiedEmbedding(keras.layers.Layer):
    """A matrix that gives tokens their vectors and, transposed, scores them (Press and Wolf 2017).

        vectors = sqrt(units) E[ids],    logits = vectors E^T

    The vectors are scaled and the logits are not, so that both begin at variance 1 (Vaswani et al. 2017, section 3.4).

    Args:
        vocabulary_size: int, number of tokens; id 0 is padding.
        units: int, width of a vector.
        seed: int or None, from which initial weights are drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: integer ids of any shape; with `reverse`, float vectors `[..., units]`.
        reverse: bool, whether vectors are turned into logits.

    Returns:
        Vectors, float `[..., units]`, which carry the mask `ids != 0`; with `reverse`, logits, float
        `[..., vocabulary_size]`, in full precision.

    Raises:
        ValueError: if ids are not integers.

    Example:

    >>> embedding = TiedEmbedding(100, 8)
    >>> vectors = embedding(tf.constant([[1, 2, 3]]))
    >>> tuple(vectors.shape), tuple(embedding(vectors, reverse=True).shape)
    ((1, 3, 8), (1, 3, 100))

    Reference:
        [Press and Wolf 2017](https://arxiv.org/abs/1608.05859).
    """

    def __init__(self, vocabulary_size: int, units: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.seed = seed
        self.table = self.add_weight(
            shape=(vocabulary_size, units),
            initializer=keras.initializers.RandomNormal(stddev=units**-0.5, seed=derive_seed(seed, "embeddings")),
            name="embeddings",
            autocast=False,  # in half precision, rows are rounded, not the whole table at each lookup
        )
        self.built = True  # also where it only scores the output and never looks up

    def call(self, inputs: tf.Tensor, reverse: bool = False) -> tf.Tensor:
        """Looks up vectors, or scores them; see the class."""
        return self._score(inputs) if reverse else self._look_up(inputs)

    def compute_mask(self, inputs: tf.Tensor, previous_mask: Any = None) -> Any:
        """`ids != 0` for ids; vectors keep the mask that they carry."""
        return keras.ops.not_equal(inputs, 0) if keras.backend.is_int_dtype(inputs.dtype) else previous_mask

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("vocabulary_size", "units", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}

    def _look_up(self, ids: tf.Tensor) -> tf.Tensor:
        """`[...]` to `[..., units]`."""
        if not ids.dtype.is_integer:
            raise ValueError(f"TiedEmbedding: expected integer ids, got {ids.dtype.name}; vectors take `reverse=True`")
        vectors = tf.cast(lookup(tf.convert_to_tensor(self.table), ids), self.compute_dtype)
        return vectors * self.units**0.5

    def _score(self, vectors: tf.Tensor) -> tf.Tensor:
        """`[..., units]` to `[..., vocabulary_size]`."""
        flat = tf.reshape(vectors, (-1, self.units))
        scores = tf.matmul(flat, tf.cast(self.table, flat.dtype), transpose_b=True)
        shape = tf.concat([tf.shape(vectors)[:-1], [self.vocabulary_size]], 0)
        return tf.cast(tf.reshape(scores, shape), self.variable_dtype)
