"""Initial embeddings: the counts and factors against plain loops, the tables of every kind of model, and training."""

import math
from collections import Counter, defaultdict
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.token_store import Array, TokenizedCorpus
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.checkpoints import load_arrays
from nmt.training import initial_embeddings
from nmt.training.initial_embeddings import embed_by_cooccurrence, start_embeddings
from nmt.training.train import train
from tests.helpers import reversal_config

SIZE = 12

SENTENCES = st.lists(st.integers(3, SIZE - 1), min_size=1, max_size=5)
PAIRS = st.lists(st.tuples(SENTENCES, SENTENCES), min_size=2, max_size=12)


def corpus_of(pairs: list[tuple[list[int], list[int]]]) -> TokenizedCorpus:
    arrays: list[Any] = []
    for sentences in zip(*pairs, strict=True):
        lengths = np.array([len(one) for one in sentences], np.int32)
        arrays += [np.concatenate(sentences).astype(np.uint16), np.cumsum([0, *lengths]), lengths]
    return TokenizedCorpus(*arrays)


def tables_of(pairs: list[tuple[list[int], list[int]]]) -> list[Array]:
    """Both sides as `fit` takes them."""
    sides = []
    for sentences in zip(*pairs, strict=True):
        width = max(map(len, sentences))
        sides.append(np.array([[*one, *[0] * (width - len(one))] for one in sentences], np.int32))
    return sides


def products_by_loops(pairs: list[tuple[list[int], list[int]]], shift: int, size: int, units: int) -> Array:
    """All products of two rows, from dictionaries and a whole eigendecomposition."""
    together: dict[tuple[int, int], float] = defaultdict(float)
    for source, target in pairs:
        tokens = {*source, *(token + shift for token in target)}
        for i, j in product(tokens, tokens):
            together[i, j] += 1 / len(tokens)
    totals: Counter[int] = Counter()
    for (i, _), count in together.items():
        totals[i] += count
    whole = sum(totals.values())
    matrix = np.zeros((size, size))
    for (i, j), count in together.items():
        matrix[i, j] = max(0.0, math.log(count * whole / (totals[i] * totals[j])))
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-values)[:units]
    rows = vectors[:, order] * np.sqrt(np.maximum(values[order], 0))
    seen = sorted(totals)
    rows[seen] -= rows[seen].mean(0)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.where(lengths > 1e-6, rows / np.maximum(lengths, 1e-6), 0)
    return rows @ rows.T


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0, SIZE]))
def test_products_of_rows_are_those_of_plain_loops(pairs, shift):
    # As many units as tokens: no choice among equal eigenvalues.
    size = SIZE + shift
    rows = embed_by_cooccurrence(corpus_of(pairs), shift, size, size, seed=1)
    expected = products_by_loops(pairs, shift, size, size)
    # A row that is all mean has a direction by rounding alone.
    clear = np.flatnonzero(np.linalg.norm(rows, axis=1) > 0.99)
    clear = clear[np.diag(expected)[clear] > 0.99]
    np.testing.assert_allclose((rows @ rows.T)[np.ix_(clear, clear)], expected[np.ix_(clear, clear)], atol=2e-2)
    unseen = set(range(size)) - {token for pair in pairs for token in (*pair[0], *(t + shift for t in pair[1]))}
    assert not rows[sorted(unseen)].any()


def dictionary(words: int, pairs: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Sentences of random words, where word w is translated by words + w."""
    random = np.random.default_rng(seed)
    sentences = [random.integers(3, 3 + words, random.integers(2, 8)).tolist() for _ in range(pairs)]
    return [(one, [token + words for token in one]) for one in sentences]


@pytest.mark.parametrize("units", [16, 64, 512])
def test_translations_begin_nearest_to_each_other(units):
    words = 40
    rows = embed_by_cooccurrence(corpus_of(dictionary(words, 600, seed=2)), 0, 3 + 2 * words, units, seed=1)
    products = rows @ rows.T
    np.fill_diagonal(products, -1)
    assert (products[3 : 3 + words].argmax(1) == np.arange(3, 3 + words) + words).all()
    np.testing.assert_allclose(np.linalg.norm(rows[3:], axis=1), 1, atol=1e-3)
    # No unit says more than the others: they are rotated at random.
    assert rows.std(0).max() < 3 * rows.std(0).mean()


def test_the_order_of_pairs_changes_nothing_but_rounding_and_the_seed_the_rotation():
    pairs = dictionary(40, 300, seed=3)
    first, same, other = (
        embed_by_cooccurrence(corpus_of(order), 0, 83, 16, seed) for order, seed in ((pairs, 1), (pairs, 1), (pairs, 2))
    )
    assert np.array_equal(first, same)
    turned = embed_by_cooccurrence(corpus_of(pairs[::-1]), 0, 83, 16, 1)
    np.testing.assert_allclose(first @ first.T, turned @ turned.T, atol=1e-2)
    assert np.abs(first - other).max() > 0.1


def test_large_corpora_are_sampled_and_rare_tokens_left_out(monkeypatch):
    pairs = [([3, 4], [5]), ([4, 6], [5, 7])] * 50 + [([8], [9])]
    monkeypatch.setattr(initial_embeddings, "_MOST_TOKENS", 3)
    rows = embed_by_cooccurrence(corpus_of(pairs), 0, SIZE, 4, seed=1)
    assert np.flatnonzero(rows.any(1)).tolist() == [3, 4, 5]
    monkeypatch.setattr(initial_embeddings, "_MOST_TOKENS", 100)
    monkeypatch.setattr(initial_embeddings, "_MOST_PAIRS", 2)  # the first and the last one
    rows = embed_by_cooccurrence(corpus_of(pairs), 0, SIZE, 4, seed=1)
    assert np.flatnonzero(rows.any(1)).tolist() == [3, 4, 5, 8, 9]


@pytest.mark.parametrize("tied", ["all", "target", "none"])
def test_every_table_of_a_model_gets_its_rows(tied):
    words = 30
    pairs = dictionary(words, 400, seed=4)
    size = 3 + 2 * words + 2  # the last two do not occur
    model = Seq2Seq(size, units=16, num_layers=1, tied_embeddings=tied, seed=1)
    before = {embedding.table.path: embedding.table.numpy() for _, embedding in model.embeddings()}
    start_embeddings(model, *tables_of(pairs))
    source, target = model.source_embedding.table.numpy(), model.target_embedding.table.numpy()
    products = source @ target.T
    if tied == "all":
        np.fill_diagonal(products, -1)
    assert (products[3 : 3 + words].argmax(1) == np.arange(3, 3 + words) + words).all()
    seen = np.arange(3 + words, 3 + 2 * words)
    np.testing.assert_array_equal(model.output_embedding.table.numpy()[seen], target[seen])
    for _, embedding in model.embeddings():
        np.testing.assert_array_equal(embedding.table.numpy()[-2:], before[embedding.table.path][-2:])


def test_vocabularies_of_different_sizes():
    model = Seq2Seq(20, target_vocabulary_size=12, units=8, num_layers=1, tied_embeddings="none", seed=1)
    start_embeddings(model, *tables_of([([15, 16], [5]), ([17], [6, 7])] * 9))
    source, target = model.source_embedding.table.numpy(), model.target_embedding.table.numpy()
    products = source[[15, 16, 17]] @ target[[5, 6, 7]].T
    assert (products.argmax(1) > 0).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([[5, 3]], [[5, 3], [6, 3]], r"expected integer ids .* got int64 \[1, 2\] and int64 \[2, 2\]"),
        ([[5.0, 3.0]], [[5, 3]], "got float64"),
        ([5, 3], [5, 3], r"got int64 \[2\]"),
        ([[5, 3]], [[20, 3]], "expected ids from 0 to 19, got some from 3 to 20"),
        ([[-5, 3]], [[4, 3]], "expected ids from 0 to 19, got some from -5 to 3"),
    ],
)
def test_what_are_no_training_sentences_is_named(source, target, message):
    model = Seq2Seq(20, units=8, num_layers=1, seed=1)
    with pytest.raises(ValueError, match=message):
        start_embeddings(model, source, target)


@given(PAIRS)
def test_padded_arrays_say_what_a_run_s_data_says(pairs):
    ours, theirs = TokenizedCorpus.of_arrays(*tables_of(pairs)), corpus_of(pairs)
    for name in ("source_ids", "source_offsets", "source_lengths", "target_ids", "target_offsets", "target_lengths"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


@pytest.mark.usefixtures("quick_validation")
def test_a_training_begins_with_them_unless_it_says_random(tmp_path):
    tables = {}
    for kind in ("cooccurrence", "random"):
        changes = {"initial_embeddings": kind, "learning_rate": 1e-30, "max_steps": 2, "average_decay": 0.0}
        config = reversal_config(tmp_path / f"corpus-{kind}", training=changes)
        run = train(config, tmp_path / kind)
        arrays, _ = load_arrays(run.last)
        (tables[kind],) = [array for name, array in arrays.items() if name.endswith("embeddings") and "weights" in name]
    lengths = {kind: np.linalg.norm(table, axis=1) for kind, table in tables.items()}
    assert np.isclose(lengths["cooccurrence"], 1, atol=1e-4).sum() > 5
    assert np.isclose(lengths["random"], 1, atol=1e-4).sum() == 0
    assert tables["random"].shape == tables["cooccurrence"].shape
