"""Prepares a corpus for training: cleaned text, tokenizers, token stores, the shapes of batches, and a report.

Everything is streamed, so a corpus may be larger than the memory. `report.json` is written last: a folder without it
is incomplete and is prepared again.
"""

import hashlib
import heapq
import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from nmt.config import Config
from nmt.config.file import flat
from nmt.constants import SIDES, SPLITS, Side, Split
from nmt.data.cleaning import CleaningReport, Pair, clean
from nmt.data.epochs import remove_epochs, training_epoch
from nmt.data.readers import read_split
from nmt.data.shapes import Shape, choose_shapes, padding_share, plan_epoch
from nmt.data.token_store import (
    TokenizedCorpus,
    check_ids,
    read_masked_sentences,
    read_sentences,
    text_path,
    write_stores,
)
from nmt.data.vocabulary import load_tokenizers, make_tokenizers
from nmt.text.placeholders import pattern
from nmt.text.truecaser import Truecaser, train_truecaser
from nmt.utils.digests import Digest, digest, has_seal, is_as_recorded, sealed
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.folders import names_in
from nmt.utils.progress import tracked

_LOG = logging.getLogger(__name__)

_WHOLE = "whole"  # the name of the training split's text before validation and test are taken from it
_READ_WHOLLY = 2**28  # bytes: a prepared file up to this size is read in a fraction of a second
_UNFINISHED = ".unfinished"  # the name of a file that is there while the folder is being filled
TRUECASER = "truecaser.json"  # how the source text writes its words
_TRUECASED = 100_000  # sentences to learn that from, at most; they take some seconds
_LARGEST_SHARE = 5  # at most every fifth sentence may be held out


def prepare(config: Config, folder: str | Path, *, owned: bool = False) -> dict[str, Any]:
    """Prepares a corpus for training, unless the folder already holds exactly this corpus.

    If the configuration names no validation or test split, `data.held_out` different source sentences are drawn for it
    by `seed`, and every pair with one of them is removed from training. The texts of a language model are pairs with
    an empty source; its held-out sentences are drawn by their targets.

    Args:
        config: the configuration; its `task`, `data`, `tokenizer`, `batches`, `seed` and `training.start_from` matter.
        folder: the folder to fill. It must be new, empty, or one that this function has filled or begun to fill.
        owned: whether the folder is known to be one to fill, whatever is in it.

    Returns:
        The report, with a SHA-256 of itself: the `settings`; size and SHA-256 of the `corpus_files` and of the
        prepared `files`; the `cleaning` report of each split; the number of `pairs` and `tokens` of each
        split; the sentences `held_out` for each split, and the number of pairs that `left_training` with them; the
        `overlap`, the number of sentences of validation and of test that training contains too; the number of training
        pairs that have each masked kind of `placeholders` on both sides; the `vocabulary` sizes; the number of training
        pairs `longer_than_max_length`, which are in the store but in no batch; and the `shapes`, the `padding_share`
        and the number of `batches` of the first epoch.

    Raises:
        UserError: if the corpus cannot be read or is too small for the settings, or the folder holds something else.

    Example:

    >>> import tempfile
    >>> from nmt.config import parse_config
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "pairs.tsv").write_text("".join(f"number {n}\\tZahl {n}\\n" for n in range(200)))
    >>> corpus = {"kind": "tsv", "train": [folder / "pairs.tsv"]}
    >>> data = {"source_language": "en", "target_language": "de", "held_out": 10, "corpus": corpus}
    >>> config = parse_config({"data": data, "tokenizer": {"vocabulary_size": 300}})
    >>> prepare(config, folder / "data")["pairs"]
    {'train': 180, 'validation': 10, 'test': 10}
    """
    folder = Path(folder)
    settings = preparation_settings(config)
    with suppress(UserError):  # a missing or damaged report is a reason to prepare again
        known = load_report(folder)
        if known["settings"] == settings and known.get("corpus_files") in (None, corpus_files(config)):
            check_complete(folder)
            with suppress(OSError):  # of a call that ended as soon as it had begun, or when all was done
                (folder / _UNFINISHED).unlink(missing_ok=True)
            return known
    report_path, unfinished = folder / "report.json", folder / _UNFINISHED
    names = names_in(folder)
    if names and not owned and not names & {report_path.name, _UNFINISHED}:
        raise UserError(f"{folder}: holds no prepared data and is not empty; choose a new one")
    with written_whole(unfinished):
        pass  # without the report, this says whose folder it is
    report_path.unlink(missing_ok=True)
    remove_epochs(folder)
    for side in SIDES:  # left by a preparation that failed
        text_path(folder, _WHOLE, side).unlink(missing_ok=True)

    cleaning: dict[Split, CleaningReport] = {}
    report: dict[str, Any] = {"settings": settings, "corpus_files": corpus_files(config)}
    report |= _write_texts(config, folder, cleaning)
    report["overlap"] = _overlap(folder, _identifying_side(config))
    report["placeholders"] = _count_placeholders(folder, config.tokenizer.placeholders)
    make_tokenizers(config, folder)
    tokenizers = load_tokenizers(folder, config.tokenizer.placeholders)
    if config.task == "translation":
        _train_truecaser(config, folder, report["pairs"]["train"])
    report["vocabulary"] = {side: tokenizer.vocabulary_size for side, tokenizer in zip(SIDES, tokenizers, strict=True)}
    _LOG.info("tokenizing")
    report["tokens"] = write_stores(folder, tokenizers)
    _LOG.info("choosing the shapes of batches")
    report |= _choose_shapes(config, folder)
    truecaser = [TRUECASER] if config.task == "translation" else []
    report["files"] = {name: digest(folder / name) for name in [*prepared_names(), *truecaser]}
    report = sealed(report)
    with written_whole(report_path) as file:
        json.dump(report, file, indent=2, ensure_ascii=False)
    unfinished.unlink()
    for split, counts in cleaning.items():
        counts.log(split)
    return report


def preparation_settings(config: Config) -> dict[str, Any]:
    """Returns the settings that the prepared data depends on, as plain values."""
    settings = config.model_dump(mode="json", include={"task", "data", "tokenizer", "batches", "seed"})
    if not config.data.noise.shares():
        del settings["data"]["noise"]  # as if there were no such settings, as once there were none
    if config.training.tokenizers_of is not None:
        settings["tokenizers_of"] = str(config.training.tokenizers_of)
    return settings


def check_complete(folder: str | Path) -> None:
    """Makes sure that a prepared folder can be trained on: no file is missing or damaged, and all ids are tokens.

    Of files above 256 MiB the size alone is compared; `nmt.runs.verification` reads them wholly.

    Args:
        folder: a prepared folder.

    Raises:
        UserError: naming the first file that is missing, is damaged, or has ids that are none of its tokens.
    """
    report = load_report(folder)
    for name in prepared_names(report):
        check_prepared(folder, name, report)
    for split in SPLITS:
        for side in SIDES:
            check_ids(folder, split, side, report["vocabulary"][side])


def check_prepared(folder: str | Path, name: str, report: dict[str, Any] | None = None) -> None:
    """Makes sure that a file of a prepared folder is as it was written; above 256 MiB, its size alone is compared.

    Args:
        folder: a prepared folder.
        name: the name of the file.
        report: the folder's report, if it has been read.

    Raises:
        UserError: if the file is missing or damaged.
    """
    path = Path(folder) / name
    if not path.is_file():
        raise UserError(f"{path}: does not exist; prepare the data first")
    expected = (report or load_report(folder)).get("files", {}).get(name)  # earlier versions wrote none
    if expected is not None and not is_as_recorded(path, expected, _READ_WHOLLY):
        size = path.stat().st_size
        raise UserError(
            f"{path}: is damaged: expected the {expected['size']} bytes that were written, got {size} others"
        )


def read_checked_sentences(folder: str | Path, split: Split, side: Side) -> Iterator[str]:
    """Reads the text of one side of a split, as `nmt.data.token_store.read_sentences`, if it is as it was written.

    Raises:
        UserError: if the file is missing or damaged.
    """
    check_prepared(folder, text_path(folder, split, side).name)
    return read_sentences(folder, split, side)


def prepared_names(report: Mapping[str, Any] | None = None) -> list[str]:
    """Returns the names of all files of a prepared folder, apart from its report.

    Args:
        report: the folder's report, which may name files that not every folder has.
    """
    ends = ("txt", "ids.npy", "offsets.npy")
    names = [
        *(f"{split}.{side}.{end}" for split in SPLITS for side in SIDES for end in ends),
        *(f"{side}.model" for side in SIDES),
    ]
    return list(dict.fromkeys([*names, *(report or {}).get("files", {})]))


def load_truecaser(folder: str | Path, config: Config) -> Truecaser | None:
    """Loads what is known of the case of a prepared folder's source text.

    Args:
        folder: a prepared folder.
        config: the settings by which it was prepared.

    Returns:
        None if an earlier version has prepared the folder.

    Raises:
        UserError: if the file is damaged, or missing though there was one.
    """
    path = Path(folder) / TRUECASER
    if not path.exists():
        report: dict[str, Any] = {}
        with suppress(UserError):  # a run translates without it
            report = load_report(folder)
        if TRUECASER in report.get("files", {}):
            raise UserError(f"{path}: does not exist; prepare the data first")
        return None
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        if not has_seal(written):
            raise ValueError
        return Truecaser.from_json(written["truecaser"], config.data.source_language or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path}: is damaged; expected what preparing the data has written") from None


def _train_truecaser(config: Config, folder: Path, pairs: int) -> None:
    """Counts how the source text, or an even sample of it, writes its words."""
    sentences = read_masked_sentences(folder, "train", "source", config.tokenizer.placeholders)
    sample = itertools.islice(sentences, 0, None, -(-pairs // _TRUECASED))
    truecaser = train_truecaser(sample, config.data.source_language or "")
    with written_whole(folder / TRUECASER) as file:
        json.dump(sealed({"truecaser": truecaser.to_json()}), file, ensure_ascii=False)


def load_report(folder: str | Path) -> dict[str, Any]:
    """Reads the report that `prepare` returned.

    Args:
        folder: a prepared folder.

    Raises:
        UserError: if the folder is not completely prepared.
    """
    path = Path(folder) / "report.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if not _is_report(report):
            raise ValueError
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist; prepare the data first") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise UserError(f"{path}: is damaged; delete it and prepare the data again") from None
    return dict(report)


def _is_report(report: dict[str, Any]) -> bool:
    """Returns whether a report is as it was written, or if an earlier version wrote it, has what others read in it."""
    return (
        ("sha256" not in report or has_seal(report))
        and isinstance(report["settings"], dict)
        and all(len(shape) == 3 and all(type(size) is int and size > 0 for size in shape) for shape in report["shapes"])
        and all(type(report["vocabulary"][side]) is int for side in SIDES)
        and all({"size", "sha256"} <= one.keys() for one in report.get("files", {}).values())
    )


def load_shapes(folder: str | Path) -> list[Shape]:
    """Reads the shapes of a prepared folder's training batches.

    Args:
        folder: a prepared folder.

    Raises:
        UserError: if the folder is not completely prepared.
    """
    return [Shape(*shape) for shape in load_report(folder)["shapes"]]


def corpus_files(config: Config) -> dict[str, Digest]:
    """Returns the digest of each file of the corpus, so that one that was edited is prepared again."""
    found: dict[str, Digest] = {}
    for values in flat(config.data.corpus.model_dump(mode="json")).values():
        for name in values if isinstance(values, list) else [values]:
            if isinstance(name, str) and os.path.isfile(name):
                with suppress(UserError):  # the reader names files that cannot be read, if it still needs them
                    found[name] = digest(name)
    return found


def _write_texts(config: Config, folder: Path, cleaning: dict[Split, CleaningReport]) -> dict[str, Any]:
    """Cleans all splits into text files, adds how to `cleaning`, and returns their part of the report."""
    raw = {split: read_split(config.data, split) for split in SPLITS}  # a missing file is reported before the work
    missing = [split for split in SPLITS if raw[split] is None]
    pairs: dict[Split, int] = {}
    for split, rows in raw.items():
        if rows is None:
            continue
        _LOG.info("cleaning %s", split)
        counts = cleaning[split] = CleaningReport()
        target_only = config.task == "language_model"
        cleaned = clean(rows, config.data.cleaning, counts, training=split == "train", target_only=target_only)
        name = _WHOLE if missing and split == "train" else split
        pairs[split] = _write_pairs(folder, name, tracked(cleaned, f"cleaning {split}"))
        if not pairs[split]:
            dropped = ", ".join(f"{reason} {count}" for reason, count in counts.dropped.items() if count)
            raise UserError(f"data.corpus.{split}: no pair is left after cleaning ({dropped or 'it has none'})")
    whole = pairs["train"]
    if missing:
        _LOG.info("holding out %s", " and ".join(missing))
        pairs |= _hold_out(config, folder, missing)
    return {
        "cleaning": {split: counts.as_dict() for split, counts in cleaning.items()},
        "pairs": pairs,
        "held_out": dict.fromkeys(missing, config.data.held_out),
        "left_training": whole - pairs["train"],
    }


def _write_pairs(folder: Path, split: str, pairs: Iterable[Pair]) -> int:
    """Writes the text of a split, and returns its number of pairs."""
    count = 0
    source_path, target_path = (text_path(folder, split, side) for side in SIDES)
    with written_whole(source_path) as source_file, written_whole(target_path) as target_file:
        for source, target in pairs:
            count += 1
            source_file.write(source + "\n")
            target_file.write(target + "\n")
    return count


def _count_placeholders(folder: Path, kinds: Sequence[str]) -> dict[str, int]:
    """Counts the training pairs that have each kind of placeholders on both sides."""
    patterns = {kind: re.compile(pattern([kind])) for kind in kinds}
    counts = dict.fromkeys(kinds, 0)
    if patterns:
        for pair in zip(*(read_sentences(folder, "train", side) for side in SIDES), strict=True):
            for kind, expression in patterns.items():
                counts[kind] += all(map(expression.search, pair))
    return counts


def _hold_out(config: Config, folder: Path, missing: Sequence[Split]) -> dict[Split, int]:
    """Divides the whole corpus; each missing split gets the first pair of each sentence that is drawn for it."""
    chosen = _draw_held_out(config, folder, missing)
    side = SIDES.index(_identifying_side(config))
    counts: dict[Split, int] = dict.fromkeys([*missing, "train"], 0)
    seen: set[int] = set()
    with ExitStack() as open_files:
        files = {
            split: [open_files.enter_context(written_whole(text_path(folder, split, each))) for each in SIDES]
            for split in counts
        }
        for pair in zip(*(read_sentences(folder, _WHOLE, each) for each in SIDES), strict=True):
            key = _hash(pair[side], config.seed)
            split = chosen.get(key, "train")
            if split != "train":
                if key in seen:
                    continue
                seen.add(key)
            counts[split] += 1
            for file, text in zip(files[split], pair, strict=True):
                file.write(text + "\n")
    for each in SIDES:
        text_path(folder, _WHOLE, each).unlink()
    return counts


def _draw_held_out(config: Config, folder: Path, missing: Sequence[Split]) -> dict[int, Split]:
    """Draws the sentences of the missing splits from the whole corpus; returns the split of each, by its hash."""
    held_out, side = config.data.held_out, _identifying_side(config)
    wanted = held_out * len(missing)
    hashes = (_hash(sentence, config.seed) for sentence in read_sentences(folder, _WHOLE, side))
    drawn = _smallest_hashes(hashes, wanted * _LARGEST_SHARE)
    if len(drawn) < wanted * _LARGEST_SHARE:
        largest = len(drawn) // _LARGEST_SHARE // len(missing)
        name = " and ".join(f"data.corpus.{split}" for split in missing)
        advice = f"set data.held_out to at most {largest}, or {name}" if largest else f"set {name}"
        raise UserError(
            f"data.held_out {held_out} would take {wanted} of only {len(drawn)} different {side} sentences, "
            f"more than one in {_LARGEST_SHARE}: {advice}"
        )
    # Hashes are like random numbers, so the sentences with the smallest hashes are a random sample.
    return {key: missing[rank // held_out] for rank, key in enumerate(drawn[:wanted])}


def _identifying_side(config: Config) -> Side:
    """The side whose sentences must not occur both in training and in a held-out split."""
    return "target" if config.task == "language_model" else "source"


def _hash(text: str, seed: int) -> int:
    """Returns a number from 0 to 2^64 - 1 that is as good as random, but always the same."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=str(seed).encode()).digest(), "big")


def _smallest_hashes(hashes: Iterable[int], count: int) -> list[int]:
    """Returns the `count` smallest different hashes in ascending order, in memory for no more than these."""
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
    """Chooses the shapes of batches, and returns their part of the report."""
    best = TokenizedCorpus.open(folder, "train")
    first = training_epoch(folder, config, 0)
    limit = config.batches.max_length
    longer = int(((best.source_lengths > limit) | (best.target_lengths > limit)).sum())
    # The shapes must fit the segmentations of every epoch: a sampled one, and the best one that may replace it.
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
    """Counts the sentences of validation and of test whose text on one side occurs in training too."""
    texts = {split: Counter(read_sentences(folder, split, side)) for split in ("validation", "test")}
    common: set[str] = set()
    for line in read_sentences(folder, "train", side):
        if any(line in counts for counts in texts.values()):
            common.add(line)
    return {split: sum(counts[line] for line in common) for split, counts in texts.items()}
