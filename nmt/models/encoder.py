"""The encoder: a sentence's ids to the states that attention reads."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.layers.cells import CELLS
from nmt.layers.embedding import TiedEmbedding
from nmt.models.dropouts import EmbeddingDropout


class Encoded(NamedTuple):
    """What the encoder knows of a batch of sentences."""

    states: tf.Tensor  # [batch, source time, 2 * units]
    last: tf.Tensor  # [batch, 2 * units], the top layer's last states of both directions
    mask: tf.Tensor  # [batch, source time], True where real


class Encoder(keras.layers.Layer):
    """Embeddings, then stacked bidirectional recurrent layers with residual connections from the second layer on.

    Args:
        settings: the model's shape.
        embedding: of the source language; may be shared with the decoder.

    Call arguments:
        ids: int32 `[batch, source time]`, 0 where padded.

    Returns:
        `Encoded`.
    """

    def __init__(self, settings: ModelSettings, embedding: TiedEmbedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embedding = embedding
        self.embedding_dropout = EmbeddingDropout(settings, name="embedding_dropout")
        self.recurrent = [
            keras.layers.Bidirectional(
                CELLS[settings.cell](
                    settings.units,
                    return_sequences=True,
                    return_state=True,
                    dropout=settings.dropout if index else 0.0,
                    variational_dropout=settings.variational_dropout,
                    recurrent_dropout=settings.recurrent_dropout,
                    layer_normalization=settings.layer_normalization,
                    longest_memory=settings.longest_memory,
                    name=settings.cell,
                ),
                name=f"layer_{index}",
            )
            for index in range(settings.encoder_layers)
        ]

    def call(self, ids: tf.Tensor, training: bool | None = None) -> Encoded:
        """Encodes a batch; see the class."""
        mask = tf.not_equal(ids, 0)
        states = self.embedding_dropout(self.embedding(ids), training=training)
        for index, layer in enumerate(self.recurrent):
            new, *last = layer(states, mask=mask, training=training)
            states = states + new if index else new
        forward, *_ = last
        backward = last[len(last) // 2]  # a cell may have several states; the first is the one that it gives out
        return Encoded(states, tf.concat([forward, backward], -1), mask)
