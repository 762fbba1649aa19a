"""Dropout whose random numbers are cheap to draw in a compiled program."""

from collections.abc import Collection
from typing import Any

import keras
import tensorflow as tf

_BETWEEN_REPLICAS = 0x61C88647  # 2^32 over the golden ratio, negated: its multiples are far from each other


def dropout(
    values: tf.Tensor, rate: float, seeds: keras.random.SeedGenerator, shared_axes: Collection[int] = ()
) -> tf.Tensor:
    """Sets a share of the values to zero and scales the others up to keep the mean (Srivastava et al. 2014).

    Whole random words are compared with a bound. Where XLA compiled it for a CPU, `keras.random.dropout`, which makes
    fractions of them first, took 30 times as long (benchmarks/compiled_step.py). Replicas of a tf.distribute strategy
    draw different numbers, the first of them those that one device would.

    Args:
        values: of any shape.
        rate: the share, at least 0 and below 1.
        seeds: gives a new seed at each call.
        shared_axes: along which values are dropped together, counted from 0.
    """
    bound = tf.constant(int(rate * 2**32), tf.uint32)
    seed = tf.cast(seeds.next(), tf.int32)
    replica = tf.distribute.get_replica_context()
    if replica is not None and replica.num_replicas_in_sync > 1:
        seed += tf.stack([tf.cast(replica.replica_id_in_sync_group, tf.int32) * _BETWEEN_REPLICAS, 0])
    sizes = tf.shape(values)
    shape = tf.stack([1 if axis in shared_axes else sizes[axis] for axis in range(values.shape.rank)])
    words = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.where(words >= bound, values / (1 - rate), tf.zeros((), values.dtype))


@keras.saving.register_keras_serializable("nmt")
class Dropout(keras.layers.Layer):
    """`dropout` as a layer; it does nothing outside training.

    Args:
        rate: the share of values dropped.
        shared_axes: along which values are dropped together, counted from 0: 1 of `[batch, time, features]` drops a
            feature at all steps or none (Gal and Ghahramani 2016, section 4); 2 drops whole steps.
        seed: of the random numbers; drawn from Python's `random` if None.

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
        self.seeds = keras.random.SeedGenerator(seed) if rate else None
        self.supports_masking = True
        self.built = True

    def call(self, values: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops values in training; see the class."""
        if not training or self.seeds is None:
            return values
        return dropout(values, self.rate, self.seeds, self.shared_axes)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"rate": self.rate, "shared_axes": self.shared_axes, "seed": self.seed}
