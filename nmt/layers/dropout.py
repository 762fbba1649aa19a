"""Dropout whose random numbers are cheap to draw in a compiled program."""

from typing import Any

import keras
import tensorflow as tf

_BETWEEN_REPLICAS = 0x61C88647  # 2^32 over the golden ratio, negated: its multiples are far from each other


def dropout(values: tf.Tensor, rate: float, seeds: keras.random.SeedGenerator) -> tf.Tensor:
    """Sets a share of the values to zero and scales the others up to keep the mean (Srivastava et al. 2014).

    Whole random words are compared with a bound. Where XLA compiled it for a CPU, `keras.random.dropout`, which makes
    fractions of them first, took 30 times as long (benchmarks/compiled_step.py). Replicas of a tf.distribute strategy
    draw different numbers, the first of them those that one device would.

    Args:
        values: of any shape.
        rate: the share, at least 0 and below 1.
        seeds: gives a new seed at each call.
    """
    bound = tf.constant(int(rate * 2**32), tf.uint32)
    seed = tf.cast(seeds.next(), tf.int32)
    replica = tf.distribute.get_replica_context()
    if replica is not None and replica.num_replicas_in_sync > 1:
        seed += tf.stack([tf.cast(replica.replica_id_in_sync_group, tf.int32) * _BETWEEN_REPLICAS, 0])
    words = tf.random.stateless_uniform(tf.shape(values), seed, None, None, tf.uint32, alg="philox")
    return tf.where(words >= bound, values / (1 - rate), tf.zeros((), values.dtype))


@keras.saving.register_keras_serializable("nmt")
class Dropout(keras.layers.Layer):
    """`dropout` as a layer; it does nothing outside training.

    Args:
        rate: the share of values dropped.
        seed: of the random numbers; drawn from Python's `random` if None.

    Example:

    >>> float(Dropout(0.5)(tf.ones(())))
    1.0
    >>> sorted(set(Dropout(0.5)(tf.ones((100,)), training=True).numpy().tolist()))
    [0.0, 2.0]
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: expected `rate` to be at least 0 and below 1, got {rate!r}")
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed
        self.seeds = keras.random.SeedGenerator(seed) if rate else None
        self.supports_masking = True
        self.built = True

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops values in training; see the class."""
        return dropout(values, self.rate, self.seeds) if training and self.seeds is not None else values

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"rate": self.rate, "seed": self.seed}
