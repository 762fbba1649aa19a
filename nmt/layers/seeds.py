"""Seeds for the parts of a layer, from the layer's own: no two parts draw alike, and no global random state is used."""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import keras

Initializer = str | dict[str, Any] | Callable[..., Any]  # as keras.initializers.get takes it


def derive_seed(seed: int | None, *purpose: object) -> int | None:
    """A seed for one purpose, from the seed of the whole.

    Args:
        seed: int, or None.
        *purpose: values that name what is drawn with it, such as `"dropout"`; different ones give different seeds.

    Returns:
        Int at least 0 and below 2^31, the same in every process; None if `seed` is None, with which Keras draws from
        its own default (`keras.utils.set_random_seed`).

    Example:

    >>> derive_seed(1, "kernel") == derive_seed(1, "kernel"), derive_seed(1, "kernel") == derive_seed(1, "bias")
    (True, False)
    >>> derive_seed(None, "kernel") is None
    True
    """
    if seed is None:
        return None
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def make_initializer(initializer: Initializer, seed: int | None, purpose: str) -> Callable[..., Any]:
    """The initializer of a weight.

    Args:
        initializer: name, configuration or instance, as `keras.initializers.get` takes it. One given by name that draws
            random numbers draws them from `seed`; any other keeps its own seed.
        seed: int, or None for Keras's default.
        purpose: the weight's name, so that a layer's weights do not begin alike.

    Returns:
        A function from shape and dtype to values.

    Example:

    >>> kernel, other = (make_initializer("glorot_uniform", 1, name) for name in ("kernel", "other"))
    >>> kernel.seed == other.seed, make_initializer("zeros", 1, "bias")((2,)).numpy().tolist()
    (False, [0.0, 0.0])
    """
    if isinstance(initializer, str) and seed is not None:
        kind: Any = getattr(keras.initializers, initializer, None)
        if callable(kind) and "seed" in inspect.signature(kind).parameters:
            return kind(seed=derive_seed(seed, purpose))
    return keras.initializers.get(initializer)


def serialize_initializer(initializer: Initializer) -> Any:
    """What `get_config` says of an initializer: its name where it was given by name, so that a copy seeds it anew."""
    return initializer if isinstance(initializer, str | dict) else keras.initializers.serialize(initializer)
