"""The training split of each epoch: with `tokenizer.sampling`, every epoch splits the text into other subwords."""

import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import sentencepiece

from nmt.config import Config
from nmt.constants import SIDES, Side
from nmt.data.token_store import (
    Array,
    TokenizedCorpus,
    in_chunks,
    open_side,
    read_masked_sentences,
    read_model,
    write_side,
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

    Without `tokenizer.sampling` it is always the same store. With it, every epoch samples a segmentation of its own
    (subword regularization, Kudo 2018), which depends on `seed` and the epoch alone, so that a training that was
    killed continues exactly. The segmentation is drawn on first use and kept in a folder such as `epoch-0003` for some
    epochs.

    Args:
        folder: a prepared folder.
        config: the configuration; its `seed`, `tokenizer.sampling` and `batches.max_length` matter.
        epoch: int, counted from 0.

    Returns:
        The corpus of the epoch. A sentence whose sampled segmentation is longer than every best segmentation keeps its
        best one, so batches that are wide enough for the best segmentations are wide enough for the sampled ones.

    Raises:
        UserError: if a file of the folder is missing or damaged.
    """
    folder = Path(folder)
    if config.tokenizer.sampling is None:
        return TokenizedCorpus.open(folder, "train")
    with _one_at_a_time:
        place = folder / f"epoch-{epoch:04}"
        _remove_damaged(place)
        if not place.is_dir():
            with temporary_folder(folder) as beside:
                _draw_epoch(folder, beside, config, epoch)
                try:
                    os.replace(beside, place)
                except OSError:
                    if not place.is_dir():
                        raise  # else another worker was faster, and drew the same
        corpus = TokenizedCorpus.open(place, "train")
        # Epochs close by may be in use, because batches are read ahead of the step that is being trained.
        remove_epochs(folder, lambda other: abs(other - epoch) > 2)
    return corpus


def remove_epochs(folder: str | Path, chosen: Callable[[int], bool] = lambda epoch: True) -> None:
    """Deletes the segmentations that `training_epoch` has kept.

    Args:
        folder: a prepared folder.
        chosen: whether an epoch, counted from 0, is deleted.
    """
    for place in epoch_folders(folder):
        if chosen(int(place.name.rpartition("-")[2])) and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)


def epoch_folders(folder: str | Path) -> list[Path]:
    """Returns the folders of a prepared folder in which `training_epoch` keeps segmentations."""
    return sorted(place for place in Path(folder).glob("epoch-*") if _EPOCH.fullmatch(place.name))


def _draw_epoch(folder: Path, place: Path, config: Config, epoch: int) -> None:
    """Samples the segmentations of an epoch, and writes them to `place`."""
    best = TokenizedCorpus.open(folder, "train")
    limit = config.batches.max_length
    used = (best.source_lengths <= limit) & (best.target_lengths <= limit)
    for number, side in enumerate(SIDES):
        generator = np.random.default_rng([config.seed, epoch, number])
        _draw_side(folder, place, side, used=used, config=config, generator=generator)
    write_digests(place, DIGESTS)


def _remove_damaged(place: Path) -> None:
    """Removes the segmentation of an epoch if it is damaged: the same can be drawn again."""
    try:
        check_files(place, DIGESTS)
    except UserError as error:
        _LOG.warning("%s; the epoch is drawn again", error)
        shutil.rmtree(place)


def _draw_side(
    folder: Path, place: Path, side: Side, *, used: Array, config: Config, generator: np.random.Generator
) -> None:
    """Samples the segmentations of one side by the SentencePiece library: TensorFlow Text's sampling takes no seed."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=read_model(folder, side))
    ids, offsets, lengths = open_side(folder, "train", side)
    longest = max(lengths[used], default=0)

    def chunks() -> Iterator[tuple[Array, Array]]:
        begin = 0
        for texts in in_chunks(read_masked_sentences(folder, "train", side, config.tokenizer.placeholders)):
            # Each call starts again from the seed; several threads would share the random numbers in a random order.
            sentencepiece.set_random_generator_seed(int(generator.integers(2**31)))
            rows = processor.encode(
                texts, add_eos=True, enable_sampling=True, alpha=config.tokenizer.sampling, nbest_size=-1, num_threads=1
            )
            for number, row in enumerate(rows):
                if len(row) > longest:
                    rows[number] = ids[offsets[begin + number] : offsets[begin + number + 1]]
            yield np.concatenate(rows), np.array([len(row) for row in rows])
            begin += len(rows)

    write_side(place, "train", side, chunks(), processor.get_piece_size())
