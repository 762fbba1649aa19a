"""More training data: sentence pairs with one side translated by a model.

* Back-translation (Sennrich et al. 2016): a model of the reverse direction translates text of the target language,
  which gives it sources.
* Self-training (Zhang and Zong 2016; He et al. 2020): the model translates further text of the source language.
* Distillation (Kim and Rush 2016, section 3.2): the model translates the sources of its training split. A smaller
  model learns more easily from these translations than from the references. With `closest`, it learns from the
  hypothesis of each beam that is closest to the reference (section 3.3).
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nmt.augmentation.parts import (
    are_parts,
    best,
    closest_to_reference,
    read_parts,
    remove_parts,
    translate_in_parts,
)
from nmt.config import CleaningSettings, load_saved_config
from nmt.constants import SIDES, SPLITS, Side
from nmt.data.cleaning import CleaningReport, Pair, clean
from nmt.data.raw_pair import RawPair
from nmt.data.readers import read_texts
from nmt.data.token_store import read_sentences, text_path
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.translation import load_translator
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.folders import has_lock, locked, names_in
from nmt.utils.progress import tracked

_PARTS = "parts"  # the name of a folder in the output that is there until all is done
_REPORT = "report.json"  # the last file to be written
_NAMES = {_PARTS, *(f"{side}{suffix}" for side in SIDES for suffix in (".txt", ".txt.gz"))}

Method = Literal["back-translation", "self-training", "distillation"]


def augment(
    run: str | Path,
    method: Method,
    output: str | Path,
    monolingual: Sequence[str | Path] = (),
    *,
    closest: bool = False,
    n_best: int = 1,
    keep: float = 1.0,
    tag: str = "",
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Translates text and writes the cleaned pairs to `source.txt` and `target.txt`, and then `report.json`.

    If the process is killed, a call with the same arguments resumes after the last 10,000 lines that were finished; if
    only the clean-up was left, it does that.

    Args:
        run: run folder of a translator; for back-translation, of one that translates from the target language.
        method: `back-translation`, `self-training` or `distillation`; see the module's documentation.
        output: the folder to write. Its text files are compressed, and end in `.gz`, if one of `monolingual` does.
        monolingual: text files to translate; none for distillation, which translates the run's training split.
        closest: for distillation, whether to take the hypotheses with the highest sentence BLEU against the reference
            instead of those with the highest scores.
        n_best: how many translations of each line to take, at most the size of the beam.
        keep: share of the pairs to keep, between 0 and 1: those with the highest scores.
        tag: a word to put before each source (Caswell et al. 2019); an empty string for none.
        checkpoint: name of the checkpoint: `best`, `last`, `averaged` or another. None for the averaged one if it
            exists, otherwise the best.
        overrides: changed settings of the search, such as `decoding.beam_size=1`.

    Returns:
        The report: the arguments; the number of lines `read`, `dropped` for each reason, and `below_keep`; the number
        of `pairs` written; and `corpus`, a value for the setting `data.corpus` that trains on the pairs together with
        the run's own.

    Raises:
        UserError: if an argument or a file is invalid, `output` contains other files or is being written by another
            process, or no pair is left.

    Example:

    >>> augment("runs/de-en", "back-translation", "runs/more", ["more.de.gz"], tag="<BT>")  # doctest: +SKIP
    """
    run, output, inputs = Path(run), Path(output), [Path(path) for path in monolingual]
    _check(method, inputs, closest, keep, tag)
    arguments = {
        "run": str(run),
        "method": method,
        "monolingual": [str(path) for path in inputs],
        "closest": closest,
        "n_best": n_best,
        "checkpoint": checkpoint,
        "settings": list(overrides),
    }
    _check_output(output, inputs, was_cleaned_up=not has_lock(output))
    with locked(output):
        _check_output(output, inputs, was_cleaned_up=False)  # another process may have written it in between
        report = _finished(output, arguments | {"keep": keep, "tag": tag})
        report = report or _augment(
            run, method, output, inputs, arguments, closest, n_best, keep, tag, checkpoint, overrides
        )
        remove_parts(output / _PARTS)
        return report


def _finished(output: Path, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the report of a call with these arguments that was killed when all was written; None if it is not."""
    path = output / _REPORT
    if not path.exists():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        report = {}
    if not isinstance(report, dict) or not report.items() >= arguments.items():
        raise UserError(f"{output}: contains augmented data already; choose another folder")
    return report


def _augment(
    run: Path,
    method: Method,
    output: Path,
    inputs: Sequence[Path],
    arguments: dict[str, Any],
    closest: bool,
    n_best: int,
    keep: float,
    tag: str,
    checkpoint: str | None,
    overrides: Sequence[str],
) -> dict[str, Any]:
    """Does what `augment` says, in a folder that this process has locked."""
    folder, config = load_run_config(run, "translation")
    rules = config.data.cleaning.model_copy(update={"drop_copies": True, "drop_duplicates": True})
    lines_report, pairs_report = CleaningReport(), CleaningReport()
    lines = _lines(folder, inputs, rules, lines_report)
    beam = load_saved_config(folder.config, overrides).decoding.beam_size
    if not 1 <= n_best <= beam:
        raise UserError(f"`n_best`: expected 1 to decoding.beam_size {beam}, got {n_best}")
    translator = load_translator(run, checkpoint, overrides, beam if closest else n_best)
    choose = closest_to_reference(n_best, config.data.target_language) if closest else best(n_best)
    parts = translate_in_parts(output / _PARTS, arguments, tracked(lines, "translating"), translator, choose)

    reverse = method == "back-translation"
    scores = np.array([score for _, score in _pairs(parts, reverse, rules, pairs_report)])
    dropped = {reason: count + pairs_report.dropped[reason] for reason, count in lines_report.dropped.items()}
    kept = _highest(scores, round(keep * len(scores)))
    if not kept.any():
        reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
        raise UserError(f"no pair is left of {sum(dropped.values()) + len(scores)} lines ({reasons})")
    suffix = ".txt.gz" if any(path.suffix == ".gz" for path in inputs) else ".txt"
    files = {side: output / f"{side}{suffix}" for side in SIDES}
    pairs = zip(_pairs(parts, reverse, rules, CleaningReport()), kept, strict=True)
    _write(files, (pair for (pair, _), keeps in pairs if keeps), tag)
    report = arguments | {
        "keep": keep,
        "tag": tag,
        "read": len(scores) + sum(dropped.values()),
        "dropped": dropped,
        "below_keep": len(scores) - int(kept.sum()),
        "pairs": int(kept.sum()),
        "corpus": _corpus(folder, reverse, files),
    }
    with written_whole(output / _REPORT) as file:
        json.dump(report, file, indent=2, ensure_ascii=False)
    for name, counts in (("lines to translate", lines_report), ("with their translations", pairs_report)):
        if counts.read:
            counts.log(name)
    return report


def _check_output(output: Path, inputs: Sequence[Path], was_cleaned_up: bool) -> None:
    """Raises an error unless the folder is new, empty, or was begun by an earlier call, and contains no input."""
    where = output.resolve()
    for path in inputs:
        if where in path.resolve().parents:
            raise UserError(f"{output}: contains {path}, which is read; choose another folder")
    names = names_in(output)
    if _REPORT in names:
        if was_cleaned_up and _PARTS not in names:
            raise UserError(f"{output}: contains augmented data already; choose another folder")
        return
    if not names <= _NAMES or (names and not are_parts(output / _PARTS)):
        raise UserError(f"{output}: contains other files; choose a new or an empty folder")


def _check(method: Method, monolingual: Sequence[Path], closest: bool, keep: float, tag: str) -> None:
    if method == "distillation" and monolingual:
        raise UserError("`monolingual`: expected no file for distillation, which translates the run's training split")
    if method != "distillation" and not monolingual:
        raise UserError(f"`monolingual`: expected a file to translate for {method}, got none")
    if closest and method != "distillation":
        raise UserError(f"`closest`: expected the method distillation, which has references, got {method}")
    if not 0 <= keep <= 1:
        raise UserError(f"`keep`: expected a share between 0 and 1, got {keep}")
    if len(tag.splitlines()) > 1:
        raise UserError(f"`tag`: expected one line, got {tag!r}")


def _lines(
    run: RunFolder, monolingual: Sequence[Path], rules: CleaningSettings, report: CleaningReport
) -> Iterator[Pair]:
    """Yields the lines to translate, with their references for distillation and empty strings otherwise."""
    if not monolingual:
        return map(Pair, *(read_sentences(run.data, "train", side) for side in SIDES))
    lines = clean(read_texts(monolingual), rules, report, training=True, target_only=True)
    return (Pair(line.target, "") for line in lines)


def _pairs(
    parts: Sequence[Path], reverse: bool, rules: CleaningSettings, report: CleaningReport
) -> Iterator[tuple[Pair, float]]:
    """Yields the cleaned pairs with their scores; with `reverse`, the translation is the source."""
    score = 0.0  # of the pair that is being cleaned

    def raw() -> Iterator[RawPair]:
        nonlocal score
        for line, path in read_parts(parts):
            if line.translation is None:
                report.drop("too_long", path.name)
                continue
            score = line.score
            source, target = (line.translation, line.text) if reverse else (line.text, line.translation)
            yield RawPair(source.encode(), target.encode(), path.name)

    for pair in clean(raw(), rules, report, training=True):
        yield pair, score


def _highest(scores: np.ndarray, number: int) -> np.ndarray:
    """Returns a boolean array, True for the `number` highest scores; among equal ones, for the first."""
    highest = np.zeros(len(scores), bool)
    highest[np.argsort(-scores, kind="stable")[:number]] = True
    return highest


def _write(files: dict[Side, Path], pairs: Iterator[Pair], tag: str) -> None:
    with ExitStack() as open_files:
        source, target = (open_files.enter_context(_open(files[side])) for side in SIDES)
        for pair in pairs:
            source.write(f"{tag} {pair.source}\n".lstrip(" ").encode())
            target.write(f"{pair.target}\n".encode())


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Opens a file for writing, compressed if its name ends in `.gz`; equal texts give equal bytes."""
    with written_whole(path, "wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed:
            yield compressed


def _corpus(run: RunFolder, reverse: bool, files: dict[Side, Path]) -> dict[str, Any]:
    """Returns a text corpus of the run's own prepared splits, with the new pairs added to the training split."""
    run_sides = dict(zip(SIDES, SIDES[::-1] if reverse else SIDES, strict=True))
    paths: dict[str, Any] = {
        split: {side: [str(text_path(run.data, split, run_side))] for side, run_side in run_sides.items()}
        for split in SPLITS
    }
    for side, path in files.items():
        paths["train"][side].append(str(path))
    return {"kind": "text", **paths}
