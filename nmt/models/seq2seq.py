"""The encoder-decoder: source ids and target ids to output vectors and log-probabilities."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from nmt.config import ModelSettings
from nmt.constants import Side
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import Recurrent
from nmt.models.decoder import Decoder, Memory
from nmt.models.encoder import Encoder
from nmt.models.token_model import TokenModel, made_from_seed, shift_right


class Seq2Seq(TokenModel):
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

    def embeddings(self) -> Iterator[tuple[Side, TiedEmbedding]]:
        """See `TokenModel`."""
        yield "source", self.encoder.embedding
        yield "target", self.decoder.embedding
        yield "target", self.output_embedding

    def recurrent_layers(self) -> Iterator[Recurrent]:
        """All layers over time, of both directions."""
        for layer in self.encoder.recurrent:
            yield from (layer.forward_layer, layer.backward_layer)
        yield from self.decoder.recurrent


def make_model(settings: ModelSettings, source_vocabulary: int, target_vocabulary: int, seed: int) -> Seq2Seq:
    """A model with all its weights made, the same for the same seed."""
    return made_from_seed(lambda: Seq2Seq(settings, source_vocabulary, target_vocabulary), seed)
