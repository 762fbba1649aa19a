"""The language model: a decoder without a source."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from nmt.config import ModelSettings
from nmt.constants import Side
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import Recurrent
from nmt.models.decoder import Decoder
from nmt.models.token_model import TokenModel, made_from_seed, shift_right


class LanguageModel(TokenModel):
    """A recurrent language model (Mikolov et al. 2010) whose embeddings also score the output (Press and Wolf 2017).

    Args:
        settings: its shape: `decoder_layers`, `cell`, widths and dropout; what tells of a source does not count.
        vocabulary: number of tokens.

    Call arguments:
        inputs: `{"target"}`, int32 `[batch, time]`, each row closed by the end mark, then zeros. A `source` is ignored.

    Returns:
        Output vectors, `[batch, time, embedding]`: vector t tells token t from those before it.

    Example:

    >>> model = LanguageModel(ModelSettings(units=8, embedding=8), 300)
    >>> tuple(model.logits(model({"target": tf.constant([[7, 3]])})).shape)
    (1, 2, 300)
    """

    def __init__(self, settings: ModelSettings, vocabulary: int, **kwargs: Any) -> None:
        super().__init__(**{"name": "language_model"} | kwargs)
        self.vocabulary = vocabulary
        embedding = TiedEmbedding(vocabulary, settings.embedding, name="embedding")
        self.decoder = Decoder(settings, embedding, attends=False, name="decoder")
        self.output_embedding = (
            TiedEmbedding(vocabulary, settings.embedding, name="output_embedding")
            if settings.tied_embeddings == "none"
            else embedding
        )

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Output vectors of whole texts; see the class."""
        target = inputs["target"]
        states = self.decoder.zeros(tf.shape(target)[0])
        return self.decoder(shift_right(target), (), states, training=training)[0]

    def embeddings(self) -> Iterator[tuple[Side, TiedEmbedding]]:
        """See `TokenModel`."""
        yield "target", self.decoder.embedding
        yield "target", self.output_embedding

    def recurrent_layers(self) -> Iterator[Recurrent]:
        """All layers over time."""
        yield from self.decoder.recurrent


def make_language_model(settings: ModelSettings, vocabulary: int, seed: int) -> LanguageModel:
    """A model with all its weights made, the same for the same seed."""
    return made_from_seed(lambda: LanguageModel(settings, vocabulary), seed)
