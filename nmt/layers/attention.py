"""Attention: the source positions that each query reads.

All three kinds have the same interface. Called as Keras layers with queries and memory, they give contexts and weights.
A search takes the two halves instead: `project(memory)` computes keys and values once for a sentence, and
`attend(queries, keys, values, mask)` is all that is left to do at each step.
"""

import math
from abc import abstractmethod
from typing import Any

import keras
import tensorflow as tf

from nmt.layers.seeds import make_initializer


class Attention(keras.layers.Layer):
    """Base class of the three kinds: scores, a masked softmax in full precision, and the weighted sum of the values.

    Args:
        units: int, width of the keys.
        seed: int or None, from which initial weights are drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        queries: float `[batch, target time, features]`.
        memory: float `[batch, source time, width]`.
        mask: boolean `[batch, source time]`, True where a position of `memory` is real.
        memory_mask: the mask that `memory` carries, which Keras passes; it applies where `mask` is None.

    Returns:
        Contexts, float `[batch, target time, width]`, and weights, float `[batch, target time, source time]`, at least
        float32, which sum to 1 over the source.

    Example:

    >>> attention = DotAttention(4)
    >>> keys, values = attention.project(tf.ones((2, 5, 6)))  # once for a sentence
    >>> context, weights = attention.attend(tf.ones((2, 1, 4)), keys, values)  # at each step
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 1, 6), (2, 1, 5))
    """

    def __init__(self, units: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.seed = seed
        self.key_projection = self._dense("key")

    def build(self, queries_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...]) -> None:
        """Makes the weights of all projections that `project` and `attend` have not made yet."""
        for layer, shape in self._projections(queries_shape, memory_shape):
            if not layer.built:
                layer.build(shape)

    def call(
        self,
        queries: tf.Tensor,
        memory: tf.Tensor,
        mask: tf.Tensor | None = None,
        memory_mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads the memory; see the class."""
        keys, values = self.project(memory)
        return self.attend(queries, keys, values, memory_mask if mask is None else mask)

    def project(self, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys and values.

        Args:
            memory: float `[batch, source time, width]`.

        Returns:
            Keys, float `[batch, source time, units]`, and values, float `[batch, source time, width]`.
        """
        return _by_rows(self.key_projection, memory), memory

    def attend(
        self, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads what `project` computed.

        Args:
            queries: float `[batch, target time, features]`.
            keys: float `[batch, source time, units]`, from `project`.
            values: float `[batch, source time, width]`, from `project`.
            mask: boolean `[batch, source time]`, True where a position is real; None if all are.

        Returns:
            Contexts, float `[batch, target time, width]`, and weights, float `[batch, target time, source time]`.
        """
        weights = masked_softmax(self.score(queries, keys), None if mask is None else mask[:, None, :])
        return tf.matmul(tf.cast(weights, values.dtype), values), weights

    @abstractmethod
    def score(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """The score of each key for each query.

        Args:
            queries: float `[batch, target time, features]`.
            keys: float `[batch, source time, units]`.

        Returns:
            Float `[batch, target time, source time]`.
        """

    def compute_mask(self, queries: tf.Tensor, _: Any = None) -> list[Any]:
        """The contexts continue with the mask of the queries; the weights have none."""
        return [getattr(queries, "_keras_mask", None), None]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"units": self.units, "seed": self.seed}

    def _projections(
        self, queries_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...]
    ) -> list[tuple[keras.layers.Dense, tuple[int | None, ...]]]:
        """Each projection with the shape of its inputs."""
        return [(self.key_projection, memory_shape)]

    def _dense(self, name: str, units: int | None = None, use_bias: bool = False) -> keras.layers.Dense:
        """A projection in the layer's precision."""
        return keras.layers.Dense(
            units or self.units,
            use_bias=use_bias,
            kernel_initializer=make_initializer("glorot_uniform", self.seed, name),
            dtype=self.dtype_policy,
            name=name,
        )

    def _exact_keys(self, memory: tf.Tensor) -> tf.Tensor:
        """Keys in full precision, for `dot_products`."""
        return tf.cast(_by_rows(self.key_projection, memory), self.variable_dtype)


def dot_products(queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """q . k of each pair, in the precision of the keys.

    A large score rounded to half precision misleads the softmax: in training on Multi30k that alone raised the
    validation loss by 3% (benchmarks/README.md). So keys are kept in full precision.

    Args:
        queries: float `[..., target time, units]`.
        keys: float `[..., source time, units]`.

    Returns:
        Float `[..., target time, source time]`.

    Example:

    >>> dot_products(tf.ones((1, 2, 3), tf.bfloat16), tf.ones((1, 4, 3))).dtype
    tf.float32
    """
    return tf.matmul(tf.cast(queries, keys.dtype), keys, transpose_b=True)


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Softmax over the last axis, in full precision.

    Args:
        scores: float of any shape.
        mask: boolean, of a shape that broadcasts to that of `scores`: False where there is no weight; None if there is
            some everywhere.

    Returns:
        Weights of the shape of `scores`, float64 if the scores are, else float32.

    Example:

    >>> masked_softmax(tf.constant([1.0, 1.0, 5.0]), tf.constant([True, True, False])).numpy().tolist()
    [0.5, 0.5, 0.0]
    """
    scores = tf.cast(scores, tf.float64 if scores.dtype == tf.float64 else tf.float32)
    return tf.nn.softmax(scores if mask is None else tf.where(mask, scores, scores.dtype.min / 2))


@keras.saving.register_keras_serializable("nmt")
class AdditiveAttention(Attention):
    """score(q, k) = v . tanh(W q + U k + b) (Bahdanau et al. 2015, appendix A.1.2).

    Args:
        units: int, width of the hidden layer.
        seed: int or None, from which initial weights are drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        queries: float `[batch, target time, features]`.
        memory: float `[batch, source time, width]`.
        mask: boolean `[batch, source time]`, True where a position of `memory` is real; by default the mask that
            `memory` carries.

    Returns:
        Contexts, float `[batch, target time, width]`, and weights, float `[batch, target time, source time]`.

    Example:

    >>> context, weights = AdditiveAttention(8)(tf.ones((2, 3, 4)), tf.ones((2, 5, 6)))
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 3, 6), (2, 3, 5))

    Reference:
        [Bahdanau et al. 2015](https://arxiv.org/abs/1409.0473).
    """

    def __init__(self, units: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(units, seed, **kwargs)
        self.query_projection = self._dense("query", use_bias=True)
        self.score_projection = self._dense("score", 1)

    def score(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """See the class."""
        hidden = tf.tanh(self.query_projection(queries)[:, :, None] + keys[:, None])
        return self.score_projection(hidden)[..., 0]

    def _projections(
        self, queries_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...]
    ) -> list[tuple[keras.layers.Dense, tuple[int | None, ...]]]:
        """See `Attention`."""
        others = [(self.query_projection, queries_shape), (self.score_projection, (None, self.units))]
        return super()._projections(queries_shape, memory_shape) + others


@keras.saving.register_keras_serializable("nmt")
class DotAttention(Attention):
    """score(q, k) = q . (W k), called "general" by Luong et al. 2015, section 3.1.

    Args:
        units: int, width of the queries.
        seed: int or None, from which initial weights are drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        queries: float `[batch, target time, units]`.
        memory: float `[batch, source time, width]`.
        mask: boolean `[batch, source time]`, True where a position of `memory` is real; by default the mask that
            `memory` carries.

    Returns:
        Contexts, float `[batch, target time, width]`, and weights, float `[batch, target time, source time]`.

    Example:

    >>> context, weights = DotAttention(4)(tf.ones((2, 3, 4)), tf.ones((2, 5, 6)))
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 3, 6), (2, 3, 5))

    Reference:
        [Luong et al. 2015](https://arxiv.org/abs/1508.04025).
    """

    def project(self, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys, in full precision, and values; see `Attention.project`."""
        return self._exact_keys(memory), memory

    def score(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return dot_products(queries, keys)


@keras.saving.register_keras_serializable("nmt")
class MultiHeadAttention(Attention):
    """Several attentions in parallel, each over its own projections (Vaswani et al. 2017, section 3.2.2).

        head_i = softmax(Q W_i^Q (K W_i^K)^T / sqrt(units / num_heads)) V W_i^V,    context = [head_1 ... head_n] W^O

    The weights returned are the mean over the heads.

    Args:
        units: int, width of all heads together.
        num_heads: int, the number of heads; divides `units`.
        seed: int or None, from which initial weights are drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        queries: float `[batch, target time, features]`.
        memory: float `[batch, source time, width]`.
        mask: boolean `[batch, source time]`, True where a position of `memory` is real; by default the mask that
            `memory` carries.

    Returns:
        Contexts, float `[batch, target time, units]`, and weights, float `[batch, target time, source time]`.

    Raises:
        ValueError: if `num_heads` does not divide `units`.

    Example:

    >>> context, weights = MultiHeadAttention(8, num_heads=2)(tf.ones((2, 3, 4)), tf.ones((2, 5, 6)))
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 3, 8), (2, 3, 5))

    Reference:
        [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762).
    """

    def __init__(self, units: int, num_heads: int = 4, seed: int | None = None, **kwargs: Any) -> None:
        if units % num_heads:
            raise ValueError(f"MultiHeadAttention: expected `num_heads` to divide `units`, got {num_heads} and {units}")
        super().__init__(units, seed, **kwargs)
        self.num_heads = num_heads
        self.query_projection = self._dense("query")
        self.value_projection = self._dense("value")
        self.output_projection = self._dense("output")

    def project(self, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Keys, in full precision, and values of each head, `[batch, heads, source time, units / heads]` each."""
        return self._split_heads(self._exact_keys(memory)), self._split_heads(_by_rows(self.value_projection, memory))

    def attend(
        self, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, mask: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads what `project` computed, with every head; see `Attention.attend`."""
        queries = self._split_heads(_by_rows(self.query_projection, queries))
        weights = masked_softmax(self.score(queries, keys), None if mask is None else mask[:, None, None, :])
        contexts = tf.transpose(tf.matmul(tf.cast(weights, values.dtype), values), (0, 2, 1, 3))
        merged = tf.reshape(contexts, _shape(contexts, 2, self.units))
        return _by_rows(self.output_projection, merged), tf.reduce_mean(weights, 1)

    def score(self, queries: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Scores of all heads, `[batch, heads, target time, source time]`, from `[batch, heads, time, width]`."""
        return dot_products(queries, keys) / math.sqrt(self.units // self.num_heads)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"num_heads": self.num_heads}

    def _projections(
        self, queries_shape: tuple[int | None, ...], memory_shape: tuple[int | None, ...]
    ) -> list[tuple[keras.layers.Dense, tuple[int | None, ...]]]:
        """See `Attention`."""
        others = [
            (self.query_projection, queries_shape),
            (self.value_projection, memory_shape),
            (self.output_projection, (None, self.units)),
        ]
        return super()._projections(queries_shape, memory_shape) + others

    def _split_heads(self, values: tf.Tensor) -> tf.Tensor:
        """`[batch, time, units]` to `[batch, heads, time, units / heads]`."""
        shape = _shape(values, 2, self.num_heads, self.units // self.num_heads)
        return tf.transpose(tf.reshape(values, shape), (0, 2, 1, 3))


def _by_rows(dense: keras.layers.Dense, values: tf.Tensor) -> tf.Tensor:
    """`dense(values)`, as one product of matrices; with three axes, Keras adds operations that compute shapes."""
    rows = dense(tf.reshape(values, (-1, values.shape[-1])))
    return tf.reshape(rows, _shape(values, 2, dense.units))


def _shape(values: tf.Tensor, kept: int, *others: int) -> Any:
    """The first `kept` sizes of `values`, then others; without an operation where at most one of them is unknown."""
    known = values.shape[:kept]
    if known.num_elements() is None and sum(size is None for size in known) > 1:
        return tf.concat([tf.shape(values)[:kept], others], 0)
    return [-1 if size is None else size for size in known] + list(others)


def make_attention(
    kind: str, units: int, num_heads: int = 4, seed: int | None = None, name: str = "attention", dtype: Any = None
) -> Attention:
    """An attention layer by the name of its kind.

    Args:
        kind: `"additive"` (Bahdanau et al. 2015), `"dot"` (Luong et al. 2015) or `"multi_head"` (Vaswani et al. 2017).
        units: int, width of the keys.
        num_heads: int, the number of heads, for `"multi_head"` alone.
        seed: int or None, from which initial weights are drawn; None for Keras's default.
        name: str, name of the layer.
        dtype: name of a dtype, or a `keras.DTypePolicy`; None for Keras's default.

    Returns:
        The layer.

    Raises:
        ValueError: if there is no such kind.

    Example:

    >>> make_attention("dot", 8).name
    'attention'
    """
    match kind:
        case "additive":
            return AdditiveAttention(units, seed=seed, name=name, dtype=dtype)
        case "dot":
            return DotAttention(units, seed=seed, name=name, dtype=dtype)
        case "multi_head":
            return MultiHeadAttention(units, num_heads, seed=seed, name=name, dtype=dtype)
    raise ValueError(f'make_attention: expected `kind` "additive", "dot" or "multi_head", got {kind!r}')
