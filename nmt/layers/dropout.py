"""Dropout whose random numbers are cheap to draw in a compiled program."""

from collections.abc import Collection
from typing import Any

import keras
import tensorflow as tf

from nmt.layers.seeds import derive_seed

_REPLICA_STRIDE = 0x61C88647  # 2^32 over the golden ratio, negated: its multiples are far from each other


def dropout(
    values: tf.Tensor, rate: float, seed_generator: keras.random.SeedGenerator, shared_axes: Collection[int] = ()
) -> tf.Tensor:
    """Sets a share of the values to zero and scales the others up to keep the mean (Srivastava et al. 2014).

    Whole random words are compared with a bound. Where XLA compiled it for a CPU, `keras.random.dropout`, which turns
    them into fractions first, took 26 times as long (benchmarks/compiled_step.py). Replicas of a `tf.distribute`
    strategy draw different numbers, the first of them the same as a single device.

    Args:
        values: float of any shape.
        rate: float, the share dropped, at least 0 and below 1.
        seed_generator: gives a new seed at each call.
        shared_axes: axes along which values are dropped together, counted from 0.

    Returns:
        Float of the shape of `values`.

    Example:

    >>> values = dropout(tf.ones((100,)), 0.5, keras.random.SeedGenerator(1))
    >>> sorted(set(values.numpy().tolist()))
    [0.0, 2.0]
    """
    bound = tf.constant(int(rate * 2**32), tf.uint32)
    seed = tf.cast(seed_generator.next(), tf.int32)
    replica = tf.distribute.get_replica_context()
    if replica is not None and replica.num_replicas_in_sync > 1:
        seed += tf.stack([tf.cast(replica.replica_id_in_sync_group, tf.int32) * _REPLICA_STRIDE, 0])
    sizes = tf.shape(values)
    shape = tf.stack([1 if axis in shared_axes else sizes[axis] for axis in range(values.shape.rank)])
    words = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.where(words >= bound, values / (1 - rate), tf.zeros((), values.dtype))


@keras.saving.register_keras_serializable("nmt")
class Dropout(keras.layers.Layer):
    """Sets a share of the values to zero in training, and scales the others up (Srivastava et al. 2014).

    It draws its random numbers as the function `dropout` does, faster than `keras.layers.Dropout`.

    Args:
        rate: float, the share of values dropped, at least 0 and below 1.
        shared_axes: axes along which values are dropped together, counted from 0: with 1 of `[batch, time, features]`
            a feature is dropped at all steps or none (Gal and Ghahramani 2016, section 4); with 2, whole steps are.
        seed: int or None, from which random numbers are drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        values: float of any shape.
        training: bool, whether values are dropped.

    Returns:
        Float of the shape of `values`.

    Raises:
        ValueError: if `rate` is not at least 0 and below 1.

    Example:

    >>> float(Dropout(0.5)(tf.ones(())))
    1.0
    >>> sorted(set(Dropout(0.5)(tf.ones((100,)), training=True).numpy().tolist()))
    [0.0, 2.0]
    >>> steps = Dropout(0.5, shared_axes=(2,))(tf.ones((1, 100, 3)), training=True)
    >>> bool(tf.reduce_all(steps == steps[..., :1]))
    True
    """

    def __init__(self, rate: float, shared_axes: Collection[int] = (), seed: int | None = None, **kwargs: Any) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: expected `rate` to be at least 0 and below 1, got {rate!r}")
        super().__init__(**kwargs)
        self.rate = rate
        self.shared_axes = tuple(shared_axes)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None
        self.supports_masking = True
        self.built = True

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops values in training; see the class."""
        if not training or self.seed_generator is None:
            return values
        return dropout(values, self.rate, self.seed_generator, self.shared_axes)

    def compute_output_shape(self, values_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the values."""
        return values_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"rate": self.rate, "shared_axes": self.shared_axes, "seed": self.seed}


@keras.saving.register_keras_serializable("nmt")
class EmbeddingDropout(keras.layers.Layer):
    """Drops whole tokens, like a reader who skips a word, and then features of those left.

    Gal and Ghahramani 2016, section 4.2, drop all tokens of a type at once; here each is dropped by itself, as in
    Sennrich et al. 2016, "Edinburgh Neural Machine Translation Systems for WMT 16".

    Args:
        rate: float, the share of features dropped, at least 0 and below 1.
        word_rate: float, the share of tokens dropped, at least 0 and below 1.
        variational: bool, whether a feature is dropped at all steps of a sentence or none (Gal and Ghahramani 2016).
        seed: int or None, from which random numbers are drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        embedded: float `[batch, time, features]`; outside training also `[n, features]`.
        training: bool, whether tokens and features are dropped.

    Returns:
        Float of the shape of `embedded`.

    Raises:
        ValueError: if a share is not at least 0 and below 1.

    Example:

    >>> tokens = EmbeddingDropout(0.0, word_rate=0.5)(tf.ones((1, 100, 3)), training=True)
    >>> sorted(set(tokens.numpy().ravel().tolist())), bool(tf.reduce_all(tokens == tokens[..., :1]))
    ([0.0, 2.0], True)
    """

    def __init__(
        self, rate: float, word_rate: float = 0.0, variational: bool = False, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.word_rate = word_rate
        self.variational = variational
        self.seed = seed
        policy, axes = self.dtype_policy, (1,) if variational else ()
        self.words = Dropout(word_rate, (2,), derive_seed(seed, "words"), dtype=policy, name="words")
        self.features = Dropout(rate, axes, derive_seed(seed, "features"), dtype=policy, name="features")
        self.supports_masking = True
        self.built = True

    def call(self, embedded: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops tokens and features in training; see the class."""
        return self.features(self.words(embedded, training=training), training=training)

    def compute_output_shape(self, embedded_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the embeddings."""
        return embedded_shape

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("rate", "word_rate", "variational", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}
