"""The token store: a corpus as flat arrays of ids on the disk, mapped into memory.

For each side of a split a folder holds `train.source.ids.npy`, all sentences one after the other, each closed by its
end mark; `train.source.offsets.npy`, where each begins (and, last, where all end); and `train.source.txt`, the
cleaned text, line N for sentence N.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nmt.constants import SIDES, Side, Split
from nmt.text.masking import encode_pair, mask
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

CHUNK = 1024  # sentences that are worked on at once: constant memory, whatever the size of the corpus

Array = npt.NDArray[Any]
Item = TypeVar("Item")


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
        source, target = (open_side(folder, split, side) for side in SIDES)
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


def read_masked_lines(folder: Path, split: str, side: Side, placeholders: Sequence[str]) -> Iterator[str]:
    """Reads a split's cleaned text as it is tokenized.

    Args:
        folder: a prepared folder.
        split: which of its splits.
        side: of the pairs.
        placeholders: the kinds that are masked.

    Raises:
        UserError: naming the file that is missing or damaged.
    """
    if not placeholders:
        yield from read_lines(folder, split, side)
        return
    for pairs in in_chunks(zip(*(read_lines(folder, split, each) for each in SIDES), strict=True)):
        masked = mask(placeholders, *(tf.constant(texts) for texts in zip(*pairs, strict=True)))
        yield from (text.decode() for text in masked[SIDES.index(side)].numpy())


def write_store(folder: Path, split: Split, tokenizers: tuple[Tokenizer, Tokenizer]) -> dict[Side, int]:
    """Tokenizes a split's text files, which stand in the folder, with the same graph that translates later.

    Args:
        folder: a prepared folder.
        split: which of its splits.
        tokenizers: of source and target.

    Returns:
        The number of tokens of each side.
    """
    lines = tuple(tf.data.TextLineDataset(str(text_path(folder, split, side))) for side in SIDES)
    pairs = tf.data.Dataset.zip(lines).batch(CHUNK)
    tokens: dict[Side, int] = {}
    for number, (side, tokenizer) in enumerate(zip(SIDES, tokenizers, strict=True)):

        def encode(source: tf.Tensor, target: tf.Tensor, number: int = number) -> tf.RaggedTensor:
            return encode_pair(tokenizers, source, target)[number]

        rows = pairs.map(encode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)
        chunks = ((row.flat_values.numpy(), row.row_lengths().numpy()) for row in rows)
        tokens[side] = write_side(folder, split, side, chunks, tokenizer.vocabulary_size)
    return tokens


def in_chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Gives lists of `CHUNK` items; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk


def open_side(folder: Path, split: Split, side: Side) -> tuple[Array, Array, Array]:
    """Maps one side's ids, offsets and lengths, see `TokenizedCorpus`.

    Raises:
        UserError: naming the file that is missing or damaged.
    """
    ids_path, offsets_path = folder / f"{split}.{side}.ids.npy", folder / f"{split}.{side}.offsets.npy"
    ids, offsets = _map(ids_path), _map(offsets_path)
    lengths = np.diff(offsets).astype(np.int32)
    if offsets.dtype != np.int64 or len(offsets) < 2 or offsets[0] != 0 or lengths.min() < 1:
        raise UserError(f"{offsets_path}: is damaged; delete the folder and prepare the data again")
    if offsets[-1] != len(ids):
        raise UserError(f"{ids_path}: is damaged: it has {len(ids)} tokens instead of {offsets[-1]}")
    return ids, offsets, lengths


def write_side(
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


def _padded(ids: Array, offsets: Array, indices: Array, width: int) -> Array:
    starts = offsets[indices]
    lengths = offsets[np.asarray(indices) + 1] - starts
    if lengths.size and lengths.max() > width:
        raise ValueError(f"expected a width of at least {lengths.max()}, got {width}")
    places = np.arange(width)
    rows = ids.take(starts[:, None] + places, mode="clip").astype(np.int32)
    return np.where(places < lengths[:, None], rows, np.int32(0))


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
