"""Whether a model can read texts, in the TensorFlow graph; see `nmt.text.letters`."""

import tensorflow as tf

from nmt.constants import END
from nmt.text.letters import Letters


def are_unreadable(ids: tf.RaggedTensor, letters: Letters) -> tf.Tensor:
    """`nmt.text.letters.is_unreadable` for each text.

    Args:
        ids: int32 `[n, (time)]`, each row with or without the end mark.
        letters: of the vocabulary.

    Returns:
        Boolean `[n]`.

    Example:

    >>> from nmt.text.letters import count_letters
    >>> letters = count_letters(["<pad>", "<unk>", "<s>", "</s>", "\u2581Hi", "<0xE6>", "<0x97>", "<0xA5>"])
    >>> are_unreadable(tf.ragged.constant([[4, 5, 6, 7], [5, 6, 7], []], tf.int32), letters).numpy().tolist()
    [False, True, False]
    """
    flat = ids.flat_values
    known, unknown, begins, continues, placeholders = (tf.gather(tf.constant(counts), flat) for counts in letters)
    # What follows the last token of a text, the first one of the next text, is no second byte.
    symbols = tf.cast(tf.bitwise.bitwise_and(begins, tf.roll(continues, -1, 0)) > 0, tf.int32)
    others = tf.cast(flat != END, tf.int32)
    # Sums of rows are differences of running sums, which are fewer operations than those of a ragged tensor.
    running = tf.pad(tf.cumsum(tf.stack([known, unknown, symbols, placeholders, others], 1)), [[1, 0], [0, 0]])
    until = tf.gather(running, ids.row_splits)
    known, unknown, symbols, placeholders, others = tf.unstack(until[1:] - until[:-1], axis=1)
    nothing_to_translate = (unknown > 0) | ((placeholders == 0) & (others > 0))
    return (unknown - symbols > known) | ((known == 0) & nothing_to_translate)
