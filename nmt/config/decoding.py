"""The settings of the search for a translation."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from nmt.config.corpora import Settings


class DecodingSettings(Settings):
    """How a translation is searched."""

    beam_size: int = Field(5, ge=1, le=256, description="hypotheses in the beam; 1 is greedy search")
    length_penalty: float = Field(1.0, ge=0, le=5, description="exponent alpha of Wu et al. 2016, equation 14")
    coverage_penalty: float = Field(0.0, ge=0, le=5, description="weight beta of Wu et al. 2016, equation 14; 0 is off")
    max_length_factor: float = Field(
        2.0, gt=0, le=100, description="a translation has at most factor * source tokens + offset tokens"
    )
    max_length_offset: int = Field(20, ge=1, le=10_000, description="see max_length_factor")
    min_length: int = Field(0, ge=0, le=10_000, description="tokens before the end token is allowed")
    limit_repetition: bool = Field(
        True, description="no loops: what a translation repeats is limited by what its source repeats"
    )
    split_sentences: bool = Field(
        True, description="a line's sentences are translated one by one, and the white space between them is kept"
    )
    truecase: bool = Field(
        True,
        description="a sentence in capitals, small letters or Title Case, where the training text has few such, is "
        "translated in the training text's case",
    )
    nest_tags: bool = Field(
        True, description="masked tags are nested: what a translation opens it closes, as <b><i></i></b>"
    )
    keep_unreadable: bool = Field(
        True,
        description="a sentence without letters and digits, or in a script that the vocabulary lacks, stays as it is",
    )
    language_model: Path | None = Field(
        None, description="run of a language model for shallow fusion (Gulcehre et al. 2015)"
    )
    language_model_weight: float = Field(0.1, ge=0, le=10, description="weight of its log-probabilities; 0 is off")
    ensemble: list[Path] = Field(
        [],
        description="runs of models whose probabilities are averaged with this model's",
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="sentences translated together; by default as many as make 640 hypotheses, but at most 320",
    )

    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="type of the matrix products; the states and sums of the search stay float32"
    )

    def search_arguments(self) -> dict[str, Any]:
        """The settings that are arguments of `nmt.beam_search`, by name."""
        names = (
            "beam_size", "length_penalty", "coverage_penalty", "max_length_factor", "max_length_offset", "min_length",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}
