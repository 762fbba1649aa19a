"""Tags in translations: nested, whatever the model would rather do."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.constants import BEGIN, END
from nmt.decoding.beam_search import beam_search
from nmt.decoding.constraints import SymbolConstraint
from nmt.decoding.scorers import IMPOSSIBLE
from nmt.decoding.tags import TagConstraint
from nmt.text.masking import closers
from tests.decoding.toys import Toy, tokens_of

FIRST, WORD, SPACE = 4, 10, 11
TAGS = ["<a href='1'>", "<a href='2'>", "</a>", "<i>", "</i>", "{n}"]
OPEN = {4: 6, 5: 6, 7: 8}  # ids of tags, and of those that close them


def is_nested(tokens):
    stack = []
    for token in tokens:
        if token in OPEN:
            stack.append(OPEN[token])
        elif token in OPEN.values() and (not stack or stack.pop() != token):
            return False
    return not stack


def nested_sources():
    word = st.sampled_from([[WORD], [9]])
    pair = lambda inside: st.tuples(st.sampled_from(sorted(OPEN)), inside).map(  # noqa: E731
        lambda found: [found[0], *found[1], OPEN[found[0]]]
    )
    inside = st.recursive(
        word, lambda one: st.lists(st.one_of(one, pair(one)), min_size=1, max_size=3).map(sum_), max_leaves=5
    )
    return pair(inside)


def sum_(lists):
    return [token for one in lists for token in one]


CONSTRAINTS = tf.function(
    lambda source, table: tuple(
        beam_search(
            toy_of(), source, [SymbolConstraint(FIRST, 6, END, SPACE), TagConstraint(table, FIRST)],
            beam_size=3, max_length_factor=1.0, max_length_offset=6,
        )
    ),
    input_signature=[tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.int32)],
    autograph=False,
)  # fmt: skip


def toy_of():
    toy = Toy(7, vocabulary=12)
    toy.first = np.tile(toy.first[:1], (20, 1))
    return toy


def found_of(row):
    source = tf.constant([[1, *row, END]])
    return tokens_of(CONSTRAINTS(source, closers(tf.constant([TAGS])))[0][0, 0])


@settings(max_examples=25)
@given(nested_sources())
def test_a_translation_nests_the_tags_of_its_source(row):
    found = found_of(row)
    assert is_nested(found)
    assert all(found.count(symbol) == row.count(symbol) for symbol in range(FIRST, FIRST + 6))


@pytest.mark.parametrize(
    ("row", "order"),
    [
        ([7, WORD, 4, 6], [7]),  # <i> is closed in the next sentence
        ([WORD, 8, 4, 9, 6, 7], [8, 7]),  # </i> of the sentence before, then <i>
        ([4, 7, 6, 8], [4, 7, 6, 8]),  # crossed in the source itself
    ],
)
def test_tags_without_their_other_half_stay_outside_and_in_order(row, order):
    found = found_of(row)
    assert [token for token in found if token in order] == order
    assert all(found.count(symbol) == row.count(symbol) for symbol in range(FIRST, FIRST + 6))
    if len(order) < 4:
        depth = 0
        for token in found:
            depth += (token == 4) - (token == 6)
            assert token not in order or depth == 0


def test_sources_without_tags_are_left_alone():
    constraint = TagConstraint(closers(tf.constant([TAGS])), FIRST)
    state = constraint.start(tf.constant([[1, WORD, 9, END]]), tf.constant([9]))
    state = state._replace(states=tuple(one[:, None] for one in state.states))
    for token in (BEGIN, WORD, 9):
        state = constraint.advance(tf.constant([[token]]), state)
    rows = state._replace(states=tuple(one[:, 0] for one in state.states))
    allowed = constraint.allow(tf.zeros((1, 12)), rows).numpy()[0] > IMPOSSIBLE
    assert allowed[[END, 9, WORD, SPACE]].all()
