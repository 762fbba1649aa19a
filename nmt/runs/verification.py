"""Whether the files of a run are whole, and belong together."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nmt.config import load_saved_config
from nmt.constants import SIDES, SPLITS
from nmt.data.epochs import DIGESTS, epoch_folders
from nmt.data.preparation import load_report, prepared_names
from nmt.data.token_store import check_ids
from nmt.runs.checkpoints import load_arrays
from nmt.runs.data import check_identity
from nmt.runs.folder import RunFolder, check_format, describe_edits, edits, run_id
from nmt.runs.metrics import read_metrics
from nmt.utils.digests import Verified, digest, has_seal, verify_files
from nmt.utils.errors import UserError

_SHAPE_THE_MODEL = ("task:", "tokenizer.", "model.")


def verify_run(path: str | Path) -> Iterator[Verified]:
    """Reads each file of a run wholly, and compares it with what was recorded when it was written.

    Texts, token stores and tokenizers are compared with the digests in the report, the report with the checkpoints
    trained on it; checkpoints, metrics and other records with their own digests, and with the run that they belong to.
    Settings that were edited by hand are no damage, unless they shape the model. Runs of earlier versions have no
    digests: their files are read, and not compared.

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
    if run.config.exists() or run.has_begun():
        yield _verified(run.config, lambda: _check_settings(run))
    if (run.data / "report.json").exists() or run.has_begun():
        yield from _verify_data(run.data)
    if run.metrics.exists():
        yield _verified(run.metrics, lambda: read_metrics(run))
    if run.tuning.exists():
        yield _verified(run.tuning, lambda: _check_tuning(run))
    for checkpoint in sorted((run.path / "checkpoints").glob("[!.]*.npz")):
        yield _verified(checkpoint, partial(_check_checkpoint, run, checkpoint))
    for events in sorted(run.tensorboard.rglob("events.out.tfevents.*")):
        yield _verified(events, partial(_check_events, events))


def _verified(path: Path, check: Callable[[], object]) -> Verified:
    """Returns what a check finds: an error that it raises, or a note that it returns."""
    try:
        note = check()
    except UserError as error:
        message = str(error)
        return Verified(path, message.removeprefix(f"{path}: ").removeprefix(f"{path}:"))
    return Verified(path, None, note if isinstance(note, str) else None)


def _check_settings(run: RunFolder) -> str | None:
    edited = edits(run, load_saved_config(run.config))
    if edited is None:
        return None
    if shaping := [edit for edit in edited if edit.startswith(_SHAPE_THE_MODEL)]:
        raise UserError(f"{run.config}: {describe_edits(shaping)}, which the checkpoints depend on")
    return describe_edits(edited)


def _verify_data(folder: Path) -> Iterator[Verified]:
    report: dict[str, Any] = {}
    yield _verified(folder / "report.json", lambda: report.update(load_report(folder)))
    digests = report.get("files", {})
    for name in prepared_names(report):
        yield _verified(folder / name, partial(_check_digest, folder / name, digests.get(name)))
    if report and not digests:  # an earlier version's
        yield from _verify_ids(folder, report["vocabulary"])
    for epoch in epoch_folders(folder):
        yield from verify_files(epoch, DIGESTS) if (epoch / DIGESTS).exists() else ()


def _verify_ids(folder: Path, vocabulary: dict[str, int]) -> Iterator[Verified]:
    for split in SPLITS:
        for side in SIDES:
            ids = folder / f"{split}.{side}.ids.npy"
            yield _verified(ids, partial(check_ids, folder, split, side, vocabulary[side]))


def _check_digest(path: Path, expected: object) -> None:
    found = digest(path)
    if expected is not None and found != expected:
        raise UserError(f"{path}: is damaged: its content is not what was written")


def _check_tuning(run: RunFolder) -> None:
    owner = run_id(run)
    try:
        record = json.loads(run.tuning.read_text(encoding="utf-8"))
        whole = has_seal(record, owner) if owner else isinstance(record["chosen"], dict)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise UserError(f"{run.tuning}: is damaged, or of another run")


def _check_checkpoint(run: RunFolder, path: Path) -> None:
    arrays, state = load_arrays(path)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and name.startswith("weights/") and not np.isfinite(array).all():
            raise UserError(f"{path}: `{name}` has weights that are NaN or infinite")
    check_identity(run, path, state, with_data=True)


def _check_events(path: Path) -> None:
    """Reads TensorBoard's events, which have checksums; a process that was killed leaves the last one cut off."""
    try:
        for _ in tf.data.TFRecordDataset(str(path)):
            pass
    except tf.errors.DataLossError as error:
        if "truncated" not in error.message:
            raise UserError(f"{path}: is damaged: the checksum of an event is wrong") from None
    except tf.errors.OpError as error:
        raise UserError(f"{path}: cannot be read: {error.message}") from None
