"""Text normalisation in the TensorFlow graph, so that a translator normalises exactly as its training data was."""

import tensorflow as tf
import tensorflow_text as tf_text

from nmt.text.normalization import INVISIBLE, NEEDLESS, SPACES


def normalize_in_graph(texts: tf.Tensor) -> tf.Tensor:
    """Normalises texts as `nmt.text.normalization.normalize` does; bytes that are not UTF-8 become U+FFFD.

    Unicode adds characters every year. The two functions agree on all that Python's own Unicode version has.

    Args:
        texts: strings `[n]`, any bytes.

    Returns:
        Strings `[n]`, valid UTF-8.

    Example:

    >>> normalize_in_graph(tf.constant([" Cafe\\u0301\\x00\\t au  lait\\n"])).numpy()[0].decode()
    'Café au lait'
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tf.strings.regex_replace(texts, f"[{INVISIBLE}]+", "")
    texts = tf.strings.regex_replace(texts, NEEDLESS, r"\1")
    texts = tf.strings.regex_replace(texts, f"[{SPACES}]+", " ")
    return tf.strings.strip(tf_text.normalize_utf8(texts, "NFC"))
