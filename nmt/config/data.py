"""The settings of the data: the corpus, cleaning, subwords and batches."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from nmt.config.corpora import Fraction, LinesCorpus, MemoryCorpus, Settings, TextCorpus, TfdsCorpus, TsvCorpus
from nmt.utils.expressions import expand

PLACEHOLDER_KINDS = ("braces", "printf", "tags", "urls", "emails", "identifiers", "emoji", "numbers")


def _check_kind(kind: str) -> str:
    """Raises an error if a kind of placeholders is neither known nor a regular expression between slashes."""
    if len(kind) > 1 and kind[0] == kind[-1] == "/":
        expand(kind[1:-1])
    elif kind not in PLACEHOLDER_KINDS:
        raise ValueError(f"expected {', '.join(PLACEHOLDER_KINDS)} or a regular expression between slashes")
    return kind


class CleaningSettings(Settings):
    """Which pairs are removed from the training split; validation and test are only normalised.

    The report counts the removed pairs by reason. For a language model only the target matters.
    """

    max_characters: int = Field(1000, ge=1, le=1_000_000, description="a longer text is rarely one sentence")
    max_length_ratio: float = Field(
        4.0,
        gt=1.0,
        le=1000.0,
        description="characters of the longer side over those of the shorter one, after the first 20",
    )
    drop_copies: bool = Field(True, description="untranslated lines teach the model to copy")
    drop_duplicates: bool = Field(True, description="a frequent pair would outweigh the others")


class NoiseSettings(Settings):
    """Shares of the training pairs that are changed, others in every epoch, so that a model reads text in other forms.

    Spaces that are doubled need no share: texts are normalised, in training and in translation.
    """

    lower: Fraction = Field(0.0, description="sources in small letters")
    title: Fraction = Field(0.0, description="sources whose words all begin with a capital")
    upper: Fraction = Field(0.0, description="both sides in capitals; decoding.truecase does without")
    typing: Fraction = Field(0.0, description="sources with one letter missing, doubled, exchanged or wrong")
    stop: Fraction = Field(0.0, description="both sides without their final stop")

    @model_validator(mode="after")
    def _less_than_all(self) -> "NoiseSettings":
        if sum(self.shares().values()) >= 1:
            raise ValueError("expected shares whose sum is less than 1")
        return self

    def shares(self) -> dict[str, float]:
        """The shares that are not zero, by name."""
        return {name: share for name, share in self.model_dump().items() if share}


class DataSettings(Settings):
    """The corpus and its languages. The texts of a language model are the target side of pairs, or lines."""

    source_language: str | None = Field(
        None, min_length=1, description="its code in the corpus: en, de, zh-Hans, ...; not needed by a language model"
    )
    target_language: str = Field(min_length=1, description="its code in the corpus")
    corpus: Annotated[TextCorpus | TsvCorpus | MemoryCorpus | TfdsCorpus | LinesCorpus, Field(discriminator="kind")]
    held_out: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="pairs taken from training for each of validation and test that the corpus lacks",
    )
    cleaning: CleaningSettings = CleaningSettings()
    noise: NoiseSettings = NoiseSettings()

    @model_validator(mode="after")
    def _two_languages(self) -> "DataSettings":
        if self.source_language == self.target_language:
            raise ValueError(f"expected two languages, got {self.source_language!r} for both")
        return self


class TokenizerSettings(Settings):
    """SentencePiece subwords. Characters outside the vocabulary are split into bytes, so no text is ever unknown."""

    algorithm: Literal["unigram", "bpe"] = Field("bpe", description="unigram samples better segmentations than bpe")
    vocabulary_size: int = Field(8000, ge=300, le=256_000, description="pieces, 260 of them bytes and special tokens")
    joint: bool = Field(True, description="one vocabulary for both languages instead of one for each")
    character_coverage: Annotated[float, Field(ge=0.98, le=1.0)] | None = Field(
        None,
        description="share of the characters with pieces of their own, or null for those that come at least 5 times; "
        "rarer ones become bytes",
    )
    sampling: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        None,
        description="samples a new segmentation every epoch; lower values vary more with unigram, higher ones with bpe",
    )
    placeholders: list[Annotated[str, AfterValidator(_check_kind)]] = Field(
        [],
        description="masked, so that translations repeat them: braces, printf, tags, urls, emails, identifiers, emoji, "
        "numbers, and regular expressions between slashes, such as /[A-Z]{2}-[0-9]+/",
    )
    model: Path | None = Field(
        None, description="a tokenizer to take over instead of training one, such as another run's data/target.model"
    )


class BatchSettings(Settings):
    """Batches of sentences of similar length, padded to a few fixed shapes, because XLA compiles once for each."""

    tokens: int = Field(2000, ge=16, le=1_000_000, description="positions of a batch's longer side, padding included")
    max_length: int = Field(100, ge=2, le=10_000, description="tokens of a training sentence, its end token included")
    shapes: int = Field(12, ge=1, le=64, description="more shapes need less padding, but seconds each to compile")
