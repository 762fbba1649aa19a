"""More training data out of what there is: pairs of which a model has translated one side.

* Back-translation (Sennrich et al. 2016): a model of the reverse direction gives text of the target language sources.
* Self-training (Zhang and Zong 2016; He et al. 2020): the model translates more text of the source language.
* Distillation (Kim and Rush 2016, section 3.2): the sources of the training split get the model's translations instead
  of people's, from which a smaller model learns more easily; or, of its n best, the one closest to people's
  (section 3.3).
"""

import gzip
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from nmt.config import CleaningSettings, load_config
from nmt.constants import SIDES, SPLITS, Side
from nmt.data.cleaning import CleaningReport, Pair, clean
from nmt.data.readers import RawPair, read_texts
from nmt.data.token_store import read_lines, text_path
from nmt.evaluation.metrics import bleu_tokenizer
from nmt.inference.translator import Hypothesis, Translator
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.translation import load_translator
from nmt.text.masking import mask
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.progress import tracked

Method = Literal["back-translation", "self-training", "distillation"]
Choice = Callable[[Sequence[Hypothesis], str], Hypothesis]

_PART = 10_000  # lines of a finished part, which is not translated again


class _Translated(NamedTuple):
    """A line, and its translation unless it is longer than what the model has seen in training."""

    text: str
    translation: str | None
    score: float


def augment(
    run: Path,
    method: Method,
    to: Path,
    monolingual: Sequence[Path] = (),
    *,
    closest: bool = False,
    keep: float = 1.0,
    tag: str = "",
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Writes pairs of lines and their translations: `source.txt`, `target.txt` and, once they are whole, `report.json`.

    Killed and called again with the same arguments, it goes on after the last ten thousand lines that were done.

    Args:
        run: a translator's run folder; for back-translation, one that translates from the target language.
        method: see the module.
        to: the folder to write; files end in `.gz` if one of `monolingual` does.
        monolingual: text files of the language that the run translates from; none for distillation, whose sources are
            the run's training split.
        closest: for distillation, whether the hypothesis of the beam that is closest to the reference, by sentence
            BLEU, is taken instead of the best.
        keep: share of the pairs to keep, those with the highest scores.
        tag: is put before each source, as a word of its own (Caswell et al. 2019).
        checkpoint: see `load_model`.
        overrides: see `load_translator`.

    Returns:
        The report: arguments, lines `read`, `dropped` by reason, `below_keep`, `pairs` written, and `corpus`, the
        value of `data.corpus` to train on these pairs and those that the run was trained on.

    Raises:
        UserError: if an argument or a file is wrong, `to` holds something else, or no pair is left.
    """
    folder, config = load_run_config(run, "translation")
    if bool(monolingual) == (method == "distillation"):
        expected = "no file: its sources are the run's training split" if monolingual else "a file to translate"
        raise UserError(f"nmt augment --method {method}: expected {expected}")
    if closest and method != "distillation":
        raise UserError("nmt augment --closest: expected --method distillation, which has references to be close to")
    if len(tag.splitlines()) > 1:
        raise UserError(f"nmt augment --tag: expected one line, got {tag!r}")
    if (to / "report.json").exists():
        raise UserError(f"{to}: holds augmented data already; choose another folder")
    asked = {
        "run": str(run),
        "method": method,
        "monolingual": [str(path) for path in monolingual],
        "closest": closest,
        "checkpoint": checkpoint,
        "settings": list(overrides),
    }
    rules = config.data.cleaning.model_copy(update={"drop_copies": True, "drop_duplicates": True})
    before, after = CleaningReport(), CleaningReport()
    lines = _to_translate(folder, monolingual, rules, before)
    n_best = load_config(folder.config, overrides).decoding.beam_size if closest else 1
    translator = load_translator(run, checkpoint, overrides, n_best)
    choose = _closest(config.data.target_language) if closest else _best
    parts = to / "parts"
    _begin(parts, asked)
    finished = _translate_parts(parts, tracked(lines, "translating"), translator, choose)

    turned = method == "back-translation"
    scores = np.array([score for _, score in _pairs(finished, turned, rules, after)])
    dropped = {reason: count + after.dropped[reason] for reason, count in before.dropped.items()}
    number = round(keep * len(scores))
    if not number:
        shown = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
        raise UserError(f"nmt augment: no pair is left of {sum(dropped.values()) + len(scores)} lines ({shown})")
    kept = np.zeros(len(scores), bool)
    kept[np.argsort(-scores, kind="stable")[:number]] = True
    suffix = ".txt.gz" if any(path.suffix == ".gz" for path in monolingual) else ".txt"
    files = {side: to / f"{side}{suffix}" for side in SIDES}
    best = (pair for (pair, _), wanted in zip(_pairs(finished, turned, rules), kept, strict=True) if wanted)
    _write(files, best, tag)
    report = asked | {
        "keep": keep,
        "tag": tag,
        "read": len(scores) + sum(dropped.values()),
        "dropped": dropped,
        "below_keep": len(scores) - number,
        "pairs": number,
        "corpus": _corpus(folder, turned, files),
    }
    with written_whole(to / "report.json") as file:
        json.dump(report, file, indent=2, ensure_ascii=False)
    shutil.rmtree(parts)
    return report


def _to_translate(
    run: RunFolder, monolingual: Sequence[Path], rules: CleaningSettings, report: CleaningReport
) -> Iterator[Pair]:
    """Lines, and their references where there are any."""
    if not monolingual:
        return map(Pair, *(read_lines(run.data, "train", side) for side in SIDES))
    lines = clean(read_texts(monolingual), rules, report, training=True, target_only=True)
    return (Pair(line.target, "") for line in lines)


def _begin(parts: Path, asked: dict[str, Any]) -> None:
    """Opens the folder of what is translated, or complains if it is of another call."""
    path, content = parts / "arguments.json", json.dumps(asked, indent=2)
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else content
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if before != content:
        raise UserError(f"{parts.parent}: was begun with other arguments ({path.name}); choose another folder")
    with written_whole(path) as file:
        file.write(content)


def _translate_parts(parts: Path, lines: Iterator[Pair], translator: Translator, choose: Choice) -> list[Path]:
    """Translates what is not translated yet, and returns the parts."""
    finished: list[Path] = []
    while chunk := list(itertools.islice(lines, _PART)):
        path = parts / f"{len(finished):06}.jsonl"
        if not path.exists():
            with written_whole(path) as file:
                rows = _translated(chunk, translator, choose)
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        finished.append(path)
    return finished


def _translated(lines: Sequence[Pair], translator: Translator, choose: Choice) -> Iterator[_Translated]:
    tokenizer = translator.text_to_text.source_tokenizer
    masked = mask(tokenizer.placeholders, tf.constant([text for text, _ in lines]))
    fit = (tokenizer.encode(masked.source).row_lengths() <= translator.text_to_text.max_tokens).numpy()
    translations = translator.translate(line.source for line, fits in zip(lines, fit, strict=True) if fits)
    for (text, reference), fits in zip(lines, fit, strict=True):
        hypotheses = next(translations) if fits else []
        chosen = choose(hypotheses, reference) if hypotheses else None
        yield _Translated(text, chosen and chosen.text, chosen.score if chosen else 0.0)


def _best(hypotheses: Sequence[Hypothesis], reference: str) -> Hypothesis:
    return hypotheses[0]


def _closest(language: str) -> Choice:
    """Chooses by sentence BLEU; of several alike, the one with the best score."""
    from sacrebleu.metrics import BLEU

    metric = BLEU(effective_order=True, tokenize=bleu_tokenizer(language))
    return lambda hypotheses, reference: max(
        hypotheses, key=lambda hypothesis: metric.sentence_score(hypothesis.text, [reference]).score
    )


def _pairs(
    parts: Sequence[Path], turned: bool, rules: CleaningSettings, report: CleaningReport | None = None
) -> Iterator[tuple[Pair, float]]:
    """The pairs that stay, their source first, with their scores."""
    report = report or CleaningReport()
    score = 0.0  # of the pair that is being cleaned

    def raw() -> Iterator[RawPair]:
        nonlocal score
        for path in parts:
            with open(path, encoding="utf-8", newline="\n") as file:
                for line in file:
                    text, translation, score = json.loads(line)
                    if translation is None:
                        report.drop("too_long", path.name)
                        continue
                    source, target = (translation, text) if turned else (text, translation)
                    yield RawPair(source.encode(), target.encode(), path.name)

    for pair in clean(raw(), rules, report, training=True):
        yield pair, score


def _write(files: dict[Side, Path], pairs: Iterator[Pair], tag: str) -> None:
    with ExitStack() as open_files:
        source, target = (open_files.enter_context(_packed(files[side])) for side in SIDES)
        for pair in pairs:
            source.write(f"{tag} {pair.source}\n".lstrip(" ").encode())
            target.write(f"{pair.target}\n".encode())


@contextmanager
def _packed(path: Path) -> Iterator[Any]:
    """A file to write, packed if its name says so; the same bytes for the same text."""
    with written_whole(path, "wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            yield packed


def _corpus(run: RunFolder, turned: bool, files: dict[Side, Path]) -> dict[str, Any]:
    """A text corpus of the run's own splits, cleaned and without what was held out, and the new pairs for training."""
    sides = dict(zip(SIDES, SIDES[::-1] if turned else SIDES, strict=True))
    paths: dict[str, Any] = {
        split: {side: [str(text_path(run.data, split, of_run))] for side, of_run in sides.items()} for split in SPLITS
    }
    for side, path in files.items():
        paths["train"][side].append(str(path))
    return {"kind": "text", **paths}
