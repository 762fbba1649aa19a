"""Truecasing in the TensorFlow graph; see `nmt.text.truecaser`."""

import tensorflow as tf

from nmt.text.capitals import has_first_capitals, small_letters
from nmt.text.graph_capitals import are_in_capitals, lower, upper
from nmt.text.truecaser import CUT, START, Truecaser, any_case, capital, marks, small_start, title_start


class GraphTruecaser(tf.Module):
    """Writes texts in an unusual case as `nmt.text.truecaser.Truecaser` does.

    Args:
        truecaser: what is known of the training text.

    Example:

    >>> truecaser = GraphTruecaser(Truecaser(["the", "USB", "port"], fewest_small=2, language="en"))
    >>> truecaser.restore(tf.constant(["the usb port", "The USB port"])).numpy().tolist()
    [b'The USB port', b'The USB port']
    """

    def __init__(self, truecaser: Truecaser) -> None:
        super().__init__(name="truecaser")
        self.language = truecaser.language
        self.fewest_small = truecaser.fewest_small
        self.fewest_titles = truecaser.fewest_titles
        words = tf.constant(truecaser.words or [""])  # a table cannot be empty
        self._usual = _table(lower(words, self.language), words)
        exceptions = tf.constant(sorted(truecaser.exceptions) or [""])
        self._exceptions = _table(exceptions, exceptions)

    def restore(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns texts as the training text would write them.

        Args:
            texts: strings `[n]`, normalised.
        """
        titles = _are_titles(texts, self.fewest_titles)
        unusual = titles | _are_small(texts, self.fewest_small) | are_in_capitals(texts)
        unusual &= self._exceptions.lookup(texts) == ""
        return tf.cond(
            tf.reduce_any(unusual), lambda: self._with_restored(texts, tf.where(unusual), titles), lambda: texts
        )

    def _with_restored(self, texts: tf.Tensor, places: tf.Tensor, titles: tf.Tensor) -> tf.Tensor:
        marked = tf.gather_nd(texts, places)
        for expression, replacement in marks():
            marked = tf.strings.regex_replace(marked, expression, replacement)
        words = tf.strings.split(marked, CUT)
        titled = tf.gather(tf.gather_nd(titles, places), words.value_rowids())
        restored = tf.strings.reduce_join(words.with_flat_values(self._restored(words.flat_values, titled)), 1)
        return tf.tensor_scatter_nd_update(texts, places, restored)

    def _restored(self, words: tf.Tensor, titled: tf.Tensor) -> tf.Tensor:
        bare = tf.strings.regex_replace(words, START, "")
        small = lower(bare, self.language)
        usual = self._usual.lookup(small)
        usual = tf.where(usual != "", usual, tf.where(titled, bare, small))
        if not has_first_capitals(self.language):
            return usual
        begins = _match(words, f"{START}.*") & (usual == small)
        first = tf.strings.substr(usual, 0, 1, "UTF8_CHAR")
        rest = tf.strings.substr(usual, tf.strings.length(first), tf.strings.length(usual))
        return tf.where(begins, upper(first, self.language) + rest, usual)


def _table(keys: tf.Tensor, values: tf.Tensor) -> tf.lookup.StaticHashTable:
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), "")


def _are_small(texts: tf.Tensor, fewest: int | None) -> tf.Tensor:
    """Which texts have no capital, and at least `fewest` words with a cased letter."""
    if fewest is None:
        return tf.zeros_like(texts, tf.bool)
    return ~_match(texts, f".*{capital()}.*") & _match(texts, _words(f"[^ ]*{any_case()}", fewest))


def _are_titles(texts: tf.Tensor, fewest: int | None) -> tf.Tensor:
    """Which texts are in Title Case, with at least `fewest` capitalised words."""
    if fewest is None:
        return tf.zeros_like(texts, tf.bool)
    without_small = ~_match(texts, f"(?:.* )?{small_start()}.*")
    return without_small & _match(texts, f".*{small_letters()}.*") & _match(texts, _words(title_start(), fewest))


def _words(beginning: str, count: int) -> str:
    """The regular expression of texts with at least `count` words that match `beginning` at their start."""
    return f"(?:(?:[^ ]* )*{beginning}[^ ]*(?: |$)){{{count}}}.*"


def _match(texts: tf.Tensor, expression: str) -> tf.Tensor:
    return tf.strings.regex_full_match(texts, f"(?s){expression}")
