"""The settings of the search for a translation."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from nmt.config.corpora import Settings


class DecodingSettings(Settings):
    """The search for a translation."""

    beam_size: int = Field(5, ge=1, le=256, description="hypotheses kept open; 1 is greedy search")
    length_penalty: float = Field(1.0, ge=0, le=5, description="exponent alpha of Wu et al. 2016, equation 14")
    coverage_penalty: float = Field(0.0, ge=0, le=5, description="weight beta of Wu et al. 2016, equation 14")
    max_length_factor: float = Field(2.0, gt=0, description="a translation has at most factor * source + offset tokens")
    max_length_offset: int = Field(20, ge=1, description="see max_length_factor")
    min_length: int = Field(0, ge=0, description="tokens before the end mark is allowed")
    language_model: Path | None = Field(
        None, description="run folder of a language model whose log-probabilities are added (Gulcehre et al. 2015)"
    )
    language_model_weight: float = Field(0.1, ge=0, le=10, description="of these log-probabilities; 0 is off")
    ensemble: list[Path] = Field(
        [],
        description="run folders of models that translate together with this one, their probabilities averaged",
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        description="sentences translated together; by default as many as make 640 hypotheses, and at most 320",
    )

    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the matrix products; the search's sums and states stay in float32"
    )

    @property
    def sentences_at_once(self) -> int:
        """Sentences translated together: enough rows for the products to be fast."""
        return self.batch_size or min(320, max(1, 640 // self.beam_size))
