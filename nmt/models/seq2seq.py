"""The encoder-decoder: source ids and target ids to logits."""

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
from nmt.models.encoder import Encoder
from nmt.models.token_model import TokenModel, shift_right


@keras.saving.register_keras_serializable("nmt")
class Seq2Seq(TokenModel):
    """A recurrent encoder-decoder with attention (Bahdanau et al. 2015), as a Keras model.

    Sentences are rows of token ids: int32, closed by the end token, padded with zeros. Training is by teacher forcing:
    `fit` takes arrays `x=source, y=target`, or a dataset of pairs `(source, target)`.

    Args:
        vocabulary_size: int, number of source tokens, and of target tokens unless `target_vocabulary_size` says
            otherwise.
        units: int, width of the recurrent states, in each direction of the encoder.
        num_layers: int, number of layers of the encoder and of the decoder.
        cell: str, the recurrent cell: `"gru"`, `"lstm"`, `"rnn"`, `"min_gru"` or `"ssru"`.
        attention: `"multi_head"`, `"dot"` or `"additive"`.
        num_heads: int, heads of `"multi_head"`; divides `units`.
        embedding_dim: int or None, width of the embeddings; by default `units`.
        encoder_layers: int or None, where it differs from `num_layers`.
        decoder_layers: int or None, where it differs from `num_layers`.
        decoder_cell: str or None, the decoder's cell where it differs from `cell`.
        target_vocabulary_size: int or None, number of target tokens where both sides have vocabularies of their own.
        tied_embeddings: `"all"`: source, target and output share one matrix (Press and Wolf 2017); `"target"`: target
            and output share one; `"none"`: three matrices.
        dropout: float, share dropped of the embeddings, of the layers' inputs and of the output vectors.
        word_dropout: float, share of the tokens whose whole embedding is dropped (Sennrich et al. 2016).
        recurrent_dropout: float, share of the state hidden from the recurrent products (Gal and Ghahramani 2016).
        variational_dropout: bool, whether one dropout mask serves all steps of a sentence.
        layer_normalization: bool, whether each gate's pre-activation is normalised (Ba et al. 2016).
        longest_memory: int or None, steps over which the gates begin to retain the state (Tallec and Ollivier 2018).
        begin_id: int, the token that the decoder reads first.
        end_id: int, the token that closes a sentence.
        seed: int or None, from which initial weights and dropout are drawn.
        **kwargs: arguments of `keras.Model`: `name`, `dtype` (for example `"mixed_bfloat16"`), `trainable`.

    Call arguments:
        inputs: a pair of int32 tensors, source `[batch, source time]` and target `[batch, target time]`; the target is
            shifted right inside.
        training: bool, whether dropout is applied.

    Returns:
        Logits, float `[batch, target time, vocabulary]`: position t predicts target token t.

    Example:

    >>> model = Seq2Seq(vocabulary_size=300, units=8, seed=1)
    >>> source, target = tf.constant([[5, 6, 3]]), tf.constant([[7, 3]])
    >>> tuple(model((source, target)).shape)
    (1, 2, 300)
    >>> model.compile(optimizer="adam")
    >>> history = model.fit(source, target, epochs=2, verbose=0)
    >>> model.generate(source, max_length=4).shape[0]
    1
    """

    def __init__(
        self,
        vocabulary_size: int,
        units: int = 256,
        num_layers: int = 2,
        cell: str = "gru",
        attention: str = "multi_head",
        num_heads: int = 4,
        embedding_dim: int | None = None,
        encoder_layers: int | None = None,
        decoder_layers: int | None = None,
        decoder_cell: str | None = None,
        target_vocabulary_size: int | None = None,
        tied_embeddings: str = "all",
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        layer_normalization: bool = True,
        longest_memory: int | None = None,
        begin_id: int = BEGIN,
        end_id: int = END,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        target_size = vocabulary_size if target_vocabulary_size is None else target_vocabulary_size
        if tied_embeddings not in ("all", "target", "none"):
            raise ValueError(f"Seq2Seq: expected `tied_embeddings` 'all', 'target' or 'none', got {tied_embeddings!r}")
        if tied_embeddings == "all" and vocabulary_size != target_size:
            raise ValueError(
                "Seq2Seq: expected one vocabulary for `tied_embeddings` 'all', got "
                f"`vocabulary_size` {vocabulary_size} and `target_vocabulary_size` {target_size}"
            )
        super().__init__(**{"name": "seq2seq"} | kwargs)
        self._config = {
            "vocabulary_size": vocabulary_size, "units": units, "num_layers": num_layers, "cell": cell,
            "attention": attention, "num_heads": num_heads, "embedding_dim": embedding_dim,
            "encoder_layers": encoder_layers, "decoder_layers": decoder_layers, "decoder_cell": decoder_cell,
            "target_vocabulary_size": target_vocabulary_size, "tied_embeddings": tied_embeddings, "dropout": dropout,
            "word_dropout": word_dropout, "recurrent_dropout": recurrent_dropout,
            "variational_dropout": variational_dropout, "layer_normalization": layer_normalization,
            "longest_memory": longest_memory, "begin_id": begin_id, "end_id": end_id, "seed": seed,
        }  # fmt: skip
        self.vocabulary_size = min(vocabulary_size, target_size)
        self.begin_id, self.end_id = begin_id, end_id
        width, policy = embedding_dim or units, self.dtype_policy

        def embedding(size: int, name: str) -> TiedEmbedding:
            return TiedEmbedding(size, width, seed=derive_seed(seed, name), dtype=policy, name=name)

        def embedding_dropout(name: str) -> EmbeddingDropout:
            return EmbeddingDropout(
                dropout, word_dropout, variational_dropout, seed=derive_seed(seed, name), dtype=policy, name=name
            )

        shared: dict[str, Any] = {
            "dropout": dropout, "recurrent_dropout": recurrent_dropout,
            "variational_dropout": variational_dropout, "layer_normalization": layer_normalization,
            "longest_memory": longest_memory, "dtype": policy,
        }  # fmt: skip
        self.source_embedding = embedding(vocabulary_size, "source_embedding")
        self.source_dropout = embedding_dropout("source_dropout")
        self.encoder = Encoder(
            units, encoder_layers or num_layers, cell, seed=derive_seed(seed, "encoder"), name="encoder", **shared
        )
        self.target_embedding = (
            self.source_embedding if tied_embeddings == "all" else embedding(target_size, "target_embedding")
        )
        self.target_dropout = embedding_dropout("target_dropout")
        self.decoder = Decoder(
            units,
            decoder_layers or num_layers,
            output_dim=width,
            cell=decoder_cell or cell,
            attention=attention,
            num_heads=num_heads,
            seed=derive_seed(seed, "decoder"),
            name="decoder",
            **shared,
        )
        self.output_embedding = (
            embedding(target_size, "output_embedding") if tied_embeddings == "none" else self.target_embedding
        )
        self.supports_masking = True
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights; they do not depend on the inputs' shapes."""
        width, encoded = self.decoder.output_dim, 2 * self.encoder.units
        for _, embedding in self.embeddings():
            if not embedding.built:
                embedding.build((None, None))
        self.encoder.build((None, None, width))
        self.decoder.build((None, None, width), (None, None, encoded), (None, encoded))
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Logits of whole target sentences; see the class."""
        source, target = inputs
        return self.logits(self.hidden(source, target, training))

    def compute_mask(self, inputs: Any, mask: Any = None) -> tf.Tensor:
        """True where a target token is real; Keras's losses and metrics leave out the rest."""
        return tf.not_equal(inputs[1], PADDING)

    def hidden(self, source: tf.Tensor | None, target: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """See `TokenModel.hidden`."""
        return self._decode(source, target, training)[0]

    def attention_weights(self, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """What the decoder attends to while it predicts each target token.

        Args:
            source: int32 `[batch, source time]`, as for `call`.
            target: int32 `[batch, target time]`, as for `call`.

        Returns:
            Float `[batch, target time, source time]`; each row sums to 1 over the real source tokens.
        """
        return self._decode(source, target, training=False)[1]

    def start(self, source: tf.Tensor) -> DecoderState:
        """Reads the source once; see `TokenModel.start`."""
        outputs, state, mask = self._encode(source, training=False)
        return self.decoder.start(outputs, state, mask)

    def stepper(self) -> Any:
        """See `TokenModel.stepper`."""
        step = self.decoder.stepper()
        return lambda tokens, state: step(self.target_embedding(tokens), state)

    def embeddings(self) -> Iterator[tuple[Side, TiedEmbedding]]:
        """See `TokenModel.embeddings`."""
        yield "source", self.source_embedding
        yield "target", self.target_embedding
        yield "target", self.output_embedding

    def recurrent_layers(self) -> Iterator[Recurrent]:
        """See `TokenModel.recurrent_layers`."""
        for layer in self.encoder.recurrent:
            yield from (layer.forward_layer, layer.backward_layer)
        yield from self.decoder.recurrent

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | self._config | {"name": self.name, "dtype": _policy(self)}

    def _inputs(self, source: tf.Tensor, target: tf.Tensor) -> Any:
        return source, target

    def _encode(self, source: tf.Tensor, training: bool | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        mask = tf.not_equal(source, PADDING)
        embedded = self.source_dropout(self.source_embedding(source), training=training)
        return *self.encoder(embedded, mask=mask, training=training), mask

    def _decode(
        self, source: tf.Tensor | None, target: tf.Tensor, training: bool | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        outputs, state, mask = self._encode(source, training)
        shifted = shift_right(target, self.begin_id)
        embedded = self.target_dropout(self.target_embedding(shifted), training=training)
        return self.decoder(embedded, outputs, state, memory_mask=mask, training=training)


def _policy(model: keras.Model) -> Any:
    return keras.dtype_policies.serialize(model.dtype_policy)
