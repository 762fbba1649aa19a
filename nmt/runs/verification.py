"""Whether the files of a run are whole, and belong together."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nmt.config import load_saved_config
from nmt.data.preparation import load_report, prepared_names
from nmt.runs.checkpoints import load_arrays
from nmt.runs.data import check_identity
from nmt.runs.folder import RunFolder, check_format, settings_digest
from nmt.utils.digests import digest
from nmt.utils.errors import UserError
from nmt.utils.lines import read_text_lines


class Verified(NamedTuple):
    """A file, and what is wrong with it."""

    path: Path
    problem: str | None  # None where nothing is


def verify_run(path: str | Path) -> Iterator[Verified]:
    """Reads each file of a run wholly, and compares it with what was recorded when it was written.

    Texts, token stores and tokenizers are compared with the digests in the report, the report with the checkpoints
    trained on it. Checkpoints are archives that check themselves. Runs of earlier versions have no digests: their files
    are read, and not compared.

    Args:
        path: the run folder.

    Yields:
        Each file, with its problem if it has one.

    Raises:
        UserError: if the folder is not a run.

    Example:

    >>> [file.path.name for file in verify_run("runs/mine") if file.problem]  # doctest: +SKIP
    ['train.source.ids.npy']
    """
    run = RunFolder(Path(path))
    if not run.is_marked():
        raise UserError(f"{path}: is not a run folder")
    if run.format.exists():
        yield _verified(run.format, lambda: check_format(run))
    yield _verified(run.config, lambda: _check_settings(run))
    if (run.data / "report.json").exists() or run.has_begun():
        yield from _verify_data(run.data)
    if run.metrics.exists():
        yield _verified(run.metrics, lambda: _check_metrics(run.metrics))
    for checkpoint in sorted((run.path / "checkpoints").glob("[!.]*.npz")):
        yield _verified(checkpoint, partial(_check_checkpoint, run, checkpoint))


def _check_settings(run: RunFolder) -> None:
    load_saved_config(run.config)
    recorded = settings_digest(run)
    if recorded is not None and recorded != digest(run.config):
        raise UserError(f"{run.config}: is not as it was written: it was edited or damaged")


def _verify_data(folder: Path) -> Iterator[Verified]:
    report = _verified(folder / "report.json", lambda: load_report(folder))
    yield report
    digests = {} if report.problem else load_report(folder).get("files", {})
    for name in prepared_names():
        yield _verified(folder / name, partial(_check_digest, folder / name, digests.get(name)))


def _verified(path: Path, check: Callable[[], object]) -> Verified:
    try:
        check()
    except UserError as error:
        return Verified(path, str(error).removeprefix(f"{path}: "))
    return Verified(path, None)


def _check_digest(path: Path, expected: object) -> None:
    found = digest(path)
    if expected is not None and found != expected:
        raise UserError(f"{path}: is damaged: its content is not what was written")


def _check_metrics(path: Path) -> None:
    for number, line in enumerate(read_text_lines(path), 1):
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"{path}: line {number} is damaged") from None


def _check_checkpoint(run: RunFolder, path: Path) -> None:
    arrays, state = load_arrays(path)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and name.startswith("weights/") and not np.isfinite(array).all():
            raise UserError(f"{path}: `{name}` has weights that are NaN or infinite")
    check_identity(run, path, state, with_data=True)
