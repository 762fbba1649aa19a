"""The training split of each epoch: with `data.noise`, every epoch changes some of the text in another way, and with
`tokenizer.sampling` it splits the text into other subwords.
"""

import itertools
import logging
import os
import re
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from nmt.config import Config
from nmt.constants import SIDES, Side
from nmt.data.noise import Noise
from nmt.data.token_store import (
    Array,
    TokenizedCorpus,
    growing_side,
    in_chunks,
    open_side,
    read_masked_pairs,
    read_model,
)
from nmt.utils.digests import check_files, write_digests
from nmt.utils.errors import UserError
from nmt.utils.files import temporary_folder

DIGESTS = "digests.json"  # in the folder of an epoch

_LOG = logging.getLogger(__name__)

_EPOCH = re.compile(r"epoch-(\d{4,9})", re.ASCII)
# SentencePiece has one random seed for the whole process, and a store must not be deleted before it is opened.
_one_at_a_time = threading.RLock()


def training_epoch(folder: str | Path, config: Config, epoch: int) -> TokenizedCorpus:
    """Opens the training split of an epoch.

    Without `data.noise` and `tokenizer.sampling` it is always the same store. With the one, every epoch changes some of
    the texts; with the other, it samples a segmentation of its own (subword regularization, Kudo 2018). Both depend on
    `seed` and the epoch alone, so that a training that was killed continues exactly. The epoch is drawn on first use
    and kept in a folder such as `epoch-0003` for some epochs.

    Args:
        folder: a prepared folder.
        config: the configuration; its `seed`, `data.noise`, `tokenizer.sampling` and `batches.max_length` matter.
        epoch: int, counted from 0.

    Returns:
        The corpus of the epoch. A sentence whose sampled segmentation is longer than every best segmentation keeps its
        best one, and a pair that a change makes as long stays as it was, so batches that are wide enough for the best
        segmentations are wide enough for all.

    Raises:
        UserError: if a file of the folder is missing or damaged.
    """
    folder = Path(folder)
    if not is_drawn(config):
        return TokenizedCorpus.open(folder, "train")
    with _one_at_a_time:
        place = folder / f"epoch-{epoch:04}"
        _remove_damaged(place)
        if not place.is_dir():
            with temporary_folder(folder) as temporary:
                _draw_epoch(folder, temporary, config, epoch)
                try:
                    os.replace(temporary, place)
                except OSError:
                    if not place.is_dir():
                        raise  # else another worker was faster, and drew the same
        corpus = TokenizedCorpus.open(place, "train")
        # Epochs close by may be in use, because batches are read ahead of the step that is being trained.
        remove_epochs(folder, lambda other: abs(other - epoch) > 2)
    return corpus


def is_drawn(config: Config) -> bool:
    """Returns whether the training split differs between epochs."""
    return config.tokenizer.sampling is not None or bool(config.data.noise.shares())


def remove_epochs(folder: str | Path, chosen: Callable[[int], bool] = lambda epoch: True) -> None:
    """Deletes the segmentations that `training_epoch` has kept.

    Args:
        folder: a prepared folder.
        chosen: whether an epoch, counted from 0, is deleted.
    """
    for place in epoch_folders(folder):
        if chosen(int(place.name.rpartition("-")[2])) and not place.is_symlink():
            with suppress(OSError):
                _remove(place)


def epoch_folders(folder: str | Path) -> list[Path]:
    """Returns the folders of a prepared folder in which `training_epoch` keeps segmentations."""
    return sorted(place for place in Path(folder).glob("epoch-*") if _EPOCH.fullmatch(place.name))


def _draw_epoch(folder: Path, place: Path, config: Config, epoch: int) -> None:
    """Changes and segments the pairs of an epoch, and writes them to `place`."""
    best = TokenizedCorpus.open(folder, "train")
    limit = config.batches.max_length
    used = (best.source_lengths <= limit) & (best.target_lengths <= limit)
    sides = [
        _Side(folder, side, used, config, np.random.default_rng([config.seed, epoch, number]))
        for number, side in enumerate(SIDES)
    ]
    noise = Noise(config.data, config.seed, epoch) if config.data.noise.shares() else None
    with ExitStack() as files:
        appends = [
            files.enter_context(growing_side(place, "train", name, side.vocabulary_size))
            for name, side in zip(SIDES, sides, strict=True)
        ]
        begin = 0
        for pairs in in_chunks(read_masked_pairs(folder, "train", config.tokenizer.placeholders)):
            changed = {} if noise is None else noise.change(pairs)
            encoded = [side.encode_changed(changed, number) for number, side in enumerate(sides)]
            kept = encoded[0].keys() & encoded[1].keys()  # a pair that is too long on one side stays as it was
            for number, (side, append) in enumerate(zip(sides, appends, strict=True)):
                texts = [(changed[index] if index in kept else pair)[number] for index, pair in enumerate(pairs)]
                rows = side.segment(texts, begin, {index: encoded[number][index] for index in kept})
                append(np.concatenate(rows), np.array([len(row) for row in rows]))
            begin += len(pairs)
    write_digests(place, DIGESTS)


class _Side:
    """Segments the texts of one side by the SentencePiece library: TensorFlow Text's sampling takes no seed."""

    def __init__(self, folder: Path, side: Side, used: Array, config: Config, generator: np.random.Generator) -> None:
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=read_model(folder, side))
        self._ids, self._offsets, lengths = open_side(folder, "train", side)
        self._longest = max(lengths[used], default=0)
        self._sampling = config.tokenizer.sampling
        self._generator = generator
        self.vocabulary_size = self._processor.get_piece_size()

    def encode_changed(self, changed: dict[int, tuple[str, str]], number: int) -> dict[int, list[int]]:
        """The best segmentations of changed texts, the `number`th of each pair, without those that are too long."""
        rows = self._processor.encode([pair[number] for pair in changed.values()], add_eos=True)
        return {index: row for index, row in zip(changed, rows, strict=True) if len(row) <= self._longest}

    def segment(self, texts: list[str], begin: int, changed: dict[int, list[int]]) -> list[Any]:
        """Segments texts; with `tokenizer.sampling` at random, unless that is longer than all best segmentations.

        Args:
            texts: the texts.
            begin: the index of the first of them in the whole corpus.
            changed: the best segmentations of those that have changed, by their indices.
        """
        offsets = self._offsets[begin : begin + len(texts) + 1]
        best = [
            changed.get(index, self._ids[first:last]) for index, (first, last) in enumerate(itertools.pairwise(offsets))
        ]
        if self._sampling is None:
            return best
        # Each call starts again from the seed; several threads would share the random numbers in a random order.
        sentencepiece.set_random_generator_seed(int(self._generator.integers(2**31)))
        rows = self._processor.encode(
            texts, add_eos=True, enable_sampling=True, alpha=self._sampling, nbest_size=-1, num_threads=1
        )
        return [row if len(row) <= self._longest else best[number] for number, row in enumerate(rows)]


def _remove_damaged(place: Path) -> None:
    """Removes the segmentation of an epoch if it is damaged: the same can be drawn again."""
    if not place.is_dir():
        return
    try:
        check_files(place, DIGESTS)
        TokenizedCorpus.open(place, "train")
    except UserError as error:
        _LOG.warning("%s; the epoch is drawn again", error)
        _remove(place)


def _remove(place: Path) -> None:
    """Deletes a folder at once: if that fails, or the process is killed, the folder is still whole or already gone."""
    with temporary_folder(place.parent) as temporary:  # which is deleted when the block ends
        os.replace(place, temporary)
