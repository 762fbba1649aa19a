"""A few shapes of batches, chosen for a corpus, and the assignment of sentences to batches.

XLA compiles a training step once for each shape of its inputs. So every batch has one of a few shapes, and these are
chosen for the least padding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nmt.config import BatchSettings
from nmt.data.token_store import Array
from nmt.utils.errors import UserError

_GRID = 64  # candidates for the widths of each side; the time to choose grows with its 4th power


class Shape(NamedTuple):
    """The size of a batch.

    Attributes:
        sentences: int, the number of sentence pairs.
        source: int, the tokens to which each source sentence is padded.
        target: int, the tokens to which each target sentence is padded.
    """

    sentences: int
    source: int
    target: int


class Plan(NamedTuple):
    """The batches of an epoch: batch b has the sentences `order[begin[b]:end[b]]` and the shape with index `shape[b]`.

    Attributes:
        order: int32 `[sentences]`, indices of sentences in the corpus.
        begin: int64 `[batches]`, where each batch begins in `order`.
        end: int64 `[batches]`, where each batch ends in `order`.
        shape: int16 `[batches]`, the index of each batch's shape.
    """

    order: Array
    begin: Array
    end: Array
    shape: Array


def choose_shapes(source_lengths: Array, target_lengths: Array, settings: BatchSettings) -> list[Shape]:
    """Chooses the shapes of batches that need the least padding for a corpus.

    Each shape is at least as wide as the one before it on both sides, so sentences that are left over in one shape fit
    into the next. Among all such sequences of shapes, dynamic programming finds the best one.

    Args:
        source_lengths: integers `[n]`, the tokens of each source sentence.
        target_lengths: integers `[n]`, the tokens of each target sentence.
        settings: the settings of batches. There are at most `settings.shapes` shapes, each with at most
            `settings.tokens` positions on its longer side.

    Returns:
        The shapes in ascending order. The last one fits every sentence of up to `settings.max_length` tokens on both
        sides.

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
    source_lengths: Array,
    target_lengths: Array,
    shapes: Sequence[Shape],
    seed: int | None,
    epoch: int = 0,
) -> Plan:
    """Assigns every sentence that fits into a shape to exactly one batch.

    A sentence goes into the narrowest shape that it fits into. The few sentences that do not fill a last batch of this
    shape go into the next wider one. Only the last batch of the widest shape may be partly empty.

    Args:
        source_lengths: integers `[n]`, the tokens of each source sentence.
        target_lengths: integers `[n]`, the tokens of each target sentence.
        shapes: the shapes that `choose_shapes` returned.
        seed: int, seeds the order of sentences and batches together with `epoch`; None sorts them by length.
        epoch: int, counted from 0.

    Returns:
        The batches of the epoch, which depend on the arguments alone.
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


def count_batches(source_lengths: Array, target_lengths: Array, shapes: Sequence[Shape]) -> int:
    """Counts the batches that `plan_epoch` returns for the same arguments."""
    full, left = _full_batches(_narrowest(source_lengths, target_lengths, shapes), shapes)
    return sum(full) + (left > 0)


def padding_share(plan: Plan, shapes: Sequence[Shape], source_lengths: Array, target_lengths: Array) -> float:
    """Returns the share of padding among all positions of an epoch, both sides together."""
    positions = np.array([shape.sentences * (shape.source + shape.target) for shape in shapes])[plan.shape].sum()
    planned = plan.order[: plan.end.max(initial=0)]
    tokens = source_lengths[planned].sum(dtype=np.int64) + target_lengths[planned].sum(dtype=np.int64)
    return float(1 - tokens / positions)


def _narrowest(source_lengths: Array, target_lengths: Array, shapes: Sequence[Shape]) -> Array:
    """Returns int8 `[n]`, the first shape that fits each sentence; `len(shapes)` if none does."""
    by_source = np.searchsorted([shape.source for shape in shapes], source_lengths).astype(np.int8)
    by_target = np.searchsorted([shape.target for shape in shapes], target_lengths).astype(np.int8)
    return np.maximum(by_source, by_target)


def _full_batches(narrowest: Array, shapes: Sequence[Shape]) -> tuple[list[int], int]:
    """Counts the full batches of each shape, if each passes its leftover to the next, and the last leftover."""
    full, left = [], 0
    for kind, shape in enumerate(shapes):
        batches, left = divmod(int((narrowest == kind).sum()) + left, shape.sentences)
        full.append(batches)
    return full, left


def _even(shapes: Sequence[Shape], narrowest: Array) -> list[Shape]:
    """Lowers the sentences of each shape so that almost none are left over after its full batches."""
    even: list[Shape] = []
    left = 0
    for kind, shape in enumerate(shapes):
        waiting = int((narrowest == kind).sum()) + left
        if not waiting:  # no sentence has this shape
            continue
        batches = -(-waiting // shape.sentences)
        # The widest shape takes everything left over, so there an empty row is better than one more batch.
        sentences = -(-waiting // batches) if kind == len(shapes) - 1 else waiting // batches
        left = waiting % sentences
        even.append(shape._replace(sentences=sentences))
    return even


def _choose_widths(source_lengths: Array, target_lengths: Array, count: int) -> list[tuple[int, int]]:
    """Finds at most `count` nested pairs of widths with the least sum of padded positions."""
    source_grid, target_grid = _grid(source_lengths), _grid(target_lengths)
    sentences = np.zeros((len(source_grid), len(target_grid)), np.int64)
    np.add.at(
        sentences, (np.searchsorted(source_grid, source_lengths), np.searchsorted(target_grid, target_lengths)), 1
    )
    held = sentences.cumsum(0).cumsum(1)  # [i, j]: the sentences that fit into source_grid[i] and target_grid[j]
    width = source_grid[:, None] + target_grid
    # least[i, j]: the positions for held[i, j] if [i, j] is the widest of k shapes; below[i, j]: the next narrower one.
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
    """Returns the different lengths, or if there are too many a selection, denser where sentences are more frequent."""
    different = np.unique(lengths)
    if len(different) <= _GRID:
        return different
    common = np.quantile(lengths, np.linspace(0, 1, _GRID // 2), method="higher")
    rare = np.geomspace(different[0], different[-1], _GRID // 2).round()
    return np.unique(np.concatenate([common, rare, different[-1:]]).astype(different.dtype))
