"""The kinds of corpora, one of which is `data.corpus`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Paths = Annotated[list[Path], Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Settings(BaseModel):
    """The base of all settings: no unknown keys, immutable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SideFiles(Settings):
    """Line N of the source side is translated by line N of the target side. Files ending in .gz are unpacked."""

    source: Paths = Field(description="files of the source side, read one after the other")
    target: Paths = Field(description="files of the target side, in the same order")

    @model_validator(mode="after")
    def _same_number(self) -> "SideFiles":
        if len(self.source) != len(self.target):
            raise ValueError(f"expected as many source as target files, got {len(self.source)} and {len(self.target)}")
        return self


class TextCorpus(Settings):
    """Parallel plain-text files, one sentence a line."""

    kind: Literal["text"]
    train: SideFiles
    validation: SideFiles | None = Field(None, description="without it, `data.held_out` pairs of the training split")
    test: SideFiles | None = Field(None, description="without it, `data.held_out` further pairs of the training split")


class TsvCorpus(Settings):
    """Tab-separated files: source, tab, target; further columns are ignored."""

    kind: Literal["tsv"]
    train: Paths
    validation: Paths | None = Field(None, description="without it, `data.held_out` pairs of the training split")
    test: Paths | None = Field(None, description="without it, `data.held_out` further pairs of the training split")


class TfdsCorpus(Settings):
    """A translation dataset of TensorFlow Datasets, or the built-in `ui_strings`."""

    kind: Literal["tfds"]
    name: str = Field(description="ui_strings, ted_hrlr_translate/pt_to_en, wmt14_translate/de-en, ...")
    folder: Path | None = Field(None, description="where datasets are kept; TensorFlow Datasets' own default if absent")
    train: str = Field("train", description="in TensorFlow Datasets' split syntax, as train[:90%]")
    validation: str | None = Field(
        None, description="as above; without it, `data.held_out` pairs of the training split"
    )
    test: str | None = Field(
        None, description="as above; without it, `data.held_out` further pairs of the training split"
    )


class LinesCorpus(Settings):
    """Plain-text files in one language, one text a line, for a language model. Files ending in .gz are unpacked."""

    kind: Literal["lines"]
    train: Paths
    validation: Paths | None = Field(None, description="without it, `data.held_out` lines of the training split")
    test: Paths | None = Field(None, description="without it, `data.held_out` further lines of the training split")
