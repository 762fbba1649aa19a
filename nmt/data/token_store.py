"""The token store: the ids of a corpus as flat arrays on the disk, mapped into memory.

A prepared folder holds for each side of each split: `train.source.txt`, the cleaned text, one sentence per line;
`train.source.ids.npy`, the ids of all sentences one after the other, each ended by the end token; and
`train.source.offsets.npy`, where each sentence begins, and last, where all of them end.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nmt.constants import PADDING, SIDES, SPLITS, Side, Split
from nmt.text.masking import encode_pair, mask
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.lines import read_text_lines

CHUNK = 1024  # sentences in memory at once, whatever the size of the corpus

Array = npt.NDArray[Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class TokenizedCorpus:
    """One split of a prepared corpus, its ids mapped from the disk.

    Attributes:
        source_ids: uint16 or int32 `[tokens]`, all source sentences one after the other.
        source_offsets: int64 `[n + 1]`; sentence i is `source_ids[source_offsets[i]:source_offsets[i + 1]]`.
        source_lengths: int32 `[n]`, the tokens of each source sentence, its end token included.
        target_ids: the same for the target sentences.
        target_offsets: the same for the target sentences.
        target_lengths: the same for the target sentences.

    Example:

    >>> ids, offsets, lengths = np.array([5, 6, 3, 7, 3]), np.array([0, 3, 5]), np.array([3, 2])
    >>> corpus = TokenizedCorpus(ids, offsets, lengths, ids, offsets, lengths)
    >>> source, target = corpus.gather(np.array([1, 0]), source_width=3, target_width=4)
    >>> source.tolist()
    [[7, 3, 0], [5, 6, 3]]
    """

    source_ids: Array
    source_offsets: Array
    source_lengths: Array
    target_ids: Array
    target_offsets: Array
    target_lengths: Array

    @classmethod
    def open(cls, folder: str | Path, split: Split) -> "TokenizedCorpus":
        """Opens a split that `write_stores` wrote.

        Args:
            folder: a prepared folder.
            split: `"train"`, `"validation"` or `"test"`.

        Raises:
            UserError: if a file is missing or damaged.
        """
        folder = Path(folder)
        source, target = (open_side(folder, split, side) for side in SIDES)
        if len(source[2]) != len(target[2]):
            name = folder / f"{split}.source.offsets.npy"
            raise UserError(f"{name}: has {len(source[2])} sentences, but the target side has {len(target[2])}")
        return cls(*source, *target)

    @classmethod
    def of_arrays(cls, source: npt.ArrayLike, target: npt.ArrayLike) -> "TokenizedCorpus":
        """Takes pairs from padded arrays, as `fit` takes them.

        Args:
            source: integers `[n, source time]`, token ids, then zeros.
            target: integers `[n, target time]`, token ids, then zeros.

        Raises:
            ValueError: if these are no two tables of ids with as many rows.

        Example:

        >>> TokenizedCorpus.of_arrays([[5, 6, 3], [7, 3, 0]], [[8, 3], [9, 3]]).source_lengths.tolist()
        [3, 2]
        """
        tables = [np.asarray(source), np.asarray(target)]
        if any(table.ndim != 2 or table.dtype.kind not in "iu" for table in tables) or len({*map(len, tables)}) != 1:
            got = " and ".join(f"{table.dtype} {list(table.shape)}" for table in tables)
            raise ValueError(f"expected integer ids `[n, source time]` and `[n, target time]`, got {got}")
        arrays: list[Array] = []
        for table in tables:
            lengths = np.count_nonzero(table, 1).astype(np.int32)
            arrays += [table[table != 0], np.cumsum([0, *lengths]), lengths]
        return cls(*arrays)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def gather(self, indices: Array, source_width: int, target_width: int) -> tuple[Array, Array]:
        """Reads sentence pairs as two padded arrays.

        Args:
            indices: integers `[n]`, the indices of the sentence pairs.
            source_width: int, the length of each source row; at least that of the longest source sentence.
            target_width: int, the same for the target.

        Returns:
            int32 `[n, source_width]` and int32 `[n, target_width]`, padded with zeros.
        """
        return (
            _padded(self.source_ids, self.source_offsets, indices, source_width),
            _padded(self.target_ids, self.target_offsets, indices, target_width),
        )


def text_path(folder: str | Path, split: str, side: Side) -> Path:
    """Returns the path of a split's cleaned text in a prepared folder."""
    return Path(folder) / f"{split}.{side}.txt"


def read_model(folder: str | Path, side: Side) -> bytes:
    """Reads the tokenizer model of one side, for `Tokenizer`. A joint vocabulary has equal models for both sides.

    Raises:
        UserError: if there is none.
    """
    path = Path(folder) / f"{side}.model"
    try:
        return path.read_bytes()
    except OSError:
        raise UserError(f"{path}: does not exist; prepare the data first") from None


def read_sentences(folder: str | Path, split: str, side: Side) -> Iterator[str]:
    """Reads the cleaned text of one side of a split, sentence by sentence.

    Raises:
        UserError: if the file is missing or damaged.
    """
    path = text_path(folder, split, side)
    if not path.exists():
        raise UserError(f"{path}: does not exist; prepare the data first")
    yield from read_text_lines(path)


def read_masked_pairs(folder: str | Path, split: str, placeholders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Reads the text of both sides of a split as it is tokenized, with its placeholders masked.

    Args:
        folder: a prepared folder.
        split: the name of the split.
        placeholders: the kinds of placeholders to mask; see `nmt.text.placeholders.pattern`.

    Raises:
        UserError: if a file is missing or damaged.
    """
    pairs = zip(*(read_sentences(folder, split, side) for side in SIDES), strict=True)
    if not placeholders:
        yield from pairs
        return
    for chunk in in_chunks(pairs):
        masked = mask(placeholders, *(tf.constant(texts) for texts in zip(*chunk, strict=True)))
        texts = ([text.decode() for text in side.numpy()] for side in (masked.source, masked.target))
        yield from zip(*texts, strict=True)


def read_masked_sentences(folder: str | Path, split: str, side: Side, placeholders: Sequence[str]) -> Iterator[str]:
    """Reads the text of one side of a split as it is tokenized, with its placeholders masked.

    Args:
        folder: a prepared folder.
        split: the name of the split.
        side: `"source"` or `"target"`.
        placeholders: the kinds of placeholders to mask, keys of `nmt.text.placeholders.KINDS`.

    Raises:
        UserError: if a file is missing or damaged.
    """
    if not placeholders:
        yield from read_sentences(folder, split, side)
        return
    # A target's placeholders are numbered by its source, so both sides are read.
    yield from (pair[SIDES.index(side)] for pair in read_masked_pairs(folder, split, placeholders))


def write_stores(folder: str | Path, tokenizers: tuple[Tokenizer, Tokenizer]) -> dict[Split, dict[Side, int]]:
    """Tokenizes the text of each split in a prepared folder, and writes its ids.

    Args:
        folder: a prepared folder.
        tokenizers: the tokenizers of the source and the target language.

    Returns:
        The number of tokens of each side of each split.
    """
    strings = tf.TensorSpec((None,), tf.string)

    @tf.function(input_signature=(strings, strings), autograph=False)  # traced once, for all splits
    def encode(source: tf.Tensor, target: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        return encode_pair(tokenizers, source, target, normalized=True)  # cleaning has normalised the text

    sizes = [tokenizer.vocabulary_size for tokenizer in tokenizers]
    return {split: _write_store(folder, split, encode, sizes) for split in SPLITS}


def _write_store(folder: str | Path, split: Split, encode: Any, vocabulary_sizes: Sequence[int]) -> dict[Side, int]:
    lines = tuple(tf.data.TextLineDataset(str(text_path(folder, split, side))) for side in SIDES)
    pairs = tf.data.Dataset.zip(lines).batch(CHUNK)
    tokens: dict[Side, int] = dict.fromkeys(SIDES, 0)
    with ExitStack() as files:
        append = {
            side: files.enter_context(growing_side(folder, split, side, size))
            for side, size in zip(SIDES, vocabulary_sizes, strict=True)
        }
        for rows in pairs.map(encode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2):
            for side, row in zip(SIDES, rows, strict=True):
                append[side](row.flat_values.numpy(), row.row_lengths().numpy())
                tokens[side] += len(row.flat_values)
    return tokens


def in_chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Divides items into lists of `CHUNK` items; the last list may be shorter."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk


def open_side(folder: str | Path, split: Split, side: Side) -> tuple[Array, Array, Array]:
    """Maps the ids, offsets and lengths of one side; see `TokenizedCorpus`.

    Raises:
        UserError: if a file is missing or damaged.
    """
    ids_path, offsets_path = (Path(folder) / f"{split}.{side}.{name}.npy" for name in ("ids", "offsets"))
    ids, offsets = _map(ids_path), _map(offsets_path)
    whole = offsets.dtype == np.int64 and len(offsets) > 1 and offsets[0] == 0
    if not whole or (offsets[1:] <= offsets[:-1]).any():  # differences may overflow
        raise UserError(f"{offsets_path}: is damaged; delete the folder and prepare the data again")
    if offsets[-1] != len(ids):
        raise UserError(f"{ids_path}: is damaged: it has {len(ids)} tokens instead of {offsets[-1]}")
    return ids, offsets, np.diff(offsets).astype(np.int32)


def check_ids(folder: str | Path, split: Split, side: Side, vocabulary_size: int) -> None:
    """Makes sure that the ids of one side are tokens of its vocabulary; reads all of them.

    Args:
        folder: where the files are.
        split: the name of the split.
        side: `"source"` or `"target"`.
        vocabulary_size: int, the number of tokens.

    Raises:
        UserError: if a file is missing or damaged, or an id is of padding or beyond the vocabulary.
    """
    ids = open_side(folder, split, side)[0]
    lowest, highest = int(ids.min()), int(ids.max())
    if lowest <= PADDING or highest >= vocabulary_size:
        raise UserError(
            f"{Path(folder) / f'{split}.{side}.ids.npy'}: is damaged: expected ids from {PADDING + 1} to "
            f"{vocabulary_size - 1}, got {lowest} to {highest}"
        )


@contextmanager
def growing_side(
    folder: str | Path, split: Split, side: Side, vocabulary_size: int
) -> Iterator[Callable[[Array, Array], None]]:
    """Opens the ids and offsets of one side for writing; the files appear when the block ends.

    Args:
        folder: where the files are written.
        split: the name of the split.
        side: `"source"` or `"target"`.
        vocabulary_size: int, which decides whether the ids are written as uint16 or int32.

    Yields:
        A function that appends ids `[tokens]`, sentence after sentence, and lengths `[sentences]`.
    """
    ids_path, offsets_path = (Path(folder) / f"{split}.{side}.{name}.npy" for name in ("ids", "offsets"))
    dtype = np.uint16 if vocabulary_size <= 2**16 else np.int32
    total = 0
    with _growing(ids_path, dtype) as append_ids, _growing(offsets_path, np.int64) as append_offsets:

        def append(ids: Array, lengths: Array) -> None:
            nonlocal total
            append_ids(ids)
            append_offsets(total + np.cumsum(lengths, dtype=np.int64))
            total += len(ids)

        append_offsets(np.zeros(1, np.int64))
        yield append


def _padded(ids: Array, offsets: Array, indices: Array, width: int) -> Array:
    """Returns the sentences at `indices` as int32 `[n, width]`, padded with zeros."""
    starts = offsets[indices]
    lengths = offsets[np.asarray(indices) + 1] - starts
    if lengths.size and lengths.max() > width:
        raise ValueError(f"expected a width of at least {lengths.max()}, got {width}")
    places = np.arange(width)
    rows = ids.take(starts[:, None] + places, mode="clip").astype(np.int32)
    return np.where(places < lengths[:, None], rows, np.int32(0))


def _map(path: Path) -> Array:
    """Maps a one-dimensional array of integers into memory."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist; prepare the data first") from None
    except Exception:  # NumPy reads the header as Python's code, whose parsers raise many errors
        raise UserError(f"{path}: is damaged; delete the folder and prepare the data again") from None
    return np.asarray(array)


@contextmanager
def _growing(path: Path, dtype: npt.DTypeLike) -> Iterator[Callable[[Array], None]]:
    """Opens an .npy file for appending arrays, so that the whole never has to fit into memory."""
    count = 0
    with written_whole(path, "wb") as file:

        def write_header() -> int:
            description = np.lib.format.dtype_to_descr(np.dtype(dtype))
            header = {"descr": description, "fortran_order": False, "shape": (count,)}
            np.lib.format.write_array_header_1_0(file, header)  # pads the header, which leaves room for a larger count
            return int(file.tell())

        def append(values: Array) -> None:
            nonlocal count
            file.write(values.astype(dtype).tobytes())
            count += len(values)

        begin = write_header()
        yield append
        file.seek(0)
        assert write_header() == begin, "the header of an .npy file has grown"
