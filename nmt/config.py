"""Every setting: its name, type, default, bounds and one line of why.

The tree is read from YAML, changed on the command line by `--set model.units=512`, checked whole before any
work starts, and kept, resolved, in the run folder. An unknown key names the nearest known one. The kinds of corpora are
in `nmt.config_corpora`, the settings of training in `nmt.config_training`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from nmt.config_corpora import (  # noqa: F401
    Fraction,
    LinesCorpus,
    Settings,
    SideFiles,
    TextCorpus,
    TfdsCorpus,
    TsvCorpus,
)
from nmt.config_file import explain, flat, read_tree
from nmt.config_training import TrainingSettings
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole


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
    character_coverage: float = Field(0.9995, gt=0.5, le=1.0, description="rarer characters are written as bytes")
    sampling: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        None,
        description="a new segmentation every epoch: of unigram, more varied if smaller; of bpe, merges left out",
    )
    placeholders: list[Literal["braces", "printf", "tags", "numbers"]] = Field(
        [],
        description="what texts must keep, hidden from the model: {name} ${name} {{ name }}; %s %(count)d; <b>; digits",
    )
    model: Path | None = Field(
        None, description="a tokenizer to take instead of training one: another run's `data/target.model`"
    )


class BatchSettings(Settings):
    """Batches of similar length, padded to a few fixed shapes because XLA compiles once for each."""

    tokens: int = Field(3000, ge=16, description="padded positions of the longer side in a batch, padding included")
    max_length: int = Field(100, ge=2, le=10_000, description="tokens of a training sentence, its end mark included")
    shapes: int = Field(16, ge=1, le=64, description="more shapes: less padding, more compiling (seconds each)")


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


class Config(Settings):
    """The whole tree."""

    task: Literal["translation", "language_model"] = Field("translation", description="what the model learns")
    seed: int = Field(1, ge=0, lt=2**31, description="of initial weights, data order, dropout and sampling")
    data: DataSettings
    tokenizer: TokenizerSettings = TokenizerSettings()
    batches: BatchSettings = BatchSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    decoding: DecodingSettings = DecodingSettings()

    @model_validator(mode="before")
    @classmethod
    def _monitor(cls, tree: Any) -> Any:
        """A language model has no BLEU, so its default is the loss."""
        if isinstance(tree, Mapping) and tree.get("task") == "language_model":
            training = tree.get("training", {})
            if isinstance(training, Mapping):
                return {**tree, "training": {"monitor": "loss", **training}}
        return tree

    @model_validator(mode="after")
    def _agree(self) -> "Config":
        if self.tokenizer.placeholders and self.task == "language_model":
            raise ValueError("tokenizer.placeholders: expected none of a language model, whose texts have no source")
        if self.tokenizer.placeholders and self.decoding.language_model is not None:
            raise ValueError(
                "decoding.language_model: expected none with tokenizer.placeholders, whose symbols it has never seen"
            )
        if self.task == "translation":
            self._agree_on_two_languages()
        elif self.training.monitor == "bleu":
            raise ValueError("training.monitor: expected 'loss' of a language model, which translates nothing")
        if self.tokenizer.model is not None and self.training.tokenizers_of is not None:
            raise ValueError(
                "tokenizer.model needs training.start_vocabulary 'new': 'keep' takes the tokenizers of "
                "training.start_from"
            )
        if self.training.schedule == "linear" and self.training.max_steps <= self.training.warmup_steps:
            raise ValueError("training.schedule 'linear' needs training.max_steps above training.warmup_steps")
        if self.data.source_language is None and (self.task == "translation" or self.data.corpus.kind == "tfds"):
            raise ValueError("data.source_language: missing")
        return self

    def _agree_on_two_languages(self) -> None:
        if self.data.corpus.kind == "lines":
            raise ValueError(
                "data.corpus.kind: 'lines' are of one language: expected 'text', 'tsv' or 'tfds', or task "
                "'language_model'"
            )
        if self.model.tied_embeddings == "all" and not self.tokenizer.joint:
            raise ValueError("model.tied_embeddings 'all' needs tokenizer.joint true: one matrix serves both languages")
        if self.tokenizer.model is not None and not self.tokenizer.joint:
            raise ValueError("tokenizer.model needs tokenizer.joint true: one tokenizer serves both languages")


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a configuration file, applies `key=value` overrides and checks the result.

    Args:
        path: a YAML file.
        overrides: as `model.units=512`; the value is read as YAML.

    Returns:
        The checked tree. Relative paths in the file stay relative to the working directory.

    Raises:
        UserError: naming file and key, what was expected and what came.
    """
    return parse_config(read_tree(path, overrides), str(path))


def parse_config(tree: Mapping[str, Any], where: str) -> Config:
    """Checks a tree of plain values; `where` names its origin in errors.

    Example:

    >>> parse_config({"data": {"source_langage": "en"}}, "my.yaml")
    Traceback (most recent call last):
    nmt.utils.errors.UserError: my.yaml: data.source_langage: unknown setting; did you mean `source_language`? ...
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Config)}") from None


def save_config(config: Config, path: Path) -> None:
    """Writes the resolved tree as YAML."""
    with written_whole(path) as file:
        yaml.safe_dump(config.model_dump(mode="json"), file, sort_keys=False, allow_unicode=True)


def differences(old: Config, new: Config) -> list[str]:
    """Lists the settings in which two configurations differ, as `key: old -> new`."""
    before, after = flat(old.model_dump(mode="json")), flat(new.model_dump(mode="json"))
    keys = [key for key in before | after if before.get(key) != after.get(key)]
    return [f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys]
