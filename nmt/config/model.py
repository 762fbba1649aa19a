"""The settings of the model's shape."""

from typing import Literal

from pydantic import Field, model_validator

from nmt.config.corpora import Fraction, Settings


class ModelSettings(Settings):
    """The encoder-decoder's shape; a language model is a decoder of `decoder_layers` without attention."""

    cell: Literal["gru", "lstm", "rnn", "min_gru", "ssru"] = Field(
        "gru", description="of all recurrent layers; min_gru (Feng 2024) and ssru (Kim 2019) train without a loop"
    )
    embedding: int = Field(256, ge=1, description="width of the embeddings")
    units: int = Field(256, ge=1, description="width of the recurrent states, in each direction of the encoder")
    encoder_layers: int = Field(1, ge=1, le=32, description="stacked bidirectional layers")
    decoder_layers: int = Field(1, ge=1, le=32, description="stacked layers; the first one's states ask the attention")
    attention: Literal["additive", "dot", "multi_head"] = Field(
        "dot", description="Bahdanau 2015, Luong 2015, Vaswani 2017"
    )
    attention_heads: int = Field(4, ge=1, le=64, description="of multi_head only; must divide `units`")
    tied_embeddings: Literal["all", "target", "none"] = Field(
        "all",
        description="all: source, target and output share one matrix (Press and Wolf 2017); needs a joint vocabulary",
    )
    dropout: Fraction = Field(0.2, description="on embeddings, layer inputs and the output layer")
    variational_dropout: bool = Field(
        False, description="draws it once for all steps of a sentence (Gal and Ghahramani 2016)"
    )
    word_dropout: Fraction = Field(
        0.0, description="share of the tokens whose whole embedding is dropped (Sennrich 2016)"
    )
    recurrent_dropout: Fraction = Field(0.0, description="one mask for all time steps (Gal and Ghahramani 2016)")
    layer_normalization: bool = Field(False, description="on each gate's pre-activation (Ba et al. 2016)")

    longest_memory: int | None = Field(
        None,
        ge=2,
        description="steps; gates begin so that states are kept for 2 to so many (chrono, Tallec and Ollivier 2018)",
    )

    @model_validator(mode="after")
    def _agree(self) -> "ModelSettings":
        if self.cell in {"min_gru", "ssru"} and self.recurrent_dropout:
            raise ValueError(
                f"expected no recurrent_dropout with cell {self.cell}, of which no product reads the state, "
                f"got {self.recurrent_dropout}"
            )
        if self.cell == "rnn" and self.longest_memory is not None:
            raise ValueError(f"expected no longest_memory with cell rnn, which has no gates, got {self.longest_memory}")
        if self.attention == "multi_head" and self.units % self.attention_heads:
            raise ValueError(f"expected attention_heads to divide units, got {self.attention_heads} and {self.units}")
        return self
