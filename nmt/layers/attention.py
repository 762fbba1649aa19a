"""Attention: which source positions each decoder state reads.

All three have the same two doors. `remember(memory)` makes, once for a sentence, the keys and values of its
positions; calling the layer with queries, keys, values and mask gives each query's context and its weights.
"""

import math
from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf


class Attention(keras.layers.Layer):
    """The frame of the three: scores, masked softmax in full precision, and the weighted sum of the values.

    Call arguments:
        queries: `[batch, target time, units]`.
        keys: `[batch, source time, units]`, from `remember`.
        values: `[batch, source time, width]`, from `remember`.
        mask: boolean `[batch, source time]`, True where a position is real.

    Returns:
        Contexts, `[batch, target time, width]`, and weights, `[batch, target time, source time]`, that sum to 1
        over the source.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # keys may come in full precision
        self.units = units
        self.key_projection = keras.layers.Dense(units, use_bias=False, dtype=self.dtype_policy, name="key")

    def remember(self, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys and values of `memory`, `[batch, source time, width]`."""
        return self.key_projection(memory), memory

    def exact_keys(self, memory: tf.Tensor) -> tf.Tensor:
        """Keys in full precision, for `products`."""
        return tf.cast(self.key_projection(memory), self.variable_dtype)

    @abstractmethod
    def score(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """How well each key answers each query, `[batch, target time, source time]`."""

    def products(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """q . k of each pair, in full precision: a large score rounded to half precision misleads the softmax.

        In training on Multi30k that alone raised the validation loss by 3% (benchmarks/README.md).
        """
        return tf.matmul(tf.cast(queries, keys.dtype), keys, transpose_b=True)

    def call(
        self, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads the memory; see the class."""
        weights = masked_softmax(self.score(queries, keys), mask[:, None, :])
        return tf.matmul(tf.cast(weights, values.dtype), values), weights

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"units": self.units}


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis, in full precision, with no weight where `mask` is False."""
    scores = tf.cast(scores, tf.float64 if scores.dtype == tf.float64 else tf.float32)
    return tf.nn.softmax(tf.where(mask, scores, scores.dtype.min / 2))


@keras.saving.register_keras_serializable("nmt")
class AdditiveAttention(Attention):
    """score(q, k) = v . tanh(W q + U k + b) (Bahdanau et al. 2015, appendix A.1.2).

    Args:
        units: width of the hidden layer.

    Example:

    >>> attention = AdditiveAttention(8)
    >>> keys, values = attention.remember(tf.ones((2, 5, 6)))
    >>> context, weights = attention(tf.ones((2, 3, 4)), keys, values, tf.ones((2, 5), tf.bool))
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 3, 6), (2, 3, 5))
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.query_projection = keras.layers.Dense(units, dtype=self.dtype_policy, name="query")
        self.score_projection = keras.layers.Dense(1, use_bias=False, dtype=self.dtype_policy, name="score")

    def score(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """See the class."""
        hidden = tf.tanh(self.query_projection(queries)[:, :, None] + keys[:, None])
        return self.score_projection(hidden)[..., 0]


@keras.saving.register_keras_serializable("nmt")
class DotAttention(Attention):
    """score(q, k) = q . (W k), which Luong et al. 2015, section 3.1, call "general".

    Args:
        units: width of the queries.
    """

    def remember(self, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys, in full precision, and values of `memory`, `[batch, source time, width]`."""
        return self.exact_keys(memory), memory

    def score(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self.products(queries, keys)


@keras.saving.register_keras_serializable("nmt")
class MultiHeadAttention(Attention):
    """Several attentions side by side, each over its own projections (Vaswani et al. 2017, section 3.2.2).

    The weights returned are the mean over the heads.

    Args:
        units: width of all heads together.
        heads: how many; divides `units`.
    """

    def __init__(self, units: int, heads: int = 4, **kwargs: Any) -> None:
        if units % heads:
            raise ValueError(f"MultiHeadAttention: expected `heads` to divide `units`, got {heads} and {units}")
        super().__init__(units, **kwargs)
        self.heads = heads
        self.query_projection = keras.layers.Dense(units, use_bias=False, dtype=self.dtype_policy, name="query")
        self.value_projection = keras.layers.Dense(units, use_bias=False, dtype=self.dtype_policy, name="value")
        self.output_projection = keras.layers.Dense(units, use_bias=False, dtype=self.dtype_policy, name="output")

    def remember(self, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys, in full precision, and values of all heads, side by side, `[batch, source time, units]`."""
        return self.exact_keys(memory), self.value_projection(memory)

    def call(
        self, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads the memory with every head; see `Attention`."""
        queries, keys, values = (self._split(x) for x in (self.query_projection(queries), keys, values))
        scores = self.products(queries, keys) / math.sqrt(self.units // self.heads)
        weights = masked_softmax(scores, mask[:, None, None, :])
        contexts = tf.transpose(tf.matmul(tf.cast(weights, values.dtype), values), (0, 2, 1, 3))
        merged = tf.reshape(contexts, tf.concat([tf.shape(contexts)[:2], [self.units]], 0))
        return self.output_projection(merged), tf.reduce_mean(weights, 1)

    def _split(self, values: tf.Tensor) -> tf.Tensor:
        """`[batch, time, units]` to `[batch, heads, time, units / heads]`."""
        shape = tf.concat([tf.shape(values)[:2], [self.heads, self.units // self.heads]], 0)
        return tf.transpose(tf.reshape(values, shape), (0, 2, 1, 3))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"heads": self.heads}
