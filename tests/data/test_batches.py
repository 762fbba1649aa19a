"""Every sentence comes once an epoch, in few shapes with little padding, and a resumed training sees the same order."""

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config import BatchSettings, Config, parse_config
from nmt.data import epochs as module
from nmt.data.batches import (
    Position,
    Share,
    advance,
    batches_in_epoch,
    evaluation_batches,
    training_batches,
)
from nmt.data.epochs import training_epoch
from nmt.data.preparation import load_shapes, prepare
from nmt.data.shapes import Shape, choose_shapes, padding_share, plan_epoch
from nmt.data.token_store import Array, TokenizedCorpus
from nmt.utils.errors import UserError

LIMIT = 30
pairs_of_lengths = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=200).map(
    lambda pairs: tuple(np.array(pairs, np.int32).T)
)
batch_settings = st.builds(
    BatchSettings, tokens=st.integers(16, 200), max_length=st.just(LIMIT), shapes=st.integers(1, 5)
)


def fits(lengths: tuple[Array, Array]) -> Array:
    return (lengths[0] <= LIMIT) & (lengths[1] <= LIMIT)


@settings(max_examples=100)
@given(lengths=pairs_of_lengths, options=batch_settings)
def test_shapes_hold_the_corpus_within_the_budget(lengths: tuple[Array, Array], options: BatchSettings) -> None:
    fit = fits(lengths)
    if not fit.any():
        with pytest.raises(UserError, match="max_length 30"):
            choose_shapes(*lengths, options)
        return
    shapes = choose_shapes(*lengths, options)
    assert 1 <= len(shapes) <= options.shapes
    assert shapes == choose_shapes(*lengths, options)
    assert shapes[-1][1:] == (lengths[0][fit].max(), lengths[1][fit].max())
    for narrow, wide in itertools.pairwise(shapes):
        assert narrow.source <= wide.source
        assert narrow.target <= wide.target
        assert narrow[1:] != wide[1:]
    for sentences, source, target in shapes:
        assert sentences == 1 or 1 < sentences * max(source, target) <= options.tokens
        assert sentences <= fit.sum()


@settings(max_examples=100)
@given(lengths=pairs_of_lengths, options=batch_settings, seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 1000))
def test_every_sentence_comes_once(lengths: tuple[Array, Array], options: BatchSettings, seed: int, epoch: int) -> None:
    fit = fits(lengths)
    if not fit.any():
        return
    shapes = choose_shapes(*lengths, options)
    plan = plan_epoch(*lengths, shapes, seed, epoch)
    batches = [plan.order[begin:end] for begin, end in zip(plan.begin, plan.end, strict=True)]
    assert sorted(np.concatenate(batches)) == np.flatnonzero(fit).tolist()
    partial = 0
    for batch, kind in zip(batches, plan.shape, strict=True):
        assert 1 <= len(batch) <= shapes[kind].sentences
        assert lengths[0][batch].max() <= shapes[kind].source
        assert lengths[1][batch].max() <= shapes[kind].target
        partial += len(batch) < shapes[kind].sentences
        assert len(batch) == shapes[kind].sentences or kind == len(shapes) - 1
    assert partial <= 1
    positions = sum(shapes[kind].sentences * sum(shapes[kind][1:]) for kind in plan.shape)
    assert padding_share(plan, shapes, *lengths) == pytest.approx(1 - (lengths[0] + lengths[1])[fit].sum() / positions)
    again = plan_epoch(*lengths, shapes, seed, epoch)
    assert all(np.array_equal(one, other) for one, other in zip(plan, again, strict=True))


def test_epochs_and_seeds_differ() -> None:
    lengths = np.repeat(np.arange(1, 21), 20)
    shapes = choose_shapes(lengths, lengths, BatchSettings(tokens=100, shapes=3))
    orders = [plan_epoch(lengths, lengths, shapes, seed, epoch) for seed, epoch in ((1, 0), (1, 1), (2, 0), (0, 1))]
    for one, other in itertools.combinations(orders, 2):
        assert not np.array_equal(one.order, other.order)
        assert not np.array_equal(one.shape, other.shape)
    assert len(set(orders[0].shape[:10])) > 1  # not shape after shape


@settings(max_examples=40)
@given(
    pairs=st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=4, max_size=60),
    count=st.integers(1, 3),
)
def test_no_other_widths_need_less_padding(pairs: list[tuple[int, int]], count: int) -> None:
    source, target = np.array(pairs).T
    chosen = [shape[1:] for shape in choose_shapes(source, target, BatchSettings(tokens=16, shapes=count))]
    allowed = min(count, max(1, int(np.maximum(source, target).sum() / 16)))

    def positions(widths: list[tuple[int, int]]) -> int:
        return sum(min(s + t for s, t in widths if s >= pair[0] and t >= pair[1]) for pair in pairs)

    corner = (int(source.max()), int(target.max()))
    grid = list(itertools.product(range(1, 8), repeat=2))
    nested = (
        [*others, corner]
        for others in itertools.combinations(grid, allowed - 1)
        if all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise([*others, corner]))
    )
    assert positions(chosen) == min(positions(widths) for widths in nested)


def language_like(count: int) -> tuple[Array, Array]:
    """Lengths as in image captions: 16 tokens on average, the sides correlated by 0.85."""
    generator = np.random.default_rng(1)
    source = generator.gamma(9, 15.5 / 9, count).round() + 1
    target = np.maximum(1, source + generator.normal(0, 2.4, count)).round()
    return source.astype(np.int32), target.astype(np.int32)


def test_little_padding() -> None:
    lengths = language_like(29_000)
    share = {}
    for count in (1, 6, 12, 24):
        shapes = choose_shapes(*lengths, BatchSettings(shapes=count))
        share[count] = padding_share(plan_epoch(*lengths, shapes, 1), shapes, *lengths)
    assert share[12] < 0.115
    assert share[24] < 0.08
    assert share[6] < 0.18
    assert share[1] > 0.4


def test_lengths_beyond_the_grid() -> None:
    source = np.concatenate([np.arange(1, 1001), np.full(20_000, 10)])
    target = np.concatenate([np.arange(1000, 0, -1), np.full(20_000, 11)])
    shapes = choose_shapes(source, target, BatchSettings(max_length=1000, tokens=3000, shapes=8))
    assert shapes[-1][1:] == (1000, 1000)
    assert any(10 <= shape.source <= 12 and 11 <= shape.target <= 13 for shape in shapes)


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_a_small_corpus_makes_no_empty_rows(count: int) -> None:
    source, target = language_like(count)
    shapes = choose_shapes(source, target, BatchSettings())
    plan = plan_epoch(source, target, shapes, 1)
    rows = sum(shapes[kind].sentences for kind in plan.shape)
    assert rows == count


def config_for(folder: Path, **changes: Any) -> Config:
    path = folder / "pairs.tsv"
    generator = np.random.default_rng(1)
    words = ["dog", "cat", "sees", "chases", "the", "old", "ball", "green"]
    texts = [" ".join(generator.choice(words, size)) + f" {i}" for i, size in enumerate(generator.integers(1, 9, 120))]
    path.write_text("".join(f"{text}\t{text[::-1]}\n" for text in texts), encoding="utf-8")
    corpus = {"kind": "tsv", "train": [path], "validation": [path], "test": [path]}
    tree: dict[str, Any] = {"data": {"source_language": "en", "target_language": "de", "corpus": corpus}}
    tree["batches"] = {"tokens": 200, "max_length": 18, "shapes": 4}
    tree["tokenizer"] = {"vocabulary_size": 320, "algorithm": "bpe"}
    return parse_config(tree | changes, "test")


@pytest.fixture(scope="module", params=[None, 0.1])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    folder = tmp_path_factory.mktemp("batches")
    options = {"vocabulary_size": 320, "algorithm": "bpe", "sampling": request.param}
    config = config_for(folder, tokenizer=options)
    prepare(config, folder / "data")
    return folder / "data", config


def take(folder: Path, config: Config, position: Position, count: int) -> list[tuple[Array, Array]]:
    dataset = training_batches(folder, config, load_shapes(folder), position)
    return list(dataset.take(count).as_numpy_iterator())


def equal(one: list[tuple[Array, Array]], other: list[tuple[Array, Array]]) -> bool:
    pairs = zip(itertools.chain(*one), itertools.chain(*other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_batches_hold_an_epochs_sentences(prepared: tuple[Path, Config]) -> None:
    folder, config = prepared
    shapes = load_shapes(folder)
    corpus = training_epoch(folder, config, 0)
    expected = sorted(
        (
            corpus.source_ids[corpus.source_offsets[i] : corpus.source_offsets[i + 1]].tolist(),
            corpus.target_ids[corpus.target_offsets[i] : corpus.target_offsets[i + 1]].tolist(),
        )
        for i in range(len(corpus))
        if corpus.source_lengths[i] <= 18 and corpus.target_lengths[i] <= 18
    )
    found = []
    for source, target in take(folder, config, Position(0, 0), batches_in_epoch(folder, config, shapes, 0)):
        assert source.dtype == target.dtype == np.int32
        assert Shape(len(source), source.shape[1], target.shape[1]) in shapes
        found += [(s[s > 0].tolist(), t[t > 0].tolist()) for s, t in zip(source, target, strict=True) if s.any()]
    assert 90 < len(expected) < 120
    assert sorted(found) == expected


def test_resumed_batches_equal_the_uninterrupted_ones(prepared: tuple[Path, Config]) -> None:
    folder, config = prepared
    shapes = load_shapes(folder)
    first = batches_in_epoch(folder, config, shapes, 0)
    count = first + batches_in_epoch(folder, config, shapes, 1) + 3
    whole = take(folder, config, Position(0, 0), count)
    assert not equal(whole[:3], whole[first : first + 3])
    for done in (0, 1, first - 1, first, first + 1, count - 3, count - 1):
        position = advance(Position(0, 0), done, folder, config, shapes)
        assert equal(take(folder, config, position, count - done), whole[done:])


@pytest.mark.parametrize("replicas", [2, 3, 7])
def test_replicas_share_each_batch(prepared: tuple[Path, Config], replicas: int) -> None:
    folder, config = prepared
    shapes = load_shapes(folder)
    position = Position(0, 2)
    count = batches_in_epoch(folder, config, shapes, 0) + 3
    assert any(shape.sentences % replicas for shape in shapes)
    whole = take(folder, config, position, count)

    def rows_of(first: int, some: int) -> list[list[tuple[Array, Array]]]:
        dataset = training_batches(folder, config, shapes, position, Share(first, some, replicas))
        elements = list(dataset.take(count * some).as_numpy_iterator())
        return [elements[begin : begin + some] for begin in range(0, len(elements), some)]

    # the first replica in one process, the others in another
    for batch, mine, others in zip(whole, rows_of(0, 1), rows_of(1, replicas - 1), strict=True):
        parts = mine + others
        assert len({(source.shape, target.shape) for source, target in parts}) == 1
        for side in (0, 1):
            rows = np.concatenate([part[side] for part in parts])
            assert np.array_equal(rows[: len(batch[side])], batch[side])
            assert not rows[len(batch[side]) :].any()


def test_two_workers_may_draw_an_epoch_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_for(tmp_path, tokenizer={"vocabulary_size": 320, "sampling": 0.3})
    folder = tmp_path / "data"
    prepare(config, folder)
    draw = module._draw_epoch

    def draw_after_another(folder: Path, place: Path, *arguments: Any) -> None:
        draw(folder, folder / "epoch-0005", *arguments)
        draw(folder, place, *arguments)

    monkeypatch.setattr(module, "_draw_epoch", draw_after_another)
    assert len(training_epoch(folder, config, 5)) > 0
    assert not list(folder.glob(".epoch-*"))


def test_positions_add_up(prepared: tuple[Path, Config]) -> None:
    folder, config = prepared
    shapes = load_shapes(folder)
    sizes = [batches_in_epoch(folder, config, shapes, epoch) for epoch in range(4)]
    expected = [Position(epoch, batch) for epoch, size in enumerate(sizes) for batch in range(size)]
    position = Position(0, 0)
    for step in range(0, len(expected), 3):
        assert position == expected[step] == advance(Position(0, 0), step, folder, config, shapes)
        position = advance(position, 3, folder, config, shapes)


def test_elements_have_no_fixed_shape(prepared: tuple[Path, Config]) -> None:
    spec = training_batches(*prepared, load_shapes(prepared[0]), Position(0, 0)).element_spec
    assert [(tuple(ids.shape), ids.dtype) for ids in spec] == [((None, None), tf.int32)] * 2


def test_evaluation_gives_every_sentence_once_however_long(prepared: tuple[Path, Config]) -> None:
    folder, config = prepared
    corpus = TokenizedCorpus.open(folder, "validation")
    assert corpus.target_lengths.max() > config.batches.max_length
    batches = list(evaluation_batches(corpus, config.batches).as_numpy_iterator())
    assert len({(source.shape, target.shape) for source, target in batches}) <= 4
    rows = [row[row > 0].tolist() for _, target in batches for row in target if row.any()]
    offsets = corpus.target_offsets
    expected = [corpus.target_ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert sorted(rows) == sorted(expected)
    widths = [source.shape[1] for source, _ in batches]
    assert widths == sorted(widths)


def test_a_damaged_store_is_told_before_the_first_batch(tmp_path: Path) -> None:
    name = str(tmp_path / "train.source.ids.npy")
    with pytest.raises(UserError, match=re.escape(name)):
        training_batches(tmp_path, config_for(tmp_path), [Shape(1, 2, 2)], Position(0, 0))
