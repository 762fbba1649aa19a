"""The language model: a decoder without a source."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from nmt.constants import BEGIN, END, PADDING, Side
from nmt.layers.dropout import EmbeddingDropout
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.recurrent import Recurrent
from nmt.layers.seeds import derive_seed
from nmt.models.decoder import Decoder, DecoderState
from nmt.models.token_model import TokenModel, shift_right


@keras.saving.register_keras_serializable("nmt")
class LanguageModel(TokenModel):
    """A recurrent language model (Mikolov et al. 2010), as a Keras model.

    Texts are rows of token ids: int32, closed by the end token, padded with zeros. `fit` takes an array of texts, or a
    dataset of them; in a dataset of pairs, the texts are the second of each.

    Args:
        vocabulary_size: int, number of tokens.
        units: int, width of the recurrent states.
        num_layers: int, number of recurrent layers.
        cell: str, the recurrent cell: `"gru"`, `"lstm"`, `"rnn"`, `"min_gru"` or `"ssru"`.
        embedding_dim: int or None, width of the embeddings; by default `units`.
        tied_embeddings: bool, whether the embeddings also score the output (Press and Wolf 2017).
        dropout: float, share dropped of the embeddings, of the layers' inputs and of the output vectors.
        word_dropout: float, share of the tokens whose whole embedding is dropped (Sennrich et al. 2016).
        recurrent_dropout: float, share of the state hidden from the recurrent products (Gal and Ghahramani 2016).
        variational_dropout: bool, whether one dropout mask serves all steps of a text.
        layer_normalization: bool, whether each gate's pre-activation is normalised (Ba et al. 2016).
        longest_memory: int or None, steps over which the gates begin to retain the state (Tallec and Ollivier 2018).
        begin_id: int, the token that is read first.
        end_id: int, the token that closes a text.
        seed: int or None, from which initial weights and dropout are drawn.
        **kwargs: arguments of `keras.Model`: `name`, `dtype` (for example `"mixed_bfloat16"`), `trainable`.

    Call arguments:
        texts: int32 `[batch, time]`; shifted right inside.
        training: bool, whether dropout is applied.

    Returns:
        Logits, float `[batch, time, vocabulary]`: position t predicts token t from those before it.

    Example:

    >>> model = LanguageModel(vocabulary_size=300, units=8, seed=1)
    >>> tuple(model(tf.constant([[7, 3]])).shape)
    (1, 2, 300)
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int = 256,
        num_layers: int = 1,
        cell: str = "gru",
        embedding_dim: int | None = None,
        tied_embeddings: bool = True,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        layer_normalization: bool = False,
        longest_memory: int | None = None,
        begin_id: int = BEGIN,
        end_id: int = END,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": "language_model"} | kwargs)
        self._config = {
            "vocabulary_size": vocabulary_size, "units": units, "num_layers": num_layers, "cell": cell,
            "embedding_dim": embedding_dim, "tied_embeddings": tied_embeddings, "dropout": dropout,
            "word_dropout": word_dropout, "recurrent_dropout": recurrent_dropout,
            "variational_dropout": variational_dropout, "layer_normalization": layer_normalization,
            "longest_memory": longest_memory, "begin_id": begin_id, "end_id": end_id, "seed": seed,
        }  # fmt: skip
        self.vocabulary_size = vocabulary_size
        self.begin_id, self.end_id = begin_id, end_id
        width, policy = embedding_dim or units, self.dtype_policy

        def embedding(name: str) -> TiedEmbedding:
            return TiedEmbedding(vocabulary_size, width, seed=derive_seed(seed, name), dtype=policy, name=name)

        self.embedding = embedding("embedding")
        self.embedding_dropout = EmbeddingDropout(
            dropout,
            word_dropout,
            variational_dropout,
            seed=derive_seed(seed, "embedding_dropout"),
            dtype=policy,
            name="embedding_dropout",
        )
        self.decoder = Decoder(
            units,
            num_layers,
            output_dim=width,
            cell=cell,
            attention=None,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            variational_dropout=variational_dropout,
            layer_normalization=layer_normalization,
            longest_memory=longest_memory,
            seed=derive_seed(seed, "decoder"),
            dtype=policy,
            name="decoder",
        )
        self.output_embedding = self.embedding if tied_embeddings else embedding("output_embedding")
        self.supports_masking = True
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; they do not depend on the inputs' shapes."""
        for _, embedding in self.embeddings():
            if not embedding.built:
                embedding.build((None, None))
        self.decoder.build((None, None, self.decoder.output_dim))
        self.built = True

    def call(self, texts: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Logits of whole texts; see the class."""
        return self.logits(self.hidden(None, texts, training))

    def compute_mask(self, inputs: Any, mask: Any = None) -> tf.Tensor:
        """True where a token is real; Keras's losses and metrics leave out the rest."""
        return tf.not_equal(inputs, PADDING)

    def hidden(self, source: tf.Tensor | None, target: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """See `TokenModel.hidden`; `source` is ignored."""
        embedded = self.embedding(shift_right(target, self.begin_id))
        return self.decoder(self.embedding_dropout(embedded, training=training), training=training)

    def start(self, source: tf.Tensor) -> DecoderState:
        """The states before the first token, for each row of `source`; see `TokenModel.start`."""
        return DecoderState((), self.decoder.zero_states(tf.shape(source)[0]))

    def stepper(self) -> Any:
        """See `TokenModel.stepper`; the attention weights are an empty tuple."""
        step = self.decoder.stepper()
        return lambda tokens, state: step(self.embedding(tokens), state)

    def embeddings(self) -> Iterator[tuple[Side, TiedEmbedding]]:
        """See `TokenModel.embeddings`."""
        yield "target", self.embedding
        yield "target", self.output_embedding

    def recurrent_layers(self) -> Iterator[Recurrent]:
        """See `TokenModel.recurrent_layers`."""
        yield from self.decoder.recurrent

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return (
            super().get_config()
            | self._config
            | {
                "name": self.name,
                "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            }
        )

    def _inputs(self, source: tf.Tensor, target: tf.Tensor) -> Any:
        return target

    def _unpack(self, data: Any) -> tuple[Any, tf.Tensor, tf.Tensor | None]:
        """Texts and their weights: the second of a pair, or what comes alone."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return None, tf.cast(x if y is None else y, tf.int32), sample_weight
