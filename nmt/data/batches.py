"""Batches of similar length in a few fixed shapes, in an order that only `seed` and epoch decide."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.config import BatchSettings, Config
from nmt.data.epochs import training_epoch
from nmt.data.shapes import Plan, Shape, choose_shapes, count_batches, plan_epoch
from nmt.data.token_store import Array, TokenizedCorpus

_EVALUATION_SHAPES = 4
_FIRST_COMPETENCE = 0.1
_PREFETCH = 8


class Position(NamedTuple):
    """A place in the endless sequence of training batches: the next batch to come, both counted from 0."""

    epoch: int
    batch: int


class Share(NamedTuple):
    """The replicas whose rows of each batch are read here: `replicas` of all `of` of them, from replica `first` on."""

    first: int
    replicas: int
    of: int


ALONE = Share(0, 1, 1)


def training_batches(
    folder: Path, config: Config, shapes: Sequence[Shape], position: Position, share: Share = ALONE
) -> tf.data.Dataset:
    """Gives training batches without end, from any place of the sequence on.

    Args:
        folder: a prepared folder.
        config: of which `seed`, `tokenizer`, `batches` and `training.curriculum_epochs` count.
        shapes: the folder's.
        position: the first batch to give. What comes before is not read.
        share: whose rows to give, by default all. The sequence of whole batches does not depend on it.

    Returns:
        A dataset of pairs `(source, target)`: int32 `[batch, source time]` and `[batch, target time]`, 0 is padding.
        With a share, each element holds one replica's rows: of the first batch one after the other, then of the next.
        Rows of zeros make them as many for each replica.

    Raises:
        UserError: naming the file of the folder that is missing or damaged.
    """
    # Opened here, what is wrong with it does not come as TensorFlow's error at the first batch.
    fixed = TokenizedCorpus.open(folder, "train")

    def epoch_of(epoch: int) -> tuple[TokenizedCorpus, Plan]:
        corpus = fixed if config.tokenizer.sampling is None else training_epoch(folder, config, epoch)
        lengths = corpus.source_lengths, corpus.target_lengths
        share = competence(epoch, config.training.curriculum_epochs)
        return corpus, plan_epoch(*lengths, shapes, config.seed, epoch, share)

    def batches() -> Iterator[tuple[Array, Array]]:
        epoch, first = position
        with ThreadPoolExecutor(max_workers=1) as ahead:
            upcoming = ahead.submit(epoch_of, epoch)
            while True:
                corpus, plan = upcoming.result()
                epoch += 1
                upcoming = ahead.submit(epoch_of, epoch)  # while the batches of this one are taken
                yield from _take(corpus, plan, shapes, first, share)
                first = 0

    # Said to be endless, replicas need not ask each other at every step whether there is more.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return _dataset(batches).apply(endless).prefetch(_PREFETCH)


def random_batches(shapes: Sequence[Shape], vocabulary: int, share: Share = ALONE) -> tf.data.Dataset:
    """Gives a full batch of random tokens of each shape, in their order: to compile a training step, or to time it.

    Args:
        shapes: of the batches.
        vocabulary: number of tokens, the same for both sides.
        share: as for `training_batches`.

    Returns:
        A dataset of elements as of `training_batches`.
    """

    def batches() -> Iterator[tuple[Array, Array]]:
        generator = np.random.default_rng(0)
        for shape in shapes:
            rows = -(-shape.sentences // share.of)
            for _ in range(share.replicas):
                # The least ids are marks, padding among them.
                source, target = (
                    generator.integers(vocabulary // 2, vocabulary, (rows, time)).astype(np.int32)
                    for time in (shape.source, shape.target)
                )
                yield source, target

    return _dataset(batches)


def evaluation_batches(corpus: TokenizedCorpus, settings: BatchSettings) -> tf.data.Dataset:
    """Gives every sentence of a corpus once, however long, sorted by length, in a few shapes of its own.

    Args:
        corpus: a validation or test split.
        settings: for `tokens`.

    Returns:
        A finite dataset of elements as of `training_batches`. Rows of zeros fill the last batch.
    """
    lengths = corpus.source_lengths, corpus.target_lengths
    longest = int(max(side.max() for side in lengths))
    settings = settings.model_copy(update={"max_length": longest, "shapes": min(settings.shapes, _EVALUATION_SHAPES)})
    shapes = choose_shapes(*lengths, settings)
    plan = plan_epoch(*lengths, shapes, seed=None)
    return _dataset(lambda: _take(corpus, plan, shapes, 0, ALONE)).prefetch(_PREFETCH)


def competence(epoch: int, curriculum_epochs: int) -> float:
    """The share of the training's sentences, the shortest of them, that an epoch is made of.

    It is the competence that rises with the square root of time t over T epochs (Platanios et al. 2019), here from
    c0 = 0.1, and a sentence's difficulty is its rank by length:

        c(t) = min(1, sqrt(c0^2 + (1 - c0^2) t / T))

    Args:
        epoch: t, from 0.
        curriculum_epochs: T; 0 is without a curriculum.

    Example:

    >>> [round(competence(epoch, 4), 3) for epoch in range(6)]
    [0.1, 0.507, 0.711, 0.867, 1.0, 1.0]
    """
    if epoch >= curriculum_epochs:
        return 1.0
    return math.sqrt(_FIRST_COMPETENCE**2 + (1 - _FIRST_COMPETENCE**2) * epoch / curriculum_epochs)


def batches_in_epoch(folder: Path, config: Config, shapes: Sequence[Shape], epoch: int) -> int:
    """Counts the batches of a training epoch. Epochs may differ with `tokenizer.sampling`, and in a curriculum."""
    corpus = training_epoch(folder, config, epoch)
    share = competence(epoch, config.training.curriculum_epochs)
    return count_batches(corpus.source_lengths, corpus.target_lengths, shapes, share)


def advance(position: Position, batches: int, folder: Path, config: Config, shapes: Sequence[Shape]) -> Position:
    """Tells where training is after some more batches.

    Args:
        position: where they began.
        batches: how many were taken.
        folder: as for `training_batches`, and so the others.
        config: of which the same counts.
        shapes: the folder's.
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
