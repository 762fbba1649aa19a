"""A run's `metrics.jsonl`: a JSON object a line, each with its own digest."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nmt.runs.folder import RunFolder, run_id
from nmt.utils.digests import has_seal, sealed
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.json_text import json_text
from nmt.utils.lines import read_text_lines


def read_metrics(run: RunFolder) -> list[dict[str, Any]]:
    """Reads the metrics of a run.

    Args:
        run: the run folder.

    Returns:
        The values of each line; none if there are no metrics yet.

    Raises:
        UserError: naming the first line that is damaged, or of another run.
    """
    if not run.metrics.exists():
        return []
    owner, found = run_id(run), []
    for number, line in enumerate(read_text_lines(run.metrics), 1):
        try:
            metrics = json.loads(line)
            whole = isinstance(metrics.get("step", 0), int) and isinstance(metrics.get("config", {}), dict)
            whole = whole and (owner is None or has_seal(metrics, owner))
        except (ValueError, AttributeError, RecursionError):
            whole = False
        if not whole:
            raise UserError(f"{run.metrics}:{number}: is damaged, or of another run; move the file away to do without")
        found.append({name: value for name, value in metrics.items() if owner is None or name != "sha256"})
    if not found:
        raise UserError(f"{run.metrics}: is damaged: it is empty; move it away to do without")
    return found


def write_metrics(run: RunFolder, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes the metrics of a run; the file is never half-written.

    Args:
        run: the run folder.
        lines: plain values by name, for each line.

    Raises:
        UserError: if the file cannot be written.
    """
    owner = run_id(run)
    # Infinity, which JSON lacks, becomes null before the digest is taken.
    plain = [json.loads(json_text(metrics)) for metrics in lines]
    with written_whole(run.metrics) as file:
        file.writelines(json_text(line if owner is None else sealed(line, owner)) + "\n" for line in plain)
