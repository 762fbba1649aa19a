"""The prepared data of a run, which its checkpoints depend on."""

import logging
from pathlib import Path
from typing import Any

from nmt.config import Config
from nmt.constants import SIDES
from nmt.data.preparation import check_complete, corpus_files, load_report, preparation_settings, prepare
from nmt.runs.folder import RunFolder, changes_after_beginning, run_id
from nmt.utils.digests import digest
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)


def prepare_data(config: Config, run: RunFolder) -> dict[str, Any]:
    """Prepares the data of a run, unless that is done; data that a checkpoint depends on is never prepared anew.

    Args:
        config: the settings.
        run: the run, locked by this process.

    Returns:
        The report of `nmt.data.preparation.prepare`.

    Raises:
        UserError: if the corpus cannot be read, or there is a checkpoint and its data is damaged or missing, or was
            prepared with other settings.
    """
    if not run.has_begun():
        return prepare(config, run.data, owned=True)
    try:
        report = load_report(run.data)
        check_complete(run.data)
    except UserError as error:
        problem = str(error).partition("; ")[0]
        raise UserError(
            f"{problem}; the checkpoints depend on this data, so it is not prepared anew: restore it, or train in a "
            "new run folder"
        ) from error
    changed = changes_after_beginning(report["settings"], preparation_settings(config))
    if changed:
        raise UserError(
            f"{run.data}: was prepared with other settings ({'; '.join(changed)}), and the checkpoints depend on it; "
            "choose another run folder"
        )
    now = corpus_files(config)
    for name, before in report.get("corpus_files", {}).items():
        if name in now and now[name] != before:
            _LOG.warning("%s: has changed since it was prepared; training goes on with %s", name, run.data)
    return report


def identity(run: RunFolder) -> dict[str, str]:
    """Returns what the checkpoints of a run belong to: the run, its tokenizers and all its prepared data.

    Args:
        run: the run, whose data is prepared.

    Returns:
        From `source_tokenizer`, `target_tokenizer` and `data`, its report that has the digests, to a SHA-256; and from
        `run` to the run's id, unless an earlier version began it.
    """
    names = {f"{side}_tokenizer": f"{side}.model" for side in SIDES} | {"data": "report.json"}
    own = run_id(run)
    digests = {name: digest(run.data / file)["sha256"] for name, file in names.items()}
    return digests if own is None else digests | {"run": own}


def check_identity(run: RunFolder, path: str | Path, state: dict[str, Any], *, with_data: bool) -> None:
    """Makes sure that a checkpoint is of this run, and was trained with the tokenizers, and the data, that are in it.

    Args:
        run: the run.
        path: the checkpoint's file, for errors.
        state: what the checkpoint holds in addition to arrays; checkpoints of earlier versions say nothing.
        with_data: whether the prepared data matters, as it does for a training that goes on.

    Raises:
        UserError: naming what has been exchanged or damaged.
    """
    expected = state.get("belongs_to")
    if not isinstance(expected, dict):
        return
    if "run" in expected and run_id(run) != expected["run"]:
        raise UserError(f"{path}: is a checkpoint of another run than {run.format} describes")
    for side in SIDES:
        model = run.data / f"{side}.model"
        wanted = expected.get(f"{side}_tokenizer")
        if wanted is not None and digest(model)["sha256"] != wanted:
            raise UserError(f"{model}: is not the tokenizer that {path} was trained with; it was exchanged or damaged")
    if with_data and "data" in expected and identity(run)["data"] != expected["data"]:
        raise UserError(f"{run.data}: is not the data that {path} was trained on; it was exchanged or prepared again")
