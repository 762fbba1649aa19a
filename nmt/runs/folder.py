"""The folder of a run: its paths, its settings, and the version of its format."""

import functools
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nmt
from nmt.config import Config, differences, load_saved_config, save_config
from nmt.config.file import flat, read_tree
from nmt.utils.digests import digest, has_seal, sealed
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.folders import locked, names_in

_LOG = logging.getLogger(__name__)

Task = Literal["translation", "language_model"]

# The format of the folders that this code writes. Format 1 had no `run.json`, and other names for some weights, which
# `nmt.runs.checkpoints` knows. Raise it when older code could no longer read what is written.
FORMAT = 2

_OF_A_VALIDATION = re.compile(r"step-\d{8,}\.npz", re.ASCII)
_CHECKPOINT = re.compile(rf"(last|best|averaged)\.npz|{_OF_A_VALIDATION.pattern}", re.ASCII)

# Settings that name files which nothing reads once training has begun.
_READ_AT_FIRST = re.compile(
    r"data\.corpus\.(train|validation|test)(\.source|\.target)?|data\.corpus\.folder|tokenizer\.model|"
    r"training\.start_from|tokenizers_of"
)


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
    def distilled(self) -> Path:
        """A teacher's translations, from which this run has learnt; see `nmt.augmentation.distillation`."""
        return self.path / "distilled"

    @property
    def metrics(self) -> Path:
        """A JSON line of metrics for each validation."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def tuning(self) -> Path:
        """The settings of the search that were tried on the validation split."""
        return self.path / "tuning.json"

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
        return [path for path in self._checkpoints() if _OF_A_VALIDATION.fullmatch(path.name)]

    def has_begun(self) -> bool:
        """Whether there is a checkpoint, which depends on the prepared data."""
        return bool(self._checkpoints())

    def is_marked(self) -> bool:
        """Whether the folder is one that this package has made, of whatever format."""
        if self.format.exists():
            return True
        if not self.config.exists() or not (self.has_begun() or (self.data / "report.json").exists()):
            return False
        try:  # settings that a person has written seldom name every group
            return set(Config.model_fields) - {"task"} <= read_tree(self.config).keys()
        except UserError:
            return False

    def _checkpoints(self) -> list[Path]:
        folder = self.path / "checkpoints"
        return sorted(path for path in folder.glob("*.npz") if _CHECKPOINT.fullmatch(path.name))


@contextmanager
def lock_run(path: str | Path) -> Iterator[RunFolder]:
    """Takes over a run folder, and keeps other processes from it while the block runs; see `nmt.utils.folders.locked`.

    Args:
        path: the folder. It must be new, empty, or a run folder.

    Yields:
        The folder, marked as a run folder.

    Raises:
        UserError: if the folder holds something else, its format is newer than `FORMAT`, or another process writes it.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "config.yaml").write_text("mine")
    >>> with lock_run(folder):
    ...     pass
    Traceback (most recent call last):
    nmt.utils.errors.UserError: ...: is not a run folder and not empty; choose a new one
    """
    run = RunFolder(Path(path))
    check_own(run)
    with locked(path):
        check_own(run)  # another process may have written it in between
        if not run.format.exists():
            _write_format(run)
        yield run


def open_run(path: str | Path, config: Config) -> RunFolder:
    """Creates a run folder, or opens an existing one to go on.

    Args:
        path: the folder. It must be new, empty, or a run folder.
        config: its settings. Once training has begun there, only its length, its devices, the search, and the paths of
            files that have been read may differ.

    Returns:
        The folder, with its settings and its format written.

    Raises:
        UserError: if other settings differ, the folder holds something else, or its format is newer than `FORMAT`.
    """
    run = RunFolder(Path(path))
    check_own(run)
    if run.has_begun() and run.config.exists():
        _check_unchanged(run, load_saved_config(run.config), config)
    write_settings(run, config)
    return run


def write_settings(run: RunFolder, config: Config) -> None:
    """Writes the settings of a run, and records what was written, so that damage and edits are noticed."""
    settings = config.model_dump(mode="json")
    if run.config.exists():  # a call that is killed between the two files has edited nothing
        _write_format(run, {"next": settings})
    save_config(config, run.config)
    _write_format(run, {"config": digest(run.config), "settings": settings})


def run_id(run: RunFolder) -> str | None:
    """Returns what tells a run from others: its first settings as a digest; None for runs of earlier versions."""
    return _read_record(run).get("id")


def edits(run: RunFolder, config: Config) -> list[str] | None:
    """Compares the settings of a run with those that were written last.

    Args:
        run: the run.
        config: its settings as they are now, without overrides.

    Returns:
        The settings that were edited since, each as `key: old -> new`; None if the file is as it was written, or an
        earlier version wrote it.

    Raises:
        UserError: if the record of what was written is damaged.
    """
    record = _read_record(run)
    settings = config.model_dump(mode="json")
    if "settings" not in record or record["config"] == digest(run.config) or record.get("next") == settings:
        return None
    before, after = flat(record["settings"]), flat(settings)
    return [f"{key}: {before[key]} -> {value}" for key, value in after.items() if before.get(key, value) != value]


def check_own(run: RunFolder) -> None:
    """Raises an error unless a folder is new, empty, or a run folder of a format that this code knows.

    Raises:
        UserError: naming the folder.
    """
    if names_in(run.path) and not run.is_marked():
        raise UserError(f"{run.path}: is not a run folder and not empty; choose a new one")
    check_format(run)


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
    if changed := differences(load_saved_config(run.config), config):
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
    config = load_saved_config(run.config)
    edited = edits(run, config)
    if edited is not None:
        _warn_once(f"{run.config}: {describe_edits(edited)}")
    if task is not None and config.task != task:
        raise UserError(f"{path}: expected a run of task {task}, got one of task {config.task}")
    return run, config


def check_format(run: RunFolder) -> None:
    """Raises an error if a folder was written in a format that this code does not know.

    Raises:
        UserError: naming the two versions, or if the file that holds the version is damaged.
    """
    _read_record(run)


def changes_after_beginning(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compares settings of a run in which training has begun.

    Args:
        old: its settings as nested plain values.
        new: other settings.

    Returns:
        The settings that differ, each as `key: old -> new`, apart from paths that nothing reads any more: the files of
        the corpus, of the tokenizer and of the run to start from may be at other places, or gone.

    Example:

    >>> old = {"seed": 1, "tokenizer": {"model": "old/target.model"}}
    >>> changes_after_beginning(old, {"seed": 2, "tokenizer": {"model": "new/target.model"}})
    ['seed: 1 -> 2']
    """
    before, after = flat(old), flat(new)
    changed = []
    for key in before | after:
        was, now = before.get(key), after.get(key)
        if was != now and not (_READ_AT_FIRST.fullmatch(key) and _are_moved(key, was, now)):
            changed.append(f"{key}: {was} -> {now}")
    return changed


def describe_edits(edited: Sequence[str]) -> str:
    """Says what `edits` has found.

    Example:

    >>> describe_edits(["decoding.beam_size: 5 -> 1"])
    'was edited since it was written (decoding.beam_size: 5 -> 1)'
    """
    return f"was edited since it was written ({'; '.join(edited) or 'the settings are the same'})"


@functools.cache  # a command opens a run several times
def _warn_once(message: str) -> None:
    _LOG.warning("%s", message)


def _write_format(run: RunFolder, additional: Mapping[str, Any] | None = None) -> None:
    record = _read_record(run) | {"format": FORMAT, "nmt": nmt.__version__, **(additional or {})}
    if additional and "config" in additional:
        record.pop("next", None)
        if not run.has_begun() and not run.metrics.exists():  # else it began with an earlier version
            record.setdefault("id", record["config"]["sha256"])
    with written_whole(run.format) as file:
        file.write(json.dumps(sealed(record)) + "\n")


def _read_record(run: RunFolder) -> dict[str, Any]:
    """Reads `run.json`, without its seal; empty for format 1, and for what is no run yet."""
    try:
        written = json.loads(run.format.read_text(encoding="utf-8"))
        newer = written["format"] > FORMAT
        whole = newer or "settings" not in written or has_seal(written)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{run.format}: is damaged: expected the version of the folder's format")
    if newer:
        raise UserError(
            f"{run.path}: is a run folder of format {written['format']}, written by version "
            f"{written.get('nmt', 'unknown')} of this package; version {nmt.__version__} reads formats up to {FORMAT}"
        )
    return {key: value for key, value in written.items() if key != "sha256"}


def _check_unchanged(run: RunFolder, old: Config, new: Config) -> None:
    """Raises an error if settings differ that a training which has begun depends on."""
    free: tuple[str, ...] = (
        "training.max_steps:", "training.max_minutes:", "training.patience:", "training.strategy:", "decoding.",
    )  # fmt: skip
    if old.training.schedule == "linear":
        free = free[1:]  # the whole course of the learning rate depends on the number of steps
    dumped = old.model_dump(mode="json"), new.model_dump(mode="json")
    changed = [change for change in changes_after_beginning(*dumped) if not change.startswith(free)]
    if changed:
        raise UserError(
            f"{run.path}: was started with other settings ({'; '.join(changed)}); choose another run folder"
        )
    for key, value in flat(dumped[1]).items():
        if _READ_AT_FIRST.fullmatch(key) and value != flat(dumped[0]).get(key):
            _LOG.info("%s: is not read any more: the data in %s is used", key, run.data)


def _are_moved(key: str, was: Any, now: Any) -> bool:
    """Returns whether two values of a setting may name the same files at different places."""
    if key == "data.corpus.folder":  # None is a place too
        return True
    if isinstance(was, list) and isinstance(now, list):
        return len(was) == len(now)
    # A string of `data.corpus.train` is no path, but a part of a dataset.
    return isinstance(was, str) and isinstance(now, str) and not key.startswith("data.corpus.")
