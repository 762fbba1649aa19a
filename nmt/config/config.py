"""The whole configuration: read from YAML, checked, and written with all defaults."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from nmt.config.corpora import Settings
from nmt.config.data import BatchSettings, DataSettings, TokenizerSettings
from nmt.config.decoding import DecodingSettings
from nmt.config.file import apply_overrides, explain, flat, read_tree
from nmt.config.model import ModelSettings
from nmt.config.training import TrainingSettings
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

# Settings of runs that are older than a setting or its default, and what was done then.
_FORMERLY: dict[str, Any] = {
    "data.noise": dict.fromkeys(("lower", "title", "upper", "typing", "stop"), 0.0),
    "tokenizer.algorithm": "unigram",
    "batches.tokens": 3000,
    "batches.shapes": 16,
    "model.encoder_layers": 1,
    "model.decoder_layers": 1,
    "model.attention": "dot",
    "model.dropout": 0.2,
    "model.layer_normalization": False,
    "training.learning_rate": 1e-3,
    "training.warmup_steps": 300,
    "training.schedule": "inverse_square_root",
    "training.average_decay": 0.0,
    "training.precision": "float32",
    "decoding.limit_repetition": False,
    "decoding.split_sentences": False,
    "decoding.truecase": False,
    "decoding.nest_tags": False,
    "decoding.keep_unreadable": False,
}

# Settings of runs that have another name now.
_RENAMED = (("decoding", "lower_capitals", "truecase"),)  # group, former name, name


class Config(Settings):
    """The whole configuration of a run."""

    task: Literal["translation", "language_model"] = Field("translation", description="what the model learns")
    seed: int = Field(1, ge=0, lt=2**31, description="seeds initial weights, data order, dropout and sampling")
    data: DataSettings
    tokenizer: TokenizerSettings = TokenizerSettings()
    batches: BatchSettings = BatchSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    decoding: DecodingSettings = DecodingSettings()

    def text_arguments(self) -> dict[str, Any]:
        """The settings of a search for texts that are arguments of `nmt.Translator`, by name."""
        names = ("limit_repetition", "split_sentences", "truecase", "nest_tags", "keep_unreadable")
        languages = {
            "source_language": self.data.source_language or "",
            "target_language": self.data.target_language,
        }
        return {name: getattr(self.decoding, name) for name in names} | languages

    @model_validator(mode="before")
    @classmethod
    def _monitor(cls, tree: Any) -> Any:
        """Makes the loss the default for a language model, which has no BLEU."""
        if isinstance(tree, Mapping) and tree.get("task") == "language_model":
            training = tree.get("training", {})
            if isinstance(training, Mapping):
                return {**tree, "training": {"monitor": "loss", **training}}
        return tree

    @model_validator(mode="after")
    def _agree(self) -> "Config":
        if self.tokenizer.placeholders and self.task == "language_model":
            raise ValueError("tokenizer.placeholders: expected none of a language model, whose texts have no source")
        if self.data.noise.shares() and self.task == "language_model":
            raise ValueError("data.noise: expected none of a language model, whose texts have no source")
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
        two_languages = self.task == "translation" or self.data.corpus.kind in ("tfds", "memory")
        if two_languages and self.data.source_language is None:
            raise ValueError("data.source_language: missing")
        return self

    def _agree_on_two_languages(self) -> None:
        if self.data.corpus.kind == "lines":
            raise ValueError(
                "data.corpus.kind: 'lines' are of one language: expected 'text', 'tsv', 'memory' or 'tfds', or task "
                "'language_model'"
            )
        if self.model.tied_embeddings == "all" and not self.tokenizer.joint:
            raise ValueError("model.tied_embeddings 'all' needs tokenizer.joint true: one matrix serves both languages")
        if self.tokenizer.model is not None and not self.tokenizer.joint:
            raise ValueError("tokenizer.model needs tokenizer.joint true: one tokenizer serves both languages")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a configuration file, applies overrides and checks the result.

    Args:
        path: a YAML file.
        overrides: settings to change, such as `model.units=512`; the value is read as YAML.

    Returns:
        The configuration. Relative paths in it are relative to the working directory.

    Raises:
        UserError: if the file cannot be read, or a setting is unknown, missing or out of its bounds.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "my.yaml"
    >>> corpus = "{kind: tsv, train: [pairs.tsv]}"
    >>> _ = path.write_text(f"data: {{source_language: en, target_language: de, corpus: {corpus}}}")
    >>> load_config(path, ["model.units=512"]).model.units
    512
    """
    return parse_config(read_tree(path, overrides), path)


def load_saved_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads the configuration that a run was started with.

    `save_config` has written it with all the settings that there were. Those that came later have the values with which
    the run works as it did then, whatever their defaults are now.

    Args:
        path: the file.
        overrides: settings to change, as for `load_config`.

    Raises:
        UserError: as for `load_config`.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "config.yaml"
    >>> corpus = "{kind: tsv, train: [pairs.tsv]}"
    >>> _ = path.write_text(f"data: {{source_language: en, target_language: de, corpus: {corpus}}}")
    >>> load_config(path).decoding.limit_repetition, load_saved_config(path).decoding.limit_repetition
    (True, False)
    """
    tree = read_tree(path)
    for group, former, name in _RENAMED:
        if isinstance(tree.get(group), dict) and former in tree[group]:
            tree[group].setdefault(name, tree[group].pop(former))
    for key, value in _FORMERLY.items():
        group, name = key.split(".")
        if isinstance(tree.setdefault(group, {}), dict):
            tree[group].setdefault(name, value)
    apply_overrides(tree, overrides)
    return parse_config(tree, path)


def parse_config(tree: Mapping[str, Any], where: str | Path = "configuration") -> Config:
    """Checks settings that are given as nested mappings.

    Args:
        tree: the settings, as they stand in a YAML file.
        where: where they come from; errors begin with it.

    Raises:
        UserError: if a setting is unknown, missing or out of its bounds.

    Example:

    >>> parse_config({"data": {"source_langage": "en"}}, "my.yaml")
    Traceback (most recent call last):
    nmt.utils.errors.UserError: my.yaml: data.source_langage: unknown setting; did you mean `source_language`? ...
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Config)}") from None


def save_config(config: Config, path: str | Path) -> None:
    """Writes a configuration with all its defaults as YAML.

    Args:
        config: the configuration.
        path: the file to write.

    Raises:
        UserError: if it cannot be written.
    """
    with written_whole(path) as file:
        yaml.safe_dump(config.model_dump(mode="json"), file, sort_keys=False, allow_unicode=True)


def differences(old: Config, new: Config) -> list[str]:
    """Returns the settings in which two configurations differ, each as `key: old -> new`."""
    before, after = flat(old.model_dump(mode="json")), flat(new.model_dump(mode="json"))
    keys = [key for key in before | after if before.get(key) != after.get(key)]
    return [f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys]
