"""The settings of the corpus, which may be of five kinds."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Paths = Annotated[list[Path], Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Settings(BaseModel):
    """The base class of all settings: unknown keys are errors, and values cannot change.

    Every number has an upper bound, far above what is useful, that a slip of the keyboard exceeds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SideFiles(Settings):
    """Files whose lines translate each other: line N of a target file is the translation of line N of its source file.

    Files that gzip, bzip2 or xz has compressed are decompressed.
    """

    source: Paths = Field(description="files in the source language, read one after the other")
    target: Paths = Field(description="files in the target language, in the same order")

    @model_validator(mode="after")
    def _same_number(self) -> "SideFiles":
        if len(self.source) != len(self.target):
            raise ValueError(f"expected as many source as target files, got {len(self.source)} and {len(self.target)}")
        return self


class TextCorpus(Settings):
    """Parallel plain-text files, one sentence per line."""

    kind: Literal["text"]
    train: SideFiles
    validation: SideFiles | None = Field(None, description="by default `data.held_out` pairs of the training split")
    test: SideFiles | None = Field(None, description="by default `data.held_out` other pairs of the training split")


class TsvCorpus(Settings):
    """Tab-separated files with columns for source and target; further columns and a header are ignored."""

    kind: Literal["tsv"]
    train: Paths
    validation: Paths | None = Field(None, description="by default `data.held_out` pairs of the training split")
    test: Paths | None = Field(None, description="by default `data.held_out` other pairs of the training split")


class MemoryCorpus(Settings):
    """Files that translators have: TMX, XLIFF, PO, MO, TBX, CSV and XLSX with a header, Qt's .ts.

    And files of one language, in twos, that of the source first: JSON, YAML, Android's XML, .strings, .stringsdict,
    .properties, .resx.
    """

    kind: Literal["memory"]
    train: Paths
    validation: Paths | None = Field(None, description="by default `data.held_out` pairs of the training split")
    test: Paths | None = Field(None, description="by default `data.held_out` other pairs of the training split")
    include: list[Literal["fuzzy", "machine", "locked", "obsolete"]] = Field(
        [], description="units that are left out otherwise: unfinished, a machine's, not to be translated, or outdated"
    )


class TfdsCorpus(Settings):
    """A translation dataset of TensorFlow Datasets, or the built-in dataset `ui_strings`."""

    kind: Literal["tfds"]
    name: str = Field(description="ui_strings, ted_hrlr_translate/pt_to_en, wmt14_translate/de-en, ...")
    folder: Path | None = Field(None, description="where datasets are kept; by default where TensorFlow Datasets does")
    train: str = Field("train", description="a split of the dataset, or a part of one, such as train[:90%]")
    validation: str | None = Field(
        None, description="another split or part; by default `data.held_out` pairs of the training split"
    )
    test: str | None = Field(
        None, description="another split or part; by default `data.held_out` other pairs of the training split"
    )


class LinesCorpus(Settings):
    """Plain-text files in one language, one text per line, for a language model.

    Files that gzip, bzip2 or xz has compressed are decompressed.
    """

    kind: Literal["lines"]
    train: Paths
    validation: Paths | None = Field(None, description="by default `data.held_out` lines of the training split")
    test: Paths | None = Field(None, description="by default `data.held_out` other lines of the training split")
