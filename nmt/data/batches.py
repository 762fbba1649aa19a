"""Batches of similar length in a few fixed shapes, in an order that only `seed` and epoch decide.

XLA compiles a training step once for each shape of its inputs. So there are few shapes, chosen for the corpus such
that the least is padding, and every batch has one of them.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.config import BatchSettings, Config
from nmt.data.corpus import Array, TokenizedCorpus, training_epoch
from nmt.errors import UserError

_GRID = 64  # lengths of each side among which the widths of shapes are chosen; the time grows with its 4th power
_EVALUATION_SHAPES = 4
_PREFETCH = 8


class Shape(NamedTuple):
    """The size of a batch: so many sentences, each padded to these numbers of tokens."""

    sentences: int
    source: int
    target: int


class Plan(NamedTuple):
    """Which sentences make which batch of an epoch: batch b is `order[begin[b]:end[b]]`, padded to shape `shape[b]`.

    Attributes:
        order: int32, indices of sentences.
        begin: int64 `[batches]`.
        end: int64 `[batches]`.
        shape: int16 `[batches]`, indices of shapes.
    """

    order: Array
    begin: Array
    end: Array
    shape: Array


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


def choose_shapes(source_lengths: Array, target_lengths: Array, settings: BatchSettings) -> list[Shape]:
    """Chooses the shapes that need the least padding for a corpus.

    Each shape is at least as wide as the one before on both sides, so sentences that do not fill a batch of one shape
    fit into the next. Among such sequences of shapes the best one is found by dynamic programming.

    Args:
        source_lengths: int `[n]`, tokens of each sentence.
        target_lengths: likewise.
        settings: at most `settings.shapes` shapes of at most `settings.tokens` positions on the longer side.

    Returns:
        Shapes in ascending order. The last holds every sentence of up to `settings.max_length` tokens on both sides.

    Raises:
        UserError: if there is no such sentence.

    Example:

    >>> lengths = np.array([5] * 60 + [9] * 60)
    >>> choose_shapes(lengths, lengths, BatchSettings(tokens=180, shapes=2))
    [Shape(sentences=30, source=5, target=5), Shape(sentences=20, source=9, target=9)]
    """
    fit = (source_lengths <= settings.max_length) & (target_lengths <= settings.max_length)
    if not fit.any():
        raise UserError(f"no training pair has at most batches.max_length {settings.max_length} tokens on both sides")
    source_lengths, target_lengths = source_lengths[fit], target_lengths[fit]
    batches = np.maximum(source_lengths, target_lengths).sum() / settings.tokens
    count = max(1, min(settings.shapes, int(batches)))  # not more shapes than batches
    widths = _choose_widths(source_lengths, target_lengths, count)
    shapes = [Shape(max(1, settings.tokens // max(width)), *width) for width in widths]
    return _even(shapes, _narrowest(source_lengths, target_lengths, shapes))


def plan_epoch(
    source_lengths: Array, target_lengths: Array, shapes: Sequence[Shape], seed: int | None, epoch: int = 0
) -> Plan:
    """Puts every sentence that fits into a shape into exactly one batch.

    A sentence takes the narrowest shape that holds it, unless it is one of the few left over there after the last
    full batch: they join the next wider shape. Only the last batch of the widest shape may be partial.

    Args:
        source_lengths: int `[n]`, tokens of each sentence.
        target_lengths: likewise.
        shapes: from `choose_shapes`.
        seed: of the order of sentences and batches; None sorts by length instead.
        epoch: likewise.

    Returns:
        A pure function of the arguments.
    """
    narrowest = _narrowest(source_lengths, target_lengths, shapes)
    generator = np.random.default_rng([seed or 0, epoch])
    if seed is None:
        order = np.lexsort((target_lengths, source_lengths)).astype(np.int32)
    else:
        order = generator.permutation(np.arange(len(narrowest), dtype=np.int32))
    order = order[np.argsort(narrowest[order], kind="stable")]
    full, left = _full_batches(narrowest, shapes)
    # With sentences in the order of their shapes, those left over by one shape stand right before the next one's.
    shape = np.repeat(np.arange(len(shapes), dtype=np.int16), full)
    sizes = np.array([one.sentences for one in shapes])[shape]
    if left:
        shape, sizes = np.append(shape, np.int16(len(shapes) - 1)), np.append(sizes, left)
    end = np.cumsum(sizes)
    columns = [end - sizes, end, shape]
    if seed is not None:
        shuffled = generator.permutation(len(columns[0]))
        columns = [column[shuffled] for column in columns]
    return Plan(order, *columns)


def padding_share(plan: Plan, shapes: Sequence[Shape], source_lengths: Array, target_lengths: Array) -> float:
    """Returns the share of an epoch's positions, on both sides, that hold no token."""
    positions = np.array([shape.sentences * (shape.source + shape.target) for shape in shapes])[plan.shape].sum()
    planned = plan.order[: plan.end.max(initial=0)]
    tokens = source_lengths[planned].sum(dtype=np.int64) + target_lengths[planned].sum(dtype=np.int64)
    return float(1 - tokens / positions)


def training_batches(
    folder: Path, config: Config, shapes: Sequence[Shape], position: Position, share: Share = ALONE
) -> tf.data.Dataset:
    """Gives training batches without end, from any place of the sequence on.

    Args:
        folder: a prepared folder.
        config: of which `seed`, `tokenizer` and `batches` count.
        shapes: the folder's.
        position: the first batch to give. What comes before is not read.
        share: whose rows to give, by default all. The sequence of whole batches does not depend on it.

    Returns:
        A dataset of `{"source": int32 [batch, source time], "target": int32 [batch, target time]}`, padded with zeros.
        With a share, each element holds one replica's rows: of the first batch one after the other, then of the next.
        Rows of zeros make them as many for each replica.

    Raises:
        UserError: naming the file of the folder that is missing or damaged.
    """
    # Opened here, what is wrong with it does not come as TensorFlow's error at the first batch.
    fixed = TokenizedCorpus.open(folder, "train")

    def epoch_of(epoch: int) -> tuple[TokenizedCorpus, Plan]:
        corpus = fixed if config.tokenizer.sampling is None else training_epoch(folder, config, epoch)
        return corpus, plan_epoch(corpus.source_lengths, corpus.target_lengths, shapes, config.seed, epoch)

    def batches() -> Iterator[dict[str, Array]]:
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

    def batches() -> Iterator[dict[str, Array]]:
        generator = np.random.default_rng(0)
        for shape in shapes:
            rows = -(-shape.sentences // share.of)
            for _ in range(share.replicas):
                sides = {"source": (rows, shape.source), "target": (rows, shape.target)}
                # The least ids are marks, padding among them.
                yield {
                    side: generator.integers(vocabulary // 2, vocabulary, size).astype(np.int32)
                    for side, size in sides.items()
                }

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


def batches_in_epoch(folder: Path, config: Config, shapes: Sequence[Shape], epoch: int) -> int:
    """Counts the batches of a training epoch. With `tokenizer.sampling` epochs may differ."""
    corpus = training_epoch(folder, config, epoch)
    full, left = _full_batches(_narrowest(corpus.source_lengths, corpus.target_lengths, shapes), shapes)
    return sum(full) + (left > 0)


def advance(position: Position, batches: int, folder: Path, config: Config, shapes: Sequence[Shape]) -> Position:
    """Tells where training is after some more batches.

    Args:
        position: where they began.
        batches: how many were taken.
        folder: as for `training_batches`, and so the others.
        config: of which `seed`, `tokenizer` and `batches` count.
        shapes: the folder's.
    """
    epoch, batch = position.epoch, position.batch + batches
    while batch >= (count := batches_in_epoch(folder, config, shapes, epoch)):
        epoch, batch = epoch + 1, batch - count
    return Position(epoch, batch)


def _dataset(batches: Callable[[], Iterator[dict[str, Array]]]) -> tf.data.Dataset:
    ids = tf.TensorSpec([None, None], tf.int32)
    return tf.data.Dataset.from_generator(batches, output_signature={"source": ids, "target": ids})


def _take(
    corpus: TokenizedCorpus, plan: Plan, shapes: Sequence[Shape], first: int, share: Share
) -> Iterator[dict[str, Array]]:
    for begin, end, kind in zip(plan.begin[first:], plan.end[first:], plan.shape[first:], strict=True):
        sentences, source_width, target_width = shapes[kind]
        rows = -(-sentences // share.of)
        for replica in range(share.first, share.first + share.replicas):
            indices = plan.order[begin:end][replica * rows : (replica + 1) * rows]
            source, target = corpus.gather(indices, source_width, target_width)
            if empty := rows - len(indices):
                source, target = (np.pad(side, ((0, empty), (0, 0))) for side in (source, target))
            yield {"source": source, "target": target}


def _narrowest(source_lengths: Array, target_lengths: Array, shapes: Sequence[Shape]) -> Array:
    """Returns int8 `[n]`: the first shape that holds each sentence, `len(shapes)` where none does."""
    by_source = np.searchsorted([shape.source for shape in shapes], source_lengths).astype(np.int8)
    by_target = np.searchsorted([shape.target for shape in shapes], target_lengths).astype(np.int8)
    return np.maximum(by_source, by_target)


def _full_batches(narrowest: Array, shapes: Sequence[Shape]) -> tuple[list[int], int]:
    """Counts the full batches of each shape, when each passes what is left over to the next, and what remains."""
    full, left = [], 0
    for kind, shape in enumerate(shapes):
        batches, left = divmod(int((narrowest == kind).sum()) + left, shape.sentences)
        full.append(batches)
    return full, left


def _even(shapes: Sequence[Shape], narrowest: Array) -> list[Shape]:
    """Lowers the sentences of each shape so that its batches come out even and next to none are left over."""
    even: list[Shape] = []
    left = 0
    for kind, shape in enumerate(shapes):
        waiting = int((narrowest == kind).sum()) + left
        if not waiting:  # no sentence is of this shape
            continue
        batches = -(-waiting // shape.sentences)
        # The widest shape takes all that is left, so there an empty row is better than one more batch.
        sentences = -(-waiting // batches) if kind == len(shapes) - 1 else waiting // batches
        left = waiting % sentences
        even.append(shape._replace(sentences=sentences))
    return even


def _choose_widths(source_lengths: Array, target_lengths: Array, count: int) -> list[tuple[int, int]]:
    """Finds at most `count` nested (source, target) widths with the least sum of padded positions."""
    source_grid, target_grid = _grid(source_lengths), _grid(target_lengths)
    sentences = np.zeros((len(source_grid), len(target_grid)), np.int64)
    np.add.at(
        sentences, (np.searchsorted(source_grid, source_lengths), np.searchsorted(target_grid, target_lengths)), 1
    )
    held = sentences.cumsum(0).cumsum(1)  # [i, j]: sentences within source_grid[i] and target_grid[j]
    width = source_grid[:, None] + target_grid
    # least[i, j]: positions for all of held[i, j] if [i, j] is the widest of k shapes; below[i, j]: the next narrower.
    least = width * held
    chain: list[Array] = []
    for _ in range(count - 1):
        longer, below = least.copy(), np.zeros(least.shape, np.int64)
        for i, j in np.ndindex(least.shape):
            cost = least[: i + 1, : j + 1] + width[i, j] * (held[i, j] - held[: i + 1, : j + 1])
            row, column = divmod(int(cost.argmin()), j + 1)
            longer[i, j], below[i, j] = cost[row, column], row * len(target_grid) + column
        least = longer
        chain.append(below)
    places = [least.size - 1]
    for below in reversed(chain):
        places.append(int(below.flat[places[-1]]))
    pairs = (divmod(place, len(target_grid)) for place in sorted(set(places)))
    return [(int(source_grid[i]), int(target_grid[j])) for i, j in pairs]


def _grid(lengths: Array) -> Array:
    """Returns the different lengths, or of very many a selection, finer where there are more sentences."""
    different = np.unique(lengths)
    if len(different) <= _GRID:
        return different
    common = np.quantile(lengths, np.linspace(0, 1, _GRID // 2), method="higher")
    rare = np.geomspace(different[0], different[-1], _GRID // 2).round()
    return np.unique(np.concatenate([common, rare, different[-1:]]).astype(different.dtype))
