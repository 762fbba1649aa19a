import logging
import struct
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nmt.inference.alignment import (
    CONTROL_PIECES,
    heat_map,
    number_source_words,
    number_target_words,
    pharaoh,
    word_attention,
)
from nmt.text.masking import mask, restore
from nmt.text.normalization import normalize
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.utils.errors import UserError

# Das rote Haus -> the red house, with "rote" and "house" in two pieces each and end marks on both sides.
SOURCE = ["▁Das", "▁ro", "te", "▁Haus", "</s>"]
TARGET = ["▁the", "▁red", "▁hou", "se", "</s>"]
ATTENTION = np.array(
    [
        [0.8, 0.0, 0.0, 0.1, 0.1],
        [0.0, 0.3, 0.3, 0.4, 0.0],  # the most on one piece is on "Haus", the most on one word is on "rote"
        [0.4, 0.0, 0.0, 0.3, 0.3],
        [0.1, 0.0, 0.0, 0.7, 0.2],
        [0.0, 0.0, 0.0, 0.1, 0.9],
    ]
)


def test_words_are_aligned() -> None:
    assert pharaoh(ATTENTION, SOURCE, TARGET) == "0-0 1-1 2-2"


def test_pieces_are_aligned() -> None:
    assert pharaoh(ATTENTION, SOURCE, TARGET, words=False) == "0-0 0-2 3-1 3-3"


def test_pairs_are_source_first_and_ascending() -> None:
    attention = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert pharaoh(attention, ["▁a", "▁b", "▁c"], ["▁w", "▁x", "▁y", "▁z"]) == "0-1 0-3 1-2 2-0"


def test_word_attention_sums_over_source_and_averages_over_target() -> None:
    weights, source, target = word_attention(ATTENTION, SOURCE, TARGET)
    assert source == ["Das", "rote", "Haus"]
    assert target == ["the", "red", "house"]
    np.testing.assert_allclose(weights, [[0.8, 0.0, 0.1], [0.0, 0.6, 0.4], [0.25, 0.0, 0.5]], atol=1e-12)


def test_an_end_mark_that_draws_all_attention_is_not_aligned() -> None:
    assert pharaoh([[0.1, 0.05, 0.85]], ["▁a", "▁b", "</s>"], ["▁x"]) == "0-0"


def test_control_pieces_are_dropped_wherever_they_stand() -> None:
    attention = np.eye(4)
    assert pharaoh(attention, ["<s>", "▁a", "</s>", "<pad>"], ["<s>", "▁x", "</s>", "<pad>"]) == "0-0"


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["▁one", "▁two"], ["one", "two"]),
        (["one", "▁two"], ["one", "two"]),
        (["▁", "on", "e", "▁two"], ["one", "two"]),
        (["▁", "▁one", "▁", "two", "▁"], ["one", "two"]),
        (["▁日", "本", "語"], ["日本語"]),
        (["▁", "<0xE7>", "<0x8C>", "<0xAB>", "▁x"], ["猫", "x"]),
        (["▁<0x", "41>"], ["<0x41>"]),
        (["▁"], [""]),
        ([], []),
    ],
)
def test_words_of_pieces(pieces: list[str], words: list[str]) -> None:
    weights, source, target = word_attention(np.full((len(pieces), 1), 1.0), ["▁a"], pieces)
    assert target == words
    assert source == ["a"]
    assert weights.shape == (len(words), 1)


@given(st.lists(st.sampled_from(["▁", "▁a", "b", "<0x41>"]), min_size=1, max_size=8), st.integers(0, 2**31))
def test_attention_stays_a_distribution(pieces: list[str], seed: int) -> None:
    attention = np.random.default_rng(seed).dirichlet(np.ones(len(pieces)), size=3)
    weights, source, _ = word_attention(attention, pieces, ["▁x", "y", "▁z"])
    assert source == ("".join(pieces).replace("<0x41>", "A").replace("▁", " ").split() or [""])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)


@pytest.mark.parametrize(("source", "target"), [([], []), ([], ["▁x"]), (["▁a"], []), (["</s>"], ["</s>"])])
def test_nothing_to_align(source: list[str], target: list[str]) -> None:
    assert pharaoh(np.zeros((len(target), len(source))), source, target) == ""
    assert pharaoh(np.zeros((len(target), len(source))), source, target, words=False) == ""


@pytest.mark.parametrize("shape", [(5, 4), (4, 5), (5, 5, 1), (25,)])
def test_a_matrix_that_does_not_fit_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    source, target = SOURCE, TARGET
    with pytest.raises(ValueError, match=r"of shape \(5, 5\), got \("):
        pharaoh(np.zeros(shape), source, target)
    with pytest.raises(ValueError, match=r"of shape \(5, 5\), got \("):
        heat_map(np.zeros(shape), source, target, tmp_path / "map.png")
    assert list(tmp_path.iterdir()) == []


KINDS = ["braces", "tags"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    lines = ["the red house and the cat", "das rote Haus und die Katze", "a house in a cat"]
    return Tokenizer(train_tokenizer(lines, vocabulary_size=300, placeholders=KINDS), placeholders=KINDS)


def pieces_of(tokenizer: Tokenizer, text: str) -> list[str]:
    ids = tokenizer.encode(mask(KINDS, tf.constant([text.encode()])).source)
    return tokenizer.pieces(ids[0].numpy())


# Words as users write them: decomposed, with what is invisible, and with what SentencePiece takes for a space.
PLAIN = ["the", "house", "cat", "u\u0308ber", "ca\u200bt", "\u200fred\u200e", "\u732b", "\U0001f600\ufe0f", "a\u2581b"]
GONE = ["\u200b", "\ufeff\u200e"]
MARKED = ["{a}", "<a href='x y'>", "</a>", "<b>red</b>", "<b\nc>house", "{b}\u200b{c}", "x{d}y"]
SPACES = [" ", "  ", "\t", "\u3000", "\n", " \u200b\u00a0"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.tuples(st.sampled_from(PLAIN + GONE), st.sampled_from(SPACES)), max_size=8))
def test_source_pieces_spell_the_words_that_they_are_numbered_by(
    tokenizer: Tokenizer, words: list[tuple[str, str]]
) -> None:
    text = "".join(word + space for word, space in words)
    pieces = pieces_of(tokenizer, text)
    numbers = number_source_words(text, pieces, KINDS)
    given_words = text.split()
    spelled = [""] * len(given_words)
    ids = tokenizer.encode(tf.constant([text.encode()]))[0].numpy()
    for number in range(len(given_words)):
        mine = [index for index, of_piece in zip(ids, numbers, strict=True) if of_piece == (number,)]
        spelled[number] = tokenizer.decode(tf.constant([mine], tf.int32)).numpy()[0].decode() if mine else ""
    assert spelled == [normalize(word) for word in given_words]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.tuples(st.sampled_from(PLAIN + GONE + MARKED), st.sampled_from(["", *SPACES])), max_size=8))
def test_every_word_that_is_seen_has_pieces(tokenizer: Tokenizer, words: list[tuple[str, str]]) -> None:
    text = "".join(word + space for word, space in words)
    pieces = pieces_of(tokenizer, text)
    numbers = number_source_words(text, pieces, KINDS)
    assert [not of_piece for of_piece in numbers] == [piece in CONTROL_PIECES for piece in pieces]
    flat = [number for of_piece in numbers for number in of_piece]
    first = [of_piece[0] for of_piece in numbers if of_piece]
    assert first == sorted(first)
    assert set(flat) == {number for number, word in enumerate(text.split()) if normalize(word)}


PARTS = st.lists(st.lists(st.integers(4, 299), max_size=8), min_size=1, max_size=3)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.lists(st.sampled_from(MARKED), max_size=6).map(" ".join),
    sentences=st.lists(st.tuples(st.sampled_from(["", " ", "\t"]), PARTS), min_size=1, max_size=3),
)
@example(source="", sentences=[(" ", [[14], [], [8, 8, 14]])])  # one symbol after another that stands for nothing
@example(source="", sentences=[(" ", [[14]]), (" ", [[8, 14]])])  # ... and at the beginning of a sentence
def test_target_words_are_those_of_the_translation(
    tokenizer: Tokenizer, source: str, sentences: list[tuple[str, list[list[int]]]]
) -> None:
    """Of any tokens: bytes that form no character or white space, symbols that stand for nothing."""
    placeholders = mask(KINDS, tf.constant([source.encode()])).placeholders
    known = [placeholder.decode() for placeholder in placeholders.numpy()[0]]
    text, pieces = "", []
    for space, drawn in sentences:
        parts = [[4 + token % (tokenizer.vocabulary_size - 4) for token in part] for part in drawn]
        decoded = tokenizer.decode(tf.ragged.constant(parts, tf.int32)).numpy()
        text += space + restore(tf.constant([[b" ".join(decoded)]]), placeholders).numpy()[0, 0].decode()
        pieces.append([tokenizer.pieces(part) for part in parts])
    numbers = number_target_words(pieces, [known] * len(pieces), [space for space, _ in sentences])
    assert len(numbers) == sum(len(part) for parts in pieces for part in parts)
    assert {number for of_piece in numbers for number in of_piece} == set(range(len(text.split())))


def test_alignments_number_the_words_as_they_were_written() -> None:
    pieces = ["\u2581the", "\u2581c", "at", "</s>"]
    source_words = number_source_words("\u200b  the cat", pieces)
    target_words = number_target_words([[["\u2581die", "\u2581Katze", "</s>"]]])
    attention = [[1, 0, 0, 0], [0, 0.4, 0.5, 0.1], [0, 0, 0, 1]]
    target = ["\u2581die", "\u2581Katze", "</s>"]
    assert pharaoh(attention, pieces, target) == "0-0 1-1"
    assert pharaoh(attention, pieces, target, source_words=source_words, target_words=target_words) == "1-0 2-1"


def size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_heat_map_is_a_picture_of_the_matrix(tmp_path: Path) -> None:
    from matplotlib.image import imread

    heat_map([[1.0, 0.0], [0.0, 1.0]], ["▁a", "▁b"], ["▁x", "▁y"], tmp_path / "map.png")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    assert size(tmp_path / "map.png") == (300, 300)
    picture = imread(tmp_path / "map.png")[..., :3].mean(axis=2)
    # Columns left of the colour bar, rows below the labels: dark upper left and lower right, bright elsewhere.
    assert picture[120, 70] < 0.4
    assert picture[230, 180] < 0.4
    assert picture[120, 180] > 0.9
    assert picture[230, 70] > 0.9


def test_heat_map_grows_with_the_sentence_within_bounds(tmp_path: Path) -> None:
    short, long = tmp_path / "short.png", tmp_path / "long.png"
    heat_map(np.ones((5, 40)), ["▁a"] * 40, ["▁x"] * 5, short)
    assert size(short) == (1150, 300)
    heat_map(np.full((2, 400), 0.01), ["▁a"] * 400, ["▁x"] * 2, long)
    assert size(long) == (4000, 300)


def test_heat_map_copes_with_any_label(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = ["▁$x_", "$^$", "▁日本", "नमस्ते", "ก", "\x07", "\n", "<0xE4>", "x" * 500, "\U0001f600", ""]
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        heat_map(np.eye(len(labels)), labels, labels, tmp_path / "map.png")
    assert caplog.records == []
    width, height = size(tmp_path / "map.png")
    assert max(width, height) < 1000


def test_heat_map_leaves_no_global_state(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    heat_map([[1.0]], ["▁a"], ["▁x"], tmp_path / "map.png")
    assert dict(matplotlib.rcParams) == before
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        assert pyplot.get_fignums() == []


def test_heat_map_of_zeros(tmp_path: Path) -> None:
    heat_map(np.zeros((1, 1)), ["▁a"], ["▁x"], tmp_path / "map.png")
    assert size(tmp_path / "map.png") == (300, 300)


def test_heat_map_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one source and one target piece"):
        heat_map(np.zeros((0, 1)), ["▁a"], [], tmp_path / "map.png")


def test_heat_map_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        heat_map([[1.0]], ["▁a"], ["▁x"], tmp_path / "file" / "map.png")
