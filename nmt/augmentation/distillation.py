"""Distillation: a small model that translates fast learns from a large one's translations (Kim and Rush 2016)."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.augmentation.augment import augment
from nmt.config import Config, load_saved_config, parse_config
from nmt.config.file import apply_overrides
from nmt.constants import SIDES
from nmt.data.counts import TokenCounts
from nmt.data.preparation import load_report
from nmt.runs.folder import RunFolder, load_run_config, lock_run
from nmt.runs.models import check_model
from nmt.training.budget import (
    count_steps,
    course,
    measure_machine,
    suitable_epochs,
    suitable_rate,
    with_padding,
)
from nmt.training.plan import MINUTES
from nmt.training.train import train
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)

_N_BEST = 4  # translations of each source that are learnt from, with the reference


def distill(
    teachers: Sequence[str | Path],
    student: str | Path,
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    overrides: Sequence[str] = (),
) -> RunFolder:
    """Trains a small model on what a run has learnt from, and on the run's own translations of it.

    The teacher translates the sources of its training split; for each, the student learns from the reference and from
    those translations of the beam that are closest to it (Kim and Rush 2016, section 3.3). The student has the
    teacher's tokenizer, three quarters of its width, a decoder of one layer of `ssru`, whose steps take the fewest
    operations, and searches greedily.

    The same call goes on where one was stopped or killed.

    Args:
        teachers: the run folder of a translator; with several, their ensemble translates, and the tokenizer is the
            first one's.
        student: the run folder to train in, made if needed. It keeps the translations, in `distilled`.
        minutes: float, how long the training may take once the teacher has translated; 30 by default.
        epochs: float, how often to go through the pairs, instead.
        overrides: settings of the student to change, such as `model.units=128`.

    Returns:
        The student's run.

    Raises:
        UserError: if a run or a setting is wrong, or the folder is of something else.

    Example:

    >>> distill(["runs/mine"], "runs/fast", minutes=30)  # doctest: +SKIP
    """
    if minutes is not None and epochs is not None:
        raise UserError("`minutes`: expected it or `epochs`, got both")
    first, *others = map(Path, teachers)
    if Path(student).resolve() in {Path(teacher).resolve() for teacher in teachers}:
        raise UserError(f"{student}: is a teacher's folder; choose another")
    settings = student_settings(first, overrides)
    check_model(parse_config(settings))  # a mistake shows before the teacher translates
    with lock_run(student) as run:  # marks the folder as a run's
        pass
    report = _translations(first, others, run)
    if run.config.exists():
        _LOG.info("going on with the settings of %s", run.config)
        config = load_saved_config(run.config, overrides)
    else:
        settings["data"]["corpus"] = report["corpus"]
        config = _with_course(settings, first, report["pairs"], minutes, epochs)
    return train(config, run.path)


def student_settings(teacher: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Chooses the settings of a student, but for its corpus (here its teacher's) and the length of its training.

    Args:
        teacher: the run folder of the teacher.
        overrides: settings to change.

    Returns:
        The settings as nested dictionaries, as they stand in YAML.
    """
    folder, config = load_run_config(teacher, "translation")
    tree = config.model_dump(mode="json", include={"seed", "data", "tokenizer", "batches", "decoding"})
    if config.tokenizer.joint:
        tree["tokenizer"]["model"] = str(folder.data / "target.model")
    tree["batches"]["tokens"] *= 2  # there are several times as many pairs, and a small model's steps take little time
    tree["decoding"] |= {"beam_size": 1, "ensemble": [], "language_model": None}
    units = student_units(config.model.units)
    tree["model"] = {
        "cell": config.model.cell,
        "decoder_cell": "ssru",
        "embedding": units,
        "units": units,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "attention": "dot",
        "tied_embeddings": config.model.tied_embeddings,
        "dropout": 0.1,
    }
    tree["training"] = {"learning_rate": suitable_rate(units), "precision": "auto", "xla": "parts"}
    apply_overrides(tree, overrides)
    return tree


def _with_course(
    tree: dict[str, Any], teacher: Path, translations: int, minutes: float | None, epochs: float | None
) -> Config:
    """Adds the length of the training to the settings of a student, unless they have it; what was chosen is logged."""
    folder, of_teacher = load_run_config(teacher)
    prepared, config = load_report(folder.data), parse_config(tree)
    of_references = prepared["pairs"]["train"]
    pairs = of_references + translations
    source, target = (prepared["tokens"]["train"][side] / of_references for side in SIDES)
    positions = with_padding(pairs * max(source, target), config.batches.shapes)
    steps = round((epochs or 1.5 * suitable_epochs(pairs)) * positions / config.batches.tokens)
    if epochs is None:
        minutes = minutes or MINUTES
        _LOG.info("measuring this machine")
        tokens = TokenCounts(source, target, config.batches.max_length)
        steps = min(steps, count_steps(config, tokens, measure_machine(config, tokens), minutes))
        tree["training"] = {"max_minutes": minutes} | tree["training"]
    tree["training"] = course(max(steps, 20), minutes) | tree["training"]
    _LOG.info(
        "the student has %d units where its teacher has %d; %s steps on %s pairs, %s of them the teacher's",
        config.model.units, of_teacher.model.units, f"{steps:,}", f"{pairs:,}", f"{translations:,}",
    )  # fmt: skip
    return parse_config(tree)


def student_units(units: int) -> int:
    """The width of a student, by its teacher's: three quarters, in steps of 32.

    Example:

    >>> [student_units(units) for units in (16, 160, 192, 256, 512)]
    [32, 128, 128, 192, 384]
    """
    return max(32 * round(0.75 * units / 32), 32)


def _translations(first: Path, others: Sequence[Path], run: RunFolder) -> dict[str, Any]:
    """The report of the teacher's translations, which are made if they are not there."""
    ensemble = [f"decoding.ensemble=[{', '.join(map(json.dumps, map(str, others)))}]"] if others else []
    path = run.distilled / "report.json"
    if path.exists():
        try:
            report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            same = Path(report["run"]).resolve() == first.resolve() and report["settings"] == ensemble
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: is damaged; delete {run.distilled} to make the translations anew") from error
        if not same:
            raise UserError(f"{run.path}: has learnt from {report['run']}; choose another folder")
        return report
    return augment(first, "distillation", run.distilled, closest=True, n_best=_n_best(first), overrides=ensemble)


def _n_best(teacher: Path) -> int:
    """How many translations of each source to learn from: not more than the teacher's beam has."""
    return min(_N_BEST, load_run_config(teacher)[1].decoding.beam_size)
