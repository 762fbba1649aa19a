"""A SavedModel with the signatures of an exported one, which translates nothing and is made in a second."""

from pathlib import Path

import tensorflow as tf


def save_stand_in(folder: Path) -> None:
    """Writes version 1 of a model to `folder`.

    The translation of `x` is `<x>`, with the number of x's bytes as its score. Of the three hypotheses of `nbest`,
    `<x>`, `(x)` and one that is missing; an empty text has the translation "" and the score 0, as the real one.
    """
    text = tf.TensorSpec((None,), tf.string, name="text")
    source, target = (tf.TensorSpec((None,), tf.string, name=name) for name in ("source", "target"))

    def within(marks: str, texts: tf.Tensor) -> tf.Tensor:
        return tf.where(texts == "", "", tf.strings.join([marks[0], texts, marks[1]]))

    def length(texts: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.strings.length(texts), tf.float32)

    def serving_default(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"translation": within("<>", text), "score": length(text)}

    def nbest(text: tf.Tensor) -> dict[str, tf.Tensor]:
        missing = tf.fill(tf.shape(text), -1e9)
        scores = tf.stack([length(text), -length(text), missing], 1)
        texts = tf.stack([within("<>", text), within("()", text), tf.fill(tf.shape(text), "")], 1)
        return {"translations": texts, "scores": scores, "log_probabilities": 2 * scores}

    def score(source: tf.Tensor, target: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"log_probability": -length(source), "tokens": tf.strings.length(target)}

    signatures = {
        "serving_default": tf.function(serving_default).get_concrete_function(text),
        "nbest": tf.function(nbest).get_concrete_function(text),
        "score": tf.function(score).get_concrete_function(source, target),
    }
    tf.saved_model.save(tf.Module(), str(folder / "1"), signatures)
