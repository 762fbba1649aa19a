"""Sentences in capitals, in the TensorFlow graph; see `nmt.text.capitals`."""

# ruff: noqa: RUF002 (the dotless i)

import tensorflow as tf

from nmt.text.capitals import TO_LARGE, TO_SMALL, exchanged, small_letters, two_capitals


def are_in_capitals(texts: tf.Tensor) -> tf.Tensor:
    """Returns which texts are written in capitals, as `nmt.text.capitals.is_in_capitals` does.

    Args:
        texts: strings `[n]`, normalised.

    Returns:
        bool `[n]`.

    Example:

    >>> are_in_capitals(tf.constant(["PLEASE STOP!", "USB 3"])).numpy().tolist()
    [True, False]
    """
    capital = two_capitals()
    return tf.strings.regex_full_match(texts, f"(?s).*{capital}.* .*{capital}.*") & ~tf.strings.regex_full_match(
        texts, f"(?s).*{small_letters()}.*"
    )


def lower(texts: tf.Tensor, language: str = "") -> tf.Tensor:
    """Makes letters small, as `nmt.text.capitals.lower` does; for letters newer than Unicode 13 it depends on versions.

    Args:
        texts: strings of any shape, valid UTF-8 without zero bytes.
        language: its code.

    Example:

    >>> lower(tf.constant("KIZ"), "tr").numpy().decode()
    'kız'
    """
    for old, new in exchanged(language, TO_SMALL):
        texts = tf.strings.regex_replace(texts, old, new)
    return tf.strings.lower(texts, "utf-8")


def upper(texts: tf.Tensor, language: str = "") -> tf.Tensor:
    """Puts letters in capitals, as `nmt.text.capitals.upper` does.

    Args:
        texts: as for `lower`.
        language: its code.

    Example:

    >>> upper(tf.constant("diş"), "tr").numpy().decode()
    'DİŞ'
    """
    for old, new in exchanged(language, TO_LARGE):
        texts = tf.strings.regex_replace(texts, old, new)
    return tf.strings.upper(texts, "utf-8")
