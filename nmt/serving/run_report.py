"""Collects what there is to say about a run, and writes it as one HTML page."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config import Config
from nmt.config.file import flat
from nmt.constants import SIDES, Split
from nmt.data.preparation import load_report, read_checked_sentences
from nmt.evaluation.by_length import score_by_length
from nmt.evaluation.metrics import compare, score_sentences, scores_as_json
from nmt.evaluation.preservation import preservation_as_json
from nmt.evaluation.repetition import repetition_as_json
from nmt.evaluation.report import Evaluation, evaluate_translations
from nmt.inference.translator import Translator
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.metrics import read_metrics
from nmt.runs.translation import load_translator
from nmt.serving.report_page import report_page
from nmt.utils.errors import UserError
from nmt.utils.files import check_outputs, written_whole
from nmt.utils.progress import tracked

WORST, EXAMPLES, ATTENTION = 10, 10, 3  # sentences shown of each
_FITTING = range(15, 61)  # characters of a source whose attention can be read at a glance
_GROUPS = ("tokenizer", "batches", "model", "training", "decoding")


class Tested(NamedTuple):
    """The sentences of a split, and a run's translations of them."""

    sources: list[str]
    references: list[str]
    translations: list[str]
    language: str


def write_report(
    runs: Sequence[str | Path],
    output: str | Path,
    *,
    split: Split = "test",
    sentences: int = 1000,
    samples: int = 1000,
    checkpoint: str | None = None,
) -> None:
    """Writes a page about a run, or about two that are compared.

    The page holds what cleaning dropped, the curves of training, scores with intervals, also by the length of the
    source, loops and what is preserved, examples, the worst translations, attention, settings and versions. It loads
    nothing from elsewhere.

    Args:
        runs: one or two run folders; differences are tested with the first as the baseline.
        output: the HTML file to write, which appears once it is complete.
        split: `validation` or `test`, the part of each run's corpus to translate.
        sentences: the number of its first sentences to translate, at most.
        samples: number of bootstrap samples for the intervals, 0 for none; a comparison takes 1,000 then.
        checkpoint: see `nmt.load_translator`.

    Raises:
        UserError: if a run, the checkpoint or a number is wrong, or the file cannot be written.

    Example:

    >>> write_report(["runs/quickstart"], "report.html")  # doctest: +SKIP
    """
    if not 1 <= len(runs) <= 2:
        raise UserError(f"`runs`: expected one or two, got {len(runs)}")
    if sentences < 1:
        raise UserError(f"`sentences`: expected at least 1, got {sentences}")
    check_outputs([output], ())
    described, tested = zip(*(describe_run(run, split, sentences, samples, checkpoint) for run in runs), strict=True)
    if len(runs) == 2 and described[0]["name"] == described[1]["name"]:
        described = tuple({**one, "name": str(path)} for one, path in zip(described, runs, strict=True))
    comparison: list[dict[str, Any]] = []
    if len(runs) == 2 and tested[0][:2] == tested[1][:2]:
        before, after = tested
        results = compare(
            after.translations, before.translations, after.references, after.language, samples=samples or 1000
        )
        comparison = [{"name": name, **fields} for name, fields in scores_as_json(results).items()]
    with written_whole(Path(output)) as file:
        file.write(report_page(described, comparison))


def describe_run(
    path: str | Path, split: Split = "test", sentences: int = 1000, samples: int = 1000, checkpoint: str | None = None
) -> tuple[dict[str, Any], Tested]:
    """Collects what `nmt.serving.report_page.report_page` shows of a run.

    Args:
        path: the run folder.
        split: see `write_report`, as for the arguments that follow.
        sentences: int.
        samples: int.
        checkpoint: str or None.

    Returns:
        Plain values by name, and the sentences that they were measured on.

    Raises:
        UserError: if the run or the checkpoint is wrong, or the split has no sentences.
    """
    folder, config = load_run_config(path, "translation")
    sources, references = (list(read_checked_sentences(folder.data, split, side))[:sentences] for side in SIDES)
    if not sources:
        raise UserError(f"{path}: its {split} split has no sentences")
    metrics, tuning = read_metrics(folder), _tuning(folder)  # what is damaged shows before the work begins
    translator = load_translator(path, checkpoint, attention=True)
    translations = list(tracked(translator.best(sources), "translating", len(sources)))
    tested = Tested(sources, references, translations, config.data.target_language)
    evaluation = evaluate_translations(translations, references, tested.language, sources=sources, samples=samples)
    processes = [line for line in metrics if "step" not in line]
    description = {
        "name": folder.path.resolve().name,
        "languages": f"{config.data.source_language} \N{RIGHTWARDS ARROW} {config.data.target_language}",
        "split": split,
        "sentences": len(sources),
        "cleaning": load_report(folder.data)["cleaning"],
        "validations": [line for line in metrics if "step" in line],
        "attention": list(_attention(translator, sources)),
        "tuning": tuning,
        "versions": _versions(processes),
    }
    description["choices"] = list(_choices(description, processes))
    return description | _measured(evaluation, tested, samples) | _sentences(tested) | _settings(config), tested


def _measured(evaluation: Evaluation, tested: Tested, samples: int) -> dict[str, Any]:
    groups = score_by_length(tested.sources, tested.translations, tested.references, tested.language, samples)
    by_length = {
        group.name: {
            "sentences": group.sentences,
            "source_characters": list(group.characters),
            "scores": scores_as_json(group.scores),
        }
        for group in groups
    }
    return {
        "scores": scores_as_json(evaluation.scores),
        "by_length": by_length,
        "repetition": repetition_as_json(evaluation.repetition).get("repetition", {}),
        "preservation": preservation_as_json(evaluation.preservation),
    }


def _sentences(tested: Tested) -> dict[str, list[dict[str, Any]]]:
    """The worst translations by chrF, and some that are spread evenly."""
    scores = score_sentences(tested.translations, tested.references)
    rows: list[dict[str, Any]] = [
        {"source": source, "reference": reference, "translation": translation, "chrf": score}
        for source, reference, translation, score in zip(*tested[:3], scores, strict=True)
    ]
    count = min(EXAMPLES, len(rows))
    return {
        "worst": sorted(rows, key=lambda row: row["chrf"])[:WORST],
        "examples": [rows[index * len(rows) // count] for index in range(count)],
    }


def _attention(translator: Translator, sources: Sequence[str]) -> Iterator[dict[str, Any]]:
    fitting = [source for source in sources if len(source) in _FITTING] or list(sources)
    count = min(ATTENTION, len(fitting))
    for hypotheses in translator.hypotheses([fitting[index * len(fitting) // count] for index in range(count)]):
        if hypotheses and (attention := hypotheses[0].attention) is not None:
            yield {
                "source": hypotheses[0].source_pieces,
                "target": hypotheses[0].target_pieces,
                "weights": [[round(float(weight), 3) for weight in row] for row in attention],
            }


def _settings(config: Config) -> dict[str, dict[str, Any]]:
    """Every setting but those of the corpus, its default, and what it is."""
    settings: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    reasons: dict[str, Any] = {}
    for group in _GROUPS:
        values = getattr(config, group)
        settings |= flat({group: values.model_dump(mode="json")})
        defaults |= flat({group: type(values)().model_dump(mode="json")})
        reasons |= {f"{group}.{name}": field.description or "" for name, field in type(values).model_fields.items()}
    return {"settings": settings, "defaults": defaults, "reasons": reasons}


def _choices(description: dict[str, Any], processes: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What was decided by measuring, a sentence each."""
    validations = description["validations"]
    best = [line for line in validations if line.get("best") and "bleu" in line]
    if best:
        yield (
            f"The best of {len(validations)} validations is that of step {best[-1]['step']:,}, with BLEU "
            f"{best[-1]['bleu']:.2f}; its weights are the checkpoint `best`."
        )
    for process in processes[-1:]:
        xla = process.get("xla", {})
        if "extent" in xla:
            yield f"XLA compiled `{xla['extent']}` of a training step."
    if chosen := description["tuning"].get("chosen"):
        settings = ", ".join(f"{name} {value}" for name, value in chosen.items())
        yield f"The search was tuned on the validation split: {settings}."


def _versions(processes: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Those of the process that trained last."""
    if not processes:
        return {}
    last = processes[-1]
    found = {"nmt": last.get("nmt", ""), "python": last.get("python", ""), **last.get("versions", {})}
    found |= {"machine": last.get("machine", ""), "devices": ", ".join(last.get("devices", []))}
    return {name: str(value) for name, value in found.items() if value}


def _tuning(folder: RunFolder) -> dict[str, Any]:
    try:
        tuning = json.loads(folder.tuning.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.tuning}: is damaged: {error}; move it away to do without") from None
    if not isinstance(tuning, dict) or not isinstance(tuning.get("tried", []), list):
        raise UserError(f"{folder.tuning}: is damaged; move it away to do without")
    return tuning
