"""What is dropped in training, as the settings say."""

from typing import Any

import keras
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.layers.dropout import Dropout


class EmbeddingDropout(keras.layers.Layer):
    """Drops whole tokens, as a reader who skips a word, then features of those left.

    Gal and Ghahramani 2016, section 4.2, drop all tokens of a type at once; here each is dropped by itself, as in
    Sennrich et al. 2016, "Edinburgh Neural Machine Translation Systems for WMT 16".

    Args:
        settings: the model's, of which those of dropout count.

    Call arguments:
        embedded: `[batch, time, embedding]`; single steps, `[n, embedding]`, outside training alone.
    """

    def __init__(self, settings: ModelSettings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = Dropout(settings.word_dropout, shared_axes=(2,), name="words")
        self.features = Dropout(settings.dropout, over_time(settings), name="features")
        self.built = True

    def call(self, embedded: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops in training; see the class."""
        return self.features(self.words(embedded, training=training), training=training)


def over_time(settings: ModelSettings) -> tuple[int, ...]:
    """The axes of `[batch, time, features]` along which features are dropped together."""
    return (1,) if settings.variational_dropout else ()
