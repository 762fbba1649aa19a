"""The model of configs/ref-256.yaml, without a corpus or a run."""

from nmt.config import ModelSettings
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.models import POLICIES

REFERENCE = ModelSettings(
    encoder_layers=1, decoder_layers=1, attention="dot", dropout=0.2, layer_normalization=False
)  # fmt: skip


def make_reference_model(vocabulary_size: int, precision: str = "float32") -> Seq2Seq:
    """Makes the model with random weights.

    Args:
        vocabulary_size: int, the number of tokens of both sides.
        precision: precision of the matrix products, a key of `POLICIES`.
    """
    settings = REFERENCE
    return Seq2Seq(
        vocabulary_size,
        units=settings.units,
        cell=settings.cell,
        attention=settings.attention,
        num_heads=settings.attention_heads,
        embedding_dim=settings.embedding,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers,
        tied_embeddings=settings.tied_embeddings,
        dropout=settings.dropout,
        layer_normalization=settings.layer_normalization,
        seed=1,
        dtype=POLICIES[precision],
    )
