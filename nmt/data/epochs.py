"""The training split as each epoch sees it: with `tokenizer.sampling`, in segmentations of its own."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sentencepiece

from nmt.config import Config
from nmt.constants import SIDES, Side
from nmt.data.token_store import Array, TokenizedCorpus, in_chunks, open_side, read_masked_lines, read_model, write_side

# SentencePiece has one random seed for the whole process, and a store must not go between its making and its opening.
_one_at_a_time = threading.RLock()


def training_epoch(folder: Path, config: Config, epoch: int) -> TokenizedCorpus:
    """Opens the training split as an epoch sees it.

    Without `tokenizer.sampling` that is always the same store. With it every epoch has a segmentation of its own, a
    pure function of `seed` and epoch, so that a killed training goes on exactly: it is drawn on first use and kept in
    `epoch-0003/` for a while.

    Args:
        folder: a prepared folder.
        config: of which `seed`, `tokenizer.sampling` and `batches.max_length` count.
        epoch: from 0.

    Returns:
        The epoch's corpus. A sentence whose drawn segmentation is longer than all unsampled ones keeps its best one,
        so whatever holds the best segmentations also holds these.
    """
    if config.tokenizer.sampling is None:
        return TokenizedCorpus.open(folder, "train")
    with _one_at_a_time:
        place = folder / f"epoch-{epoch:04}"
        if not place.is_dir():
            beside = folder / f".{place.name}.{socket.gethostname()}.{os.getpid()}.part"
            shutil.rmtree(beside, ignore_errors=True)
            _draw_epoch(folder, beside, config, epoch)
            try:
                os.replace(beside, place)
            except OSError:
                if not place.is_dir():
                    raise
                shutil.rmtree(beside)  # another worker of the training was faster, and drew the same
        corpus = TokenizedCorpus.open(place, "train")
        # Those close by may be in use: batches are made ahead of the step that is being trained.
        for other in folder.glob("epoch-*"):
            if abs(int(other.name.removeprefix("epoch-")) - epoch) > 2:
                shutil.rmtree(other, ignore_errors=True)
    return corpus


def _draw_epoch(folder: Path, place: Path, config: Config, epoch: int) -> None:
    best = TokenizedCorpus.open(folder, "train")
    limit = config.batches.max_length
    used = (best.source_lengths <= limit) & (best.target_lengths <= limit)
    for number, side in enumerate(SIDES):
        generator = np.random.default_rng([config.seed, epoch, number])
        _draw_side(folder, place, side, used=used, config=config, generator=generator)


def _draw_side(
    folder: Path, place: Path, side: Side, *, used: Array, config: Config, generator: np.random.Generator
) -> None:
    """Segments a side at random by the SentencePiece library, because TensorFlow Text's sampling takes no seed."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=read_model(folder, side))
    ids, offsets, lengths = open_side(folder, "train", side)
    longest = max(lengths[used], default=0)

    def chunks() -> Iterator[tuple[Array, Array]]:
        begin = 0
        for texts in in_chunks(read_masked_lines(folder, "train", side, config.tokenizer.placeholders)):
            # The library begins anew at its seed in each call; its threads would share the random numbers by chance.
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
