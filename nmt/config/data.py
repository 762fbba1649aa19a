"""The settings of the data: where pairs come from, cleaning, subwords, batches."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nmt.config.corpora import LinesCorpus, Settings, TextCorpus, TfdsCorpus, TsvCorpus


class CleaningSettings(Settings):
    """What is left out of the training split; the others are only normalised. Each reason is counted in a report.

    Of a language model's corpus the target side alone is looked at.
    """

    max_characters: int = Field(1000, ge=1, description="pairs with a longer side are rarely one sentence")
    max_length_ratio: float = Field(
        4.0, gt=1.0, description="longer side over shorter, in characters past the first 20"
    )
    drop_copies: bool = Field(True, description="untranslated lines teach the model to copy")
    drop_duplicates: bool = Field(True, description="a pair that comes often would count often")


class DataSettings(Settings):
    """Where sentence pairs come from, or a language model's texts, which are the target side of pairs, or lines."""

    source_language: str | None = Field(
        None, min_length=1, description="as the corpus names it: en, de, pt, zh-Hans, ...; a language model needs none"
    )
    target_language: str = Field(min_length=1, description="as the corpus names it")
    corpus: Annotated[TextCorpus | TsvCorpus | TfdsCorpus | LinesCorpus, Field(discriminator="kind")]
    held_out: int = Field(
        1000, ge=1, description="pairs set aside for each of validation and test where no split is named"
    )
    cleaning: CleaningSettings = CleaningSettings()

    @model_validator(mode="after")
    def _two_languages(self) -> "DataSettings":
        if self.source_language == self.target_language:
            raise ValueError(f"expected two languages, got {self.source_language!r} for both")
        return self


class TokenizerSettings(Settings):
    """SentencePiece subwords; characters outside the vocabulary become bytes, so nothing is ever unknown."""

    algorithm: Literal["unigram", "bpe"] = Field("unigram", description="unigram samples the better segmentations")
    vocabulary_size: int = Field(8000, ge=300, le=256_000, description="pieces, of which 260 are bytes and controls")
    joint: bool = Field(True, description="one vocabulary for both languages; False trains one for each")
    character_coverage: float = Field(0.9995, ge=0.98, le=1.0, description="rarer characters are written as bytes")
    sampling: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        None,
        description="a new segmentation every epoch: of unigram, more varied if smaller; of bpe, merges left out",
    )
    placeholders: list[Literal["braces", "printf", "tags", "numbers"]] = Field(
        [],
        description="what a translation must repeat, masked for the model: {name} ${name} {{ name }}; %s %(count)d; <b>; digits",
    )
    model: Path | None = Field(
        None, description="a tokenizer to take instead of training one: another run's `data/target.model`"
    )


class BatchSettings(Settings):
    """Batches of similar length, padded to a few fixed shapes because XLA compiles once for each."""

    tokens: int = Field(3000, ge=16, description="padded positions of the longer side in a batch, padding included")
    max_length: int = Field(100, ge=2, le=10_000, description="tokens of a training sentence, its end mark included")
    shapes: int = Field(16, ge=1, le=64, description="more shapes: less padding, more compiling (seconds each)")
