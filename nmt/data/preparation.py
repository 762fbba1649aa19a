"""From a corpus to a prepared folder: cleaned text, tokenizers, token stores, batch shapes and a report.

Everything streams, so a corpus may be larger than the memory. `report.json` is written last: a folder without it is
not complete and is prepared anew.
"""

import hashlib
import heapq
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nmt.config import Config
from nmt.constants import SIDES, SPLITS, Side, Split
from nmt.data.cleaning import CleaningReport, Pair, clean
from nmt.data.epochs import training_epoch
from nmt.data.readers import read_split
from nmt.data.shapes import Shape, choose_shapes, padding_share, plan_epoch
from nmt.data.token_store import TokenizedCorpus, in_chunks, read_lines, read_model, text_path, write_store
from nmt.data.vocabulary import make_tokenizers
from nmt.text.tokenizer import Tokenizer, normalize
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.progress import tracked

Progress = Callable[[str], None]

_WHOLE = "whole"  # the corpus before validation and test are taken from it
_LARGEST_SHARE = 5  # held-out sentences may be at most one in so many


def prepare(config: Config, folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Prepares a corpus for training, unless the folder holds just this already.

    Where the configuration names no validation or test split, `data.held_out` different source sentences are drawn
    for it by `seed`; every pair with one of them leaves training. A language model's texts are pairs of an empty
    source and a target; its held-out sentences are drawn by their targets.

    Args:
        config: of which `task`, `data`, `tokenizer`, `batches` and `seed` count, and the run that
            training starts from, if its tokenizers are to be taken.
        folder: is made if needed.
        progress: is called with a line for people at the start of each stage.

    Returns:
        The report: the `settings` it was made by; `cleaning` of each split; numbers of `pairs` and `tokens`; pairs
        `held_out`, and how many `left_training` with them; the `overlap`, source sentences (of a language model,
        texts) of validation and test that training has too; `vocabulary` sizes; training pairs
        `longer_than_max_length`, which are in the store but in no
        batch; `shapes`, `padding_share` and number of `batches` of the first epoch.

    Raises:
        UserError: in one line, if the corpus cannot be read or is too small for what the settings ask of it.
    """
    tell = progress or (lambda line: None)
    settings = config.model_dump(mode="json", include={"task", "data", "tokenizer", "batches", "seed"})
    if config.training.tokenizers_of is not None:
        settings["tokenizers_of"] = str(config.training.tokenizers_of)
    with suppress(UserError):  # a missing or damaged report is one more reason to begin
        known = load_report(folder)
        if known["settings"] == settings:
            return known
    report_path = folder / "report.json"
    report_path.unlink(missing_ok=True)
    for drawn in folder.glob("*epoch-*"):
        shutil.rmtree(drawn)
    for left_by_failure in folder.glob(f"{_WHOLE}.*"):
        left_by_failure.unlink()

    report: dict[str, Any] = {"settings": settings} | _write_texts(config, folder, tell)
    report["overlap"] = _overlap(folder, _told_apart(config))
    make_tokenizers(config, folder, tell)
    tokenizers = load_tokenizers(folder, config.tokenizer.placeholders)
    report["vocabulary"] = {side: tokenizer.vocabulary_size for side, tokenizer in zip(SIDES, tokenizers, strict=True)}
    tell("tokenizing")
    report["tokens"] = {split: write_store(folder, split, tokenizers) for split in SPLITS}
    tell("choosing the shapes of batches")
    report |= _choose_shapes(config, folder)
    with written_whole(report_path) as file:
        json.dump(report, file, indent=2, ensure_ascii=False)
    return report


def load_report(folder: Path) -> dict[str, Any]:
    """Reads what `prepare` returned.

    Raises:
        UserError: if the folder is not completely prepared.
    """
    path = folder / "report.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if not {"settings", "shapes"} <= report.keys():
            raise ValueError
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist; prepare the data first") from None
    except (OSError, ValueError, AttributeError):
        raise UserError(f"{path}: is damaged; delete it and prepare the data again") from None
    return dict(report)


def load_shapes(folder: Path) -> list[Shape]:
    """Reads the shapes of a prepared folder's training batches."""
    return [Shape(*shape) for shape in load_report(folder)["shapes"]]


def load_tokenizers(folder: Path, placeholders: Sequence[str] = ()) -> tuple[Tokenizer, Tokenizer]:
    """Loads a prepared folder's tokenizers of source and target: the same object twice if the vocabulary is joint.

    Args:
        folder: a prepared folder.
        placeholders: `tokenizer.placeholders`, by which it was prepared.

    Raises:
        UserError: naming the file that is missing or damaged.
    """
    source, target = (read_model(folder, side) for side in SIDES)
    tokenizer = Tokenizer(source, str(folder / "source.model"), placeholders)
    return tokenizer, tokenizer if source == target else Tokenizer(target, str(folder / "target.model"), placeholders)


def _write_texts(config: Config, folder: Path, tell: Progress) -> dict[str, Any]:
    """Cleans all splits into text files and returns their part of the report."""
    raw = {split: read_split(config.data, split) for split in SPLITS}  # tells at once what is not there
    missing = [split for split in SPLITS if raw[split] is None]
    cleaning: dict[str, Any] = {}
    pairs: dict[Split, int] = {}
    for split, rows in raw.items():
        if rows is None:
            continue
        tell(f"cleaning {split}")
        counts = CleaningReport()
        target_only = config.task == "language_model"
        cleaned = clean(rows, config.data.cleaning, counts, training=split == "train", target_only=target_only)
        pairs[split] = _write_pairs(folder, _WHOLE if missing and split == "train" else split, cleaned)
        cleaning[split] = counts.as_dict()
        if not pairs[split]:
            dropped = ", ".join(f"{reason} {count}" for reason, count in cleaning[split]["dropped"].items() if count)
            raise UserError(f"data.corpus.{split}: no pair is left after cleaning ({dropped or 'it has none'})")
    whole = pairs["train"]
    if missing:
        tell(f"holding out {' and '.join(missing)}")
        pairs |= _hold_out(config, folder, missing)
    return {
        "cleaning": cleaning,
        "pairs": pairs,
        "held_out": dict.fromkeys(missing, config.data.held_out),
        "left_training": whole - pairs["train"],
    }


def _write_pairs(folder: Path, split: str, pairs: Iterable[Pair]) -> int:
    """Writes a split's text and returns its number of pairs."""
    count = 0
    with (
        written_whole(text_path(folder, split, "source"), "wb") as source,
        written_whole(text_path(folder, split, "target"), "wb") as target,
    ):
        for chunk in in_chunks(tracked(pairs, f"cleaning {split}")):
            count += len(chunk)
            for file, texts in zip((source, target), zip(*chunk, strict=True), strict=True):
                # The graph's own normalisation, so that the text is exactly what a translator will see.
                file.write(b"\n".join(normalize(tf.constant(texts)).numpy()) + b"\n")
    return count


def _hold_out(config: Config, folder: Path, missing: Sequence[Split]) -> dict[Split, int]:
    """Divides the whole corpus: each missing split gets its first pair for each of `held_out` drawn sentences."""
    wanted, side = config.data.held_out * len(missing), _told_apart(config)
    drawn = _smallest_hashes(
        (_hash(line, config.seed) for line in read_lines(folder, _WHOLE, side)), wanted * _LARGEST_SHARE
    )
    if len(drawn) < wanted * _LARGEST_SHARE:
        largest = len(drawn) // _LARGEST_SHARE // len(missing)
        name = " and ".join(f"data.corpus.{split}" for split in missing)
        advice = f"set data.held_out to at most {largest}, or {name}" if largest else f"set {name}"
        raise UserError(
            f"data.held_out {config.data.held_out} would take {wanted} of only {len(drawn)} different {side} "
            f"sentences, more than one in {_LARGEST_SHARE}: {advice}"
        )
    # The hashes are as good as random, so the smallest ones are a random choice.
    chosen: dict[int, Split] = {key: missing[rank // config.data.held_out] for rank, key in enumerate(drawn[:wanted])}
    counts: dict[Split, int] = dict.fromkeys([*missing, "train"], 0)
    seen: set[int] = set()
    with ExitStack() as open_files:
        files = {
            split: [open_files.enter_context(written_whole(text_path(folder, split, side))) for side in SIDES]
            for split in counts
        }
        for pair in zip(*(read_lines(folder, _WHOLE, side) for side in SIDES), strict=True):
            key = _hash(pair[SIDES.index(side)], config.seed)
            split = chosen.get(key, "train")
            if split != "train":
                if key in seen:
                    continue
                seen.add(key)
            counts[split] += 1
            for file, text in zip(files[split], pair, strict=True):
                file.write(text + "\n")
    for side in SIDES:
        text_path(folder, _WHOLE, side).unlink()
    return counts


def _told_apart(config: Config) -> Side:
    """The side by which sentences of training and of held-out splits are told apart."""
    return "target" if config.task == "language_model" else "source"


def _hash(text: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=str(seed).encode()).digest(), "big")


def _smallest_hashes(hashes: Iterable[int], count: int) -> list[int]:
    """Returns the smallest different hashes in ascending order: at most `count`, in memory for no more."""
    kept: set[int] = set()
    largest_first: list[int] = []
    for key in hashes:
        if (len(kept) == count and key >= -largest_first[0]) or key in kept:
            continue
        kept.add(key)
        if len(kept) > count:
            kept.remove(-heapq.heappushpop(largest_first, -key))
        else:
            heapq.heappush(largest_first, -key)
    return sorted(kept)


def _choose_shapes(config: Config, folder: Path) -> dict[str, Any]:
    best = TokenizedCorpus.open(folder, "train")
    first = training_epoch(folder, config, 0)
    limit = config.batches.max_length
    longer = int(((best.source_lengths > limit) | (best.target_lengths > limit)).sum())
    # Shapes must hold every epoch's segmentation: a drawn one, and the best one where that replaces it.
    lengths = (
        np.maximum(best.source_lengths, first.source_lengths),
        np.maximum(best.target_lengths, first.target_lengths),
    )
    shapes = choose_shapes(*lengths, config.batches)
    plan = plan_epoch(first.source_lengths, first.target_lengths, shapes, config.seed)
    return {
        "longer_than_max_length": longer,
        "shapes": [list(shape) for shape in shapes],
        "padding_share": padding_share(plan, shapes, first.source_lengths, first.target_lengths),
        "batches": len(plan.begin),
    }


def _overlap(folder: Path, side: Side) -> dict[str, int]:
    """Counts the sentences of validation and test whose text on that side training has too."""
    texts = {split: Counter(read_lines(folder, split, side)) for split in ("validation", "test")}
    common: set[str] = set()
    for line in read_lines(folder, "train", side):
        if any(line in counts for counts in texts.values()):
            common.add(line)
    return {split: sum(counts[line] for line in common) for split, counts in texts.items()}
