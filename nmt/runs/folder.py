"""The folder of a run: its paths, its settings, and the version of its format."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nmt
from nmt.config import Config, differences, load_config, save_config
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

Task = Literal["translation", "language_model"]

# The format of the folders that this code writes. Format 1 had no `run.json`, and other names for some weights, which
# `nmt.runs.checkpoints` knows. Raise it when older code could no longer read what is written.
FORMAT = 2


@dataclass(frozen=True)
class RunFolder:
    """The paths within a run folder.

    Args:
        path: the folder, which need not exist.

    Example:

    >>> RunFolder(Path("runs/mine")).best
    PosixPath('runs/mine/checkpoints/best.npz')
    """

    path: Path

    @property
    def format(self) -> Path:
        """The version of the folder's format, and of the package that wrote it."""
        return self.path / "run.json"

    @property
    def config(self) -> Path:
        """All settings, defaults included."""
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
        """The weights of the best validation."""
        return self.checkpoint("best")

    @property
    def averaged(self) -> Path:
        """The mean of the weights of several checkpoints."""
        return self.checkpoint("averaged")

    def checkpoint(self, name: str) -> Path:
        """The checkpoint of a name."""
        return self.path / "checkpoints" / f"{name}.npz"

    def recent_checkpoints(self) -> list[Path]:
        """The weights of the latest validations, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*.npz"))


def open_run(path: str | Path, config: Config) -> RunFolder:
    """Creates a run folder, or opens an existing one to go on.

    Args:
        path: the folder.
        config: its settings. Once training has begun there, only its length, its devices and the search may differ.

    Returns:
        The folder, with its settings and its format written.

    Raises:
        UserError: if other settings differ, or the folder's format is newer than `FORMAT`.
    """
    run = RunFolder(Path(path))
    check_format(run)
    if run.last.exists() and run.config.exists():
        old = load_config(run.config)
        free: tuple[str, ...] = (
            "training.max_steps:", "training.max_minutes:", "training.patience:", "training.strategy:", "decoding.",
        )  # fmt: skip
        if old.training.schedule == "linear":
            free = free[1:]  # the whole course of the learning rate depends on the number of steps
        changed = [change for change in differences(old, config) if not change.startswith(free)]
        if changed:
            raise UserError(
                f"{path}: was started with other settings ({'; '.join(changed)}); choose another run folder"
            )
    with written_whole(run.format) as file:
        file.write(json.dumps({"format": FORMAT, "nmt": nmt.__version__}) + "\n")
    save_config(config, run.config)
    return run


def join_run(path: str | Path, config: Config) -> RunFolder:
    """Opens the run folder that the chief of several workers has just opened.

    Args:
        path: the folder.
        config: this worker's settings.

    Raises:
        UserError: if the folder is not here, has other settings, or is of a newer format.
    """
    run = RunFolder(Path(path))
    check_format(run)
    if not run.config.exists() or not (run.data / "report.json").exists():
        raise UserError(f"{path}: the chief's run folder is not here; all workers have to share it")
    if changed := differences(load_config(run.config), config):
        raise UserError(f"{path}: the chief was started with other settings ({'; '.join(changed)})")
    return run


def load_run_config(path: str | Path, task: Task | None = None) -> tuple[RunFolder, Config]:
    """Opens an existing run to use it.

    Args:
        path: the run folder.
        task: the task that its model has to be trained for; None for any.

    Returns:
        The folder and its settings.

    Raises:
        UserError: if the folder is not a run, its format is newer than `FORMAT`, or it is of another task.
    """
    run = RunFolder(Path(path))
    if not run.config.exists():
        raise UserError(f"{path}: is not a run folder: it has no config.yaml, which training writes")
    check_format(run)
    config = load_config(run.config)
    if task is not None and config.task != task:
        raise UserError(f"{path}: expected a run of task {task}, got one of task {config.task}")
    return run, config


def check_format(run: RunFolder) -> None:
    """Raises an error if a folder was written in a format that this code does not know.

    Raises:
        UserError: naming the two versions, or if the file that holds the version is damaged.
    """
    try:
        written = json.loads(run.format.read_text(encoding="utf-8"))
        newer = written["format"] > FORMAT
    except FileNotFoundError:
        return  # format 1, or no run yet
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{run.format}: is damaged: expected the version of the folder's format") from None
    if newer:
        raise UserError(
            f"{run.path}: is a run folder of format {written['format']}, written by version "
            f"{written.get('nmt', 'unknown')} of this package; version {nmt.__version__} reads formats up to {FORMAT}"
        )
