"""Batches of similar length in a few fixed shapes, in an order that depends on the seed and the epoch alone."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.config import BatchSettings, Config
from nmt.data.epochs import is_drawn, training_epoch
from nmt.data.shapes import Plan, Shape, choose_shapes, count_batches, plan_epoch
from nmt.data.token_store import Array, TokenizedCorpus

_EVALUATION_SHAPES = 4
_PREFETCH = 8


class Position(NamedTuple):
    """A place in the endless sequence of training batches.

    Attributes:
        epoch: int, the epoch of the next batch, counted from 0.
        batch: int, the index of the next batch in its epoch, counted from 0.
    """

    epoch: int
    batch: int


class Share(NamedTuple):
    """The replicas that this process feeds, when each batch is divided among several replicas.

    Attributes:
        first: int, the index of the first replica.
        replicas: int, the number of replicas.
        of: int, the number of replicas of all processes.
    """

    first: int
    replicas: int
    of: int


ALONE = Share(0, 1, 1)


def training_batches(
    folder: str | Path, config: Config, shapes: Sequence[Shape], position: Position, share: Share = ALONE
) -> tf.data.Dataset:
    """Returns an endless dataset of training batches, which may begin anywhere in their sequence.

    Args:
        folder: a prepared folder.
        config: the configuration; its `seed`, `tokenizer` and `batches` matter.
        shapes: the shapes of batches that were chosen for the folder.
        position: the first batch. The batches before it are not read.
        share: the replicas to read for; by default a single one. The sequence of whole batches does not depend on it.

    Returns:
        A dataset of pairs `(source, target)`: int32 `[batch, source time]` and `[batch, target time]`, 0 is padding.
        With a `share`, an element has the rows of one replica: first those of each replica in the first batch, then
        those in the second batch, and so on. Rows of zeros make the numbers of rows equal.

    Raises:
        UserError: if a file of the folder is missing or damaged.

    Example:

    >>> import tempfile
    >>> from nmt.config import parse_config
    >>> from nmt.data.token_store import growing_side
    >>> folder = tempfile.mkdtemp()
    >>> for side in ("source", "target"):
    ...     with growing_side(folder, "train", side, vocabulary_size=300) as append:
    ...         append(np.array([5, 6, 3, 7, 3]), np.array([3, 2]))
    >>> corpus = {"kind": "tsv", "train": ["pairs.tsv"]}
    >>> config = parse_config({"data": {"source_language": "en", "target_language": "de", "corpus": corpus}})
    >>> dataset = training_batches(folder, config, [Shape(sentences=2, source=3, target=3)], Position(0, 0))
    >>> source, target = next(iter(dataset))
    >>> sorted(source.numpy().tolist())
    [[5, 6, 3], [7, 3, 0]]
    """
    # Opened here, so that an error in it is not wrapped in TensorFlow's error at the first batch.
    fixed = TokenizedCorpus.open(folder, "train")

    def epoch_of(epoch: int) -> tuple[TokenizedCorpus, Plan]:
        corpus = training_epoch(folder, config, epoch) if is_drawn(config) else fixed
        lengths = corpus.source_lengths, corpus.target_lengths
        return corpus, plan_epoch(*lengths, shapes, config.seed, epoch)

    def batches() -> Iterator[tuple[Array, Array]]:
        epoch, first = position
        with ThreadPoolExecutor(max_workers=1) as ahead:
            upcoming = ahead.submit(epoch_of, epoch)
            while True:
                corpus, plan = upcoming.result()
                epoch += 1
                upcoming = ahead.submit(epoch_of, epoch)  # while this epoch is being read
                yield from _take(corpus, plan, shapes, first, share)
                first = 0

    # If the dataset were not declared infinite, replicas would ask each other at every step whether it goes on.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return _dataset(batches).apply(endless).prefetch(_PREFETCH)


def random_batches(shapes: Sequence[Shape], vocabulary_size: int, share: Share = ALONE) -> tf.data.Dataset:
    """Returns a full batch of random tokens for each shape, for compiling or timing a training step.

    Args:
        shapes: the shapes of the batches, in their order.
        vocabulary_size: int, the number of tokens of both sides.
        share: as for `training_batches`.

    Returns:
        A dataset of pairs as for `training_batches`, one batch for each shape.

    Example:

    >>> [(source, target)] = random_batches([Shape(sentences=2, source=3, target=4)], vocabulary_size=300)
    >>> source.shape, target.shape
    (TensorShape([2, 3]), TensorShape([2, 4]))
    """

    def batches() -> Iterator[tuple[Array, Array]]:
        generator = np.random.default_rng(0)
        for shape in shapes:
            rows = -(-shape.sentences // share.of)
            for _ in range(share.replicas):
                # The lowest ids are padding and other special tokens.
                source, target = (
                    generator.integers(vocabulary_size // 2, vocabulary_size, (rows, time)).astype(np.int32)
                    for time in (shape.source, shape.target)
                )
                yield source, target

    return _dataset(batches)


def evaluation_batches(corpus: TokenizedCorpus, settings: BatchSettings) -> tf.data.Dataset:
    """Returns every sentence of a corpus once, sorted by length, in a few shapes chosen for this corpus.

    Args:
        corpus: a validation or test split.
        settings: the settings of batches; its `tokens` and `shapes` matter, but not its `max_length`.

    Returns:
        A finite dataset of pairs as for `training_batches`. Rows of zeros fill the last batch.

    Example:

    >>> ids, offsets, lengths = np.array([5, 6, 3, 7, 3]), np.array([0, 3, 5]), np.array([3, 2])
    >>> corpus = TokenizedCorpus(ids, offsets, lengths, ids, offsets, lengths)
    >>> [(source, target)] = evaluation_batches(corpus, BatchSettings())
    >>> source.numpy().tolist()
    [[7, 3, 0], [5, 6, 3]]
    """
    lengths = corpus.source_lengths, corpus.target_lengths
    longest = int(max(side.max() for side in lengths))
    settings = settings.model_copy(update={"max_length": longest, "shapes": min(settings.shapes, _EVALUATION_SHAPES)})
    shapes = choose_shapes(*lengths, settings)
    plan = plan_epoch(*lengths, shapes, seed=None)
    return _dataset(lambda: _take(corpus, plan, shapes, 0, ALONE)).prefetch(_PREFETCH)


def batches_in_epoch(folder: str | Path, config: Config, shapes: Sequence[Shape], epoch: int) -> int:
    """Counts the batches of a training epoch, which differ between epochs if these are drawn; see `training_epoch`."""
    corpus = training_epoch(folder, config, epoch)
    return count_batches(corpus.source_lengths, corpus.target_lengths, shapes)


def advance(position: Position, batches: int, folder: str | Path, config: Config, shapes: Sequence[Shape]) -> Position:
    """Returns the position in the sequence of training batches after some more batches.

    Args:
        position: the position before these batches.
        batches: int, the number of batches.
        folder: a prepared folder.
        config: the configuration, as for `training_batches`.
        shapes: the shapes of batches that were chosen for the folder.
    """
    epoch, batch = position.epoch, position.batch + batches
    while batch >= (count := batches_in_epoch(folder, config, shapes, epoch)):
        epoch, batch = epoch + 1, batch - count
    return Position(epoch, batch)


def _dataset(batches: Callable[[], Iterator[tuple[Array, Array]]]) -> tf.data.Dataset:
    ids = tf.TensorSpec([None, None], tf.int32)
    return tf.data.Dataset.from_generator(batches, output_signature=(ids, ids))


def _take(
    corpus: TokenizedCorpus, plan: Plan, shapes: Sequence[Shape], first: int, share: Share
) -> Iterator[tuple[Array, Array]]:
    for begin, end, kind in zip(plan.begin[first:], plan.end[first:], plan.shape[first:], strict=True):
        sentences, source_width, target_width = shapes[kind]
        rows = -(-sentences // share.of)
        for replica in range(share.first, share.first + share.replicas):
            indices = plan.order[begin:end][replica * rows : (replica + 1) * rows]
            source, target = corpus.gather(indices, source_width, target_width)
            if empty := rows - len(indices):
                source, target = (np.pad(side, ((0, empty), (0, 0))) for side in (source, target))
            yield source, target
