"""The encoder-decoder: source ids and target ids to output vectors and log-probabilities."""

import random
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from nmt.config import ModelSettings
from nmt.data.tokenizer import BEGIN
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import Recurrent
from nmt.models.decoder import Decoder, Memory
from nmt.models.encoder import Encoder


class Seq2Seq(keras.Model):
    """A GRU encoder-decoder with attention (Bahdanau et al. 2015).

    Args:
        settings: its shape.
        source_vocabulary: number of source tokens.
        target_vocabulary: number of target tokens; with `tied_embeddings: all`, the same tokens as the source's.

    Call arguments:
        inputs: `{"source", "target"}`, int32 `[batch, source time]` and `[batch, target time]`; both sides close with
            their end mark, then zeros.

    Returns:
        Output vectors, `[batch, target time, embedding]`: vector t tells target token t from the tokens before it.
        `logits` scores them.

    Example:

    >>> model = Seq2Seq(ModelSettings(units=8, embedding=8), 300, 300)
    >>> batch = {"source": tf.constant([[5, 6, 3]]), "target": tf.constant([[7, 3]])}
    >>> tuple(model(batch).shape), tuple(model.logits(model(batch)).shape)
    ((1, 2, 8), (1, 2, 300))
    """

    def __init__(self, settings: ModelSettings, source_vocabulary: int, target_vocabulary: int, **kwargs: Any) -> None:
        super().__init__(**{"name": "seq2seq"} | kwargs)
        if settings.tied_embeddings == "all" and source_vocabulary != target_vocabulary:
            raise ValueError(
                f"Seq2Seq: expected one vocabulary for tied embeddings, got {source_vocabulary} and {target_vocabulary}"
            )
        self.vocabulary = min(source_vocabulary, target_vocabulary)  # ids below it are tokens on both sides
        width, tied = settings.embedding, settings.tied_embeddings
        source = TiedEmbedding(source_vocabulary, width, name="source_embedding")
        target = source if tied == "all" else TiedEmbedding(target_vocabulary, width, name="target_embedding")
        self.encoder = Encoder(settings, source, name="encoder")
        self.decoder = Decoder(settings, target, name="decoder")
        self.output_embedding = (
            TiedEmbedding(target_vocabulary, width, name="output_embedding") if tied == "none" else target
        )

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Output vectors of whole target sentences; see the class."""
        return self.attend(inputs, training)[0]

    def attend(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Output vectors, and the attention weights `[batch, target time, source time]` behind them."""
        memory, states = self.begin(inputs["source"], training=training)
        return self.decoder(shift_right(inputs["target"]), memory, states, training=training)

    def begin(self, source: tf.Tensor, training: bool | None = None) -> tuple[Memory, tuple[tf.Tensor, ...]]:
        """Reads the source once: the memory that attention reads, and the decoder's first states, `[batch, units]`."""
        return self.decoder.begin(self.encoder(source, training=training))

    def recurrent_layers(self) -> Iterator[Recurrent]:
        """All layers over time, of both directions."""
        for layer in self.encoder.recurrent:
            yield from (layer.forward_layer, layer.backward_layer)
        yield from self.decoder.recurrent

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Scores of all target tokens before softmax, `[..., embedding]` to `[..., vocabulary]`."""
        return self.output_embedding.logits(outputs)

    def output_weights(self) -> tf.Tensor:
        """What `logits` multiplies by, `[embedding, vocabulary]`: read in this order, a search is faster."""
        return tf.transpose(self.output_embedding.table)


def make_model(settings: ModelSettings, source_vocabulary: int, target_vocabulary: int, seed: int) -> Seq2Seq:
    """A model with all its weights made, the same for the same seed."""
    before = random.getstate()
    random.seed(seed)  # from which Keras draws the seeds of initializers and dropout
    try:
        model = Seq2Seq(settings, source_vocabulary, target_vocabulary)
        token = tf.ones((1, 1), tf.int32)
        model({"source": token, "target": token})
    finally:
        random.setstate(before)
    return model


def shift_right(target: tf.Tensor) -> tf.Tensor:
    """What the decoder has seen before each token: the begin mark, then the target without its last position."""
    return tf.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=BEGIN)
