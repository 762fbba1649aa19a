"""Cutting long texts in the graph and in plain Python, against the same rule written another way."""

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.text import boundaries
from nmt.text.boundaries import find_boundaries
from nmt.text.splitting import split_long

PIECES = ["▁a", "b", ".", "▁c.", "d!", "。", "d？", "e", "▁", "▁?", "e…", "▁f。▁"]  # noqa: RUF001
BOUNDARIES = find_boundaries(PIECES)


def plainly(ids, limit):
    pieces, parts = [PIECES[index] for index in ids], []
    while len(pieces) > limit:
        lengths = range(limit, limit // 2, -1)
        word = [c for c in lengths if pieces[c].startswith("▁")]
        sentence = [
            c
            for c in lengths
            if pieces[c - 1].strip("▁")[-1:] in tuple("。？")  # noqa: RUF001
            or (c in word and pieces[c - 1].strip("▁").endswith((".", "!", "?", "…")))
        ]
        cut = (sentence or word or [limit])[0]
        parts.append(pieces[:cut])
        pieces = pieces[cut:]
    return parts + [pieces] * bool(pieces)


@settings(max_examples=100)
@given(
    texts=st.lists(st.lists(st.integers(0, len(PIECES) - 1), max_size=40), min_size=1, max_size=5),
    limit=st.integers(1, 9),
)
def test_texts_are_cut_where_the_rule_says(texts, limit):
    parts, of_text = split_long(tf.ragged.constant(texts, tf.int32, ragged_rank=1), limit, BOUNDARIES)
    expected = [plainly(ids, limit) for ids in texts]
    assert of_text.numpy().tolist() == [number for number, found in enumerate(expected) for _ in found]
    named = [[PIECES[index] for index in part] for part in parts.to_list()]
    assert named == [part for found in expected for part in found]
    assert parts.to_list() == [part for ids in texts for part in boundaries.split_long(ids, limit, BOUNDARIES)]


def test_nothing_but_empty_texts():
    parts, of_text = split_long(tf.ragged.constant([[], []], tf.int32, ragged_rank=1), 3, BOUNDARIES)
    assert parts.nrows() == of_text.shape[0] == 0
    assert boundaries.split_long([], 3, BOUNDARIES) == []
