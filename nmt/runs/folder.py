"""A run folder: all that a training leaves, and all that later commands need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras

from nmt.config import Config, differences, load_config, save_config
from nmt.data.preparation import load_tokenizers
from nmt.models.language_model import make_language_model
from nmt.models.seq2seq import make_model
from nmt.models.token_model import TokenModel
from nmt.runs.checkpoints import load_weights
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError

Task = Literal["translation", "language_model"]
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class RunFolder:
    """The paths within a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def data(self) -> Path:
        """The prepared corpus."""
        return self.path / "data"

    @property
    def metrics(self) -> Path:
        """A JSON line of metrics for each validation."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def last(self) -> Path:
        """The checkpoint from which training goes on."""
        return self.checkpoint("last")

    @property
    def best(self) -> Path:
        """The weights that did best in validation."""
        return self.checkpoint("best")

    def checkpoint(self, name: str) -> Path:
        """The checkpoint of that name."""
        return self.path / "checkpoints" / f"{name}.npz"

    def kept(self) -> list[Path]:
        """The weights kept of the latest validations, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*.npz"))


def open_run(path: Path, config: Config) -> RunFolder:
    """Makes a run folder, or opens one to go on.

    Args:
        path: the folder.
        config: its configuration. Once training has begun there, only how long to train, on which devices, and the
            search may differ.

    Raises:
        UserError: naming the settings that differ.
    """
    run = RunFolder(path)
    if run.last.exists() and run.config.exists():
        old = load_config(run.config)
        free: tuple[str, ...] = (
            "training.max_steps:", "training.max_minutes:", "training.patience:", "training.strategy:", "decoding.",
        )  # fmt: skip
        if old.training.schedule == "linear":
            free = free[1:]  # the whole course of the learning rate hangs on the number of steps
        changed = [change for change in differences(old, config) if not change.startswith(free)]
        if changed:
            raise UserError(
                f"{path}: was started with other settings ({'; '.join(changed)}); choose another run folder"
            )
    save_config(config, run.config)
    return run


def join_run(path: Path, config: Config) -> RunFolder:
    """Opens the run folder that the chief of several workers has just made.

    Raises:
        UserError: if it is not here, or of other settings.
    """
    run = RunFolder(path)
    if not run.config.exists() or not (run.data / "report.json").exists():
        raise UserError(f"{path}: the chief's run folder is not here; all workers have to share it")
    if changed := differences(load_config(run.config), config):
        raise UserError(f"{path}: the chief was started with other settings ({'; '.join(changed)})")
    return run


def load_run_config(path: Path, task: Task | None = None) -> tuple[RunFolder, Config]:
    """The configuration of an existing run.

    Args:
        path: the folder.
        task: what its model has to be trained for; None for any.

    Raises:
        UserError: if the folder is no run, or one of another task.
    """
    run = RunFolder(path)
    if not run.config.exists():
        raise UserError(f"{path}: is not a run folder (it has no config.yaml); `nmt train` makes one")
    config = load_config(run.config)
    if task is not None and config.task != task:
        raise UserError(f"{path}: expected a run of task {task}, got one of task {config.task}")
    return run, config


def load_model(
    run: RunFolder, config: Config, checkpoint: str | None = None, precision: str = "float32"
) -> tuple[Any, Tokenizer, Tokenizer]:
    """A run's model, `Seq2Seq` or `LanguageModel`, with the weights of a checkpoint, and its tokenizers.

    Args:
        run: the folder.
        config: its configuration.
        checkpoint: `best`, `last`, `averaged` or another name; by default the averaged one if there is one, else the
            best.
        precision: of its matrix products; its weights are float32.

    Raises:
        UserError: if there is no such checkpoint or it cannot be read.
    """
    path = find_checkpoint(run, checkpoint)
    source, target = load_tokenizers(run.data, config.tokenizer.placeholders)
    model = build_model(config, source, target, precision)
    load_weights(model, path)
    return model, source, target


def find_checkpoint(run: RunFolder, checkpoint: str | None = None) -> Path:
    """The file of a run's checkpoint; arguments and errors as of `load_model`."""
    if checkpoint is None:
        checkpoint = "averaged" if run.checkpoint("averaged").exists() else "best"
    if not run.checkpoint(checkpoint).exists():
        have = sorted(path.stem for path in (run.path / "checkpoints").glob("[!.]*.npz"))
        raise UserError(f"{run.path}: has no checkpoint `{checkpoint}`; it has {', '.join(have) or 'none yet'}")
    return run.checkpoint(checkpoint)


def build_model(config: Config, source: Tokenizer, target: Tokenizer, precision: str | None = None) -> TokenModel:
    """A new model of a configuration, computing in that of training or another precision; its weights are float32."""
    keras.config.set_dtype_policy(POLICIES[precision or config.training.precision])
    if config.task == "language_model":
        return make_language_model(config.model, target.vocabulary_size, config.seed)
    return make_model(config.model, source.vocabulary_size, target.vocabulary_size, config.seed)
