"""Translates the files of translators with a run's translator."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nmt.data.counts import PLACEHOLDER_SHARE
from nmt.data.preparation import load_report
from nmt.documents.translation import FileReport, check_document, translate_file
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.models import find_checkpoint
from nmt.runs.translation import load_translator
from nmt.utils.digests import digest
from nmt.utils.errors import UserError


def translate_document(
    path: str | Path,
    document: str | Path,
    output: str | Path,
    *,
    source: str | None = None,
    target: str | None = None,
    all_units: bool = False,
    as_tmx: bool = False,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> FileReport:
    """Translates a file such as .po, .xliff, .json, .html or .docx in place with a run's translator.

    Args:
        path: the run folder.
        document: the file; see `nmt.documents.translate_file`.
        output: the file to write, which appears once it is complete.
        source: code of the file's source language; None for the run's.
        target: code of the language to translate into, such as `de-AT`; None for the run's.
        all_units: see `nmt.documents.translate_file`.
        as_tmx: see `nmt.documents.translate_file`.
        checkpoint: see `nmt.runs.translation.load_translator`.
        overrides: see `nmt.runs.translation.load_translator`.

    Raises:
        UserError: if the run, the checkpoint or a setting is wrong, or a file cannot be read or written.

    Example:

    >>> translate_document("runs/quickstart", "strings.po", "strings.de.po")  # doctest: +SKIP
    """
    run, config = load_run_config(path, "translation")
    source, target = source or str(config.data.source_language), target or config.data.target_language
    check_document(document, output, as_tmx)  # before the model is loaded
    # What a run that is older than this setting does not do to lines, a file needs.
    overrides = ["decoding.split_sentences=true", *overrides]
    translator = load_translator(path, checkpoint, overrides)
    weights = digest(find_checkpoint(run, checkpoint))["sha256"]
    settings = hashlib.sha256(run.config.read_bytes()).hexdigest()
    return translate_file(
        translator,
        document,
        output,
        source=source,
        target=target,
        all_units=all_units,
        as_tmx=as_tmx,
        tags_learnt=_has_learnt_tags(run),
        identity=f"{weights} {settings} {list(overrides)}",
    )


def _has_learnt_tags(run: RunFolder) -> bool:
    """Whether enough training pairs had tags for the search to place them.

    The search placed them better than attention where 0.6% of the pairs or more had tags, and much worse where none had
    (benchmarks/tags.py). Data prepared before tags were counted is taken to have none.
    """
    with suppress(UserError):
        report = load_report(run.data)
        tagged: int = report.get("placeholders", {}).get("tags", 0)
        return tagged > PLACEHOLDER_SHARE * int(report["pairs"]["train"])
    return False
