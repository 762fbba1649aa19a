"""The token store: a corpus as flat arrays of ids on the disk, mapped into memory.

For each side of a split a folder holds `train.source.ids.npy`, all sentences one after the other, each closed by its
end mark; `train.source.offsets.npy`, where each begins (and, last, where all end); and `train.source.txt`, the
cleaned text, line N for sentence N.
"""

import itertools
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import sentencepiece
import tensorflow as tf

from nmt.config import Config
from nmt.data.readers import Split
from nmt.data.tokenizer import Tokenizer
from nmt.errors import UserError
from nmt.files import written_whole

Side = Literal["source", "target"]
SIDES: tuple[Side, ...] = get_args(Side)
CHUNK = 1024  # sentences that are worked on at once: constant memory, whatever the size of the corpus

Array = npt.NDArray[Any]
Item = TypeVar("Item")

# SentencePiece has one random seed for the whole process, and a store must not go between its making and its opening.
_one_at_a_time = threading.RLock()


@dataclass(frozen=True)
class TokenizedCorpus:
    """A split of a prepared corpus, its ids mapped from the disk.

    Args:
        source_ids: all sentences of the source side one after the other.
        source_offsets: int64 `[n + 1]`; sentence i is `source_ids[source_offsets[i]:source_offsets[i + 1]]`.
        source_lengths: int32 `[n]`, in tokens, the end mark included.
        target_ids: as for the source, and so on.
        target_offsets: as for the source.
        target_lengths: as for the source.
    """

    source_ids: Array
    source_offsets: Array
    source_lengths: Array
    target_ids: Array
    target_offsets: Array
    target_lengths: Array

    @classmethod
    def open(cls, folder: Path, split: Split) -> "TokenizedCorpus":
        """Maps the arrays that `write_store` wrote for a split.

        Raises:
            UserError: naming the file that is missing or damaged.
        """
        source, target = (_open_side(folder, split, side) for side in SIDES)
        if len(source[2]) != len(target[2]):
            name = folder / f"{split}.source.offsets.npy"
            raise UserError(f"{name}: has {len(source[2])} sentences, but the target side has {len(target[2])}")
        return cls(*source, *target)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def gather(self, indices: Array, source_width: int, target_width: int) -> tuple[Array, Array]:
        """Reads sentences as two padded arrays.

        Args:
            indices: int `[n]`, which sentences.
            source_width: positions of each row, at least the longest of these sentences.
            target_width: likewise.

        Returns:
            int32 `[n, source_width]` and `[n, target_width]`, zero where a sentence has ended.
        """
        return (
            _padded(self.source_ids, self.source_offsets, indices, source_width),
            _padded(self.target_ids, self.target_offsets, indices, target_width),
        )


def text_path(folder: Path, split: str, side: Side) -> Path:
    """Returns where a prepared folder keeps a split's cleaned text."""
    return folder / f"{split}.{side}.txt"


def read_model(folder: Path, side: Side) -> bytes:
    """Reads the side's tokenizer model, for `Tokenizer`; with a joint vocabulary both sides' are equal."""
    path = folder / f"{side}.model"
    try:
        return path.read_bytes()
    except OSError:
        raise UserError(f"{path}: does not exist; prepare the data first") from None


def read_lines(folder: Path, split: str, side: Side) -> Iterator[str]:
    """Reads a split's cleaned text, one sentence after the other.

    Raises:
        UserError: naming the file that is missing or damaged.
    """
    path = text_path(folder, split, side)
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n")
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist; prepare the data first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is damaged: {error}") from None


def write_store(folder: Path, split: Split, tokenizers: tuple[Tokenizer, Tokenizer]) -> dict[Side, int]:
    """Tokenizes a split's text files, which stand in the folder, with the same graph that translates later.

    Args:
        folder: a prepared folder.
        split: which of its splits.
        tokenizers: of source and target.

    Returns:
        The number of tokens of each side.
    """
    tokens: dict[Side, int] = {}
    for side, tokenizer in zip(SIDES, tokenizers, strict=True):
        lines = tf.data.TextLineDataset(str(text_path(folder, split, side))).batch(CHUNK)
        rows = lines.map(tokenizer.encode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)
        chunks = ((row.flat_values.numpy(), row.row_lengths().numpy()) for row in rows)
        tokens[side] = _write_side(folder, split, side, chunks, tokenizer.vocabulary_size)
    return tokens


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


def in_chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Gives lists of `CHUNK` items; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk


def _padded(ids: Array, offsets: Array, indices: Array, width: int) -> Array:
    starts = offsets[indices]
    lengths = offsets[np.asarray(indices) + 1] - starts
    if lengths.size and lengths.max() > width:
        raise ValueError(f"expected a width of at least {lengths.max()}, got {width}")
    places = np.arange(width)
    rows = ids.take(starts[:, None] + places, mode="clip").astype(np.int32)
    return np.where(places < lengths[:, None], rows, np.int32(0))


def _open_side(folder: Path, split: Split, side: Side) -> tuple[Array, Array, Array]:
    ids_path, offsets_path = folder / f"{split}.{side}.ids.npy", folder / f"{split}.{side}.offsets.npy"
    ids, offsets = _map(ids_path), _map(offsets_path)
    lengths = np.diff(offsets).astype(np.int32)
    if offsets.dtype != np.int64 or len(offsets) < 2 or offsets[0] != 0 or lengths.min() < 1:
        raise UserError(f"{offsets_path}: is damaged; delete the folder and prepare the data again")
    if offsets[-1] != len(ids):
        raise UserError(f"{ids_path}: is damaged: it has {len(ids)} tokens instead of {offsets[-1]}")
    return ids, offsets, lengths


def _map(path: Path) -> Array:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist; prepare the data first") from None
    except (OSError, ValueError, EOFError):
        raise UserError(f"{path}: is damaged; delete the folder and prepare the data again") from None
    return np.asarray(array)


def _write_side(
    folder: Path, split: Split, side: Side, chunks: Iterable[tuple[Array, Array]], vocabulary_size: int
) -> int:
    """Writes chunks of (flat ids, lengths) and returns the number of tokens."""
    dtype = np.uint16 if vocabulary_size <= 2**16 else np.int32
    total = 0
    with (
        _growing(folder / f"{split}.{side}.ids.npy", dtype) as append_ids,
        _growing(folder / f"{split}.{side}.offsets.npy", np.int64) as append_offsets,
    ):
        append_offsets(np.zeros(1, np.int64))
        for ids, lengths in chunks:
            append_ids(ids)
            append_offsets(total + np.cumsum(lengths, dtype=np.int64))
            total += len(ids)
    return total


@contextmanager
def _growing(path: Path, dtype: npt.DTypeLike) -> Iterator[Callable[[Array], None]]:
    """Opens an .npy file to which arrays are appended, so that the whole never has to fit into memory."""
    count = 0
    with written_whole(path, "wb") as file:

        def write_header() -> int:
            description = np.lib.format.dtype_to_descr(np.dtype(dtype))
            header = {"descr": description, "fortran_order": False, "shape": (count,)}
            np.lib.format.write_array_header_1_0(file, header)  # leaves room for a larger count
            return int(file.tell())

        def append(values: Array) -> None:
            nonlocal count
            file.write(values.astype(dtype).tobytes())
            count += len(values)

        begin = write_header()
        yield append
        file.seek(0)
        assert write_header() == begin, "the header of an .npy file has grown"


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
    ids, offsets, lengths = _open_side(folder, "train", side)
    longest = max(lengths[used], default=0)

    def chunks() -> Iterator[tuple[Array, Array]]:
        begin = 0
        for texts in in_chunks(read_lines(folder, "train", side)):
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

    _write_side(place, "train", side, chunks(), processor.get_piece_size())
