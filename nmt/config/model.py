"""The settings of the model's architecture."""

from typing import Literal

from pydantic import Field, model_validator

from nmt.config.corpora import Fraction, Settings


class ModelSettings(Settings):
    """The architecture of the model. A language model is a decoder of `decoder_layers` without attention."""

    cell: str = Field(
        "gru",
        description="gru, lstm, rnn, or min_gru (Feng 2024) and ssru (Kim 2019), which train without a loop",
    )
    decoder_cell: str | None = Field(
        None, description="the decoder's cell if it differs from the encoder's; ssru takes the fewest operations a step"
    )
    embedding: int = Field(256, ge=1, le=65_536, description="size of the embeddings")
    units: int = Field(
        256, ge=1, le=65_536, description="size of the recurrent states, in each direction of the encoder"
    )
    encoder_layers: int = Field(2, ge=1, le=32, description="number of bidirectional layers")
    decoder_layers: int = Field(
        2, ge=1, le=32, description="number of layers; the states of the first one are the attention's queries"
    )
    attention: Literal["additive", "dot", "multi_head"] = Field(
        "multi_head", description="Bahdanau 2015, Luong 2015, Vaswani 2017; dot trains fastest, and translates worse"
    )
    attention_heads: int = Field(4, ge=1, le=64, description="heads of multi_head attention; a divisor of `units`")
    tied_embeddings: Literal["all", "target", "none"] = Field(
        "all",
        description="all: source, target and output share a matrix (Press and Wolf 2017), with a joint vocabulary",
    )
    dropout: Fraction = Field(
        0.25, description="share set to zero in training, of embeddings and of the inputs of layers and output"
    )
    variational_dropout: bool = Field(
        False, description="the same dropout mask for all time steps of a sentence (Gal and Ghahramani 2016)"
    )
    word_dropout: Fraction = Field(
        0.0, description="share of the tokens whose whole embedding is set to zero (Sennrich 2016)"
    )
    recurrent_dropout: Fraction = Field(
        0.0, description="dropout on recurrent states, one mask for all time steps (Gal and Ghahramani 2016)"
    )
    layer_normalization: bool = Field(True, description="normalises the pre-activation of each gate (Ba et al. 2016)")

    longest_memory: int | None = Field(
        None,
        ge=2,
        le=1_000_000,
        description="initial gates keep states for 2 to this many time steps (chrono, Tallec and Ollivier 2018)",
    )

    @model_validator(mode="after")
    def _agree(self) -> "ModelSettings":
        if self.attention == "multi_head" and self.units % self.attention_heads:
            raise ValueError(f"expected attention_heads to divide units, got {self.attention_heads} and {self.units}")
        return self
