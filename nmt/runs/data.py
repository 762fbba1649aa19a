"""The prepared data of a run, which its checkpoints depend on."""

from typing import Any

from nmt.config import Config
from nmt.data.preparation import check_complete, load_report, preparation_settings, prepare
from nmt.runs.folder import RunFolder, changes_after_beginning
from nmt.utils.errors import UserError


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
    return report
