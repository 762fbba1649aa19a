"""The plain rules of nested tags are those of the graph."""

import random

import tensorflow as tf

from nmt.decoding.scorers import IMPOSSIBLE
from nmt.decoding.tags import TagConstraint
from nmt.text.masking import closers
from nmt.text.nesting import TagNesting

FIRST, SYMBOLS = 4, 10
KINDS = ["<b>", "</b>", "<i x='1'>", "<i>", "</i>", "{x1}", "{/x1}", "<br/>", "{n}", ""]
CASES = 30


def test_the_plain_rules_are_those_of_the_graph():
    draw = random.Random(1)
    placeholders = [draw.sample(KINDS, SYMBOLS) for _ in range(CASES)]
    sources = [_source(draw, of_one) for of_one in placeholders]
    ids = tf.keras.utils.pad_sequences([[FIRST + one for one in source] for source in sources], padding="post")
    constraint = TagConstraint(closers(tf.constant(placeholders)), FIRST)
    state = constraint.start(tf.constant(ids), tf.fill([CASES], 9))
    plain = [TagNesting(of_one, source) for of_one, source in zip(placeholders, sources, strict=True)]
    left = [list(source) for source in sources]
    tokens = [2] * CASES
    for _ in range(ids.shape[1]):
        state = _advance(constraint, tokens, state)
        allowed = (constraint.allow(tf.zeros((CASES, FIRST + SYMBOLS)), state) > IMPOSSIBLE).numpy()[:, FIRST:]
        for case, nesting in enumerate(plain):
            forbidden = nesting.forbidden()
            assert {one for one in range(SYMBOLS) if not allowed[case, one]} & set(left[case]) == forbidden & set(
                left[case]
            ), (placeholders[case], sources[case])
            possible = [one for one in left[case] if one not in forbidden]
            if left[case]:
                symbol = draw.choice(possible)  # there is one, so that all tags can come
                left[case].remove(symbol)
                nesting.advance(symbol)
            tokens[case] = FIRST + symbol if possible else 3
    assert not any(left)


def _source(draw, placeholders):
    """The symbols of a source: some nested pairs, and some at random."""
    numbers = {text: number for number, text in enumerate(placeholders)}
    source = [draw.randrange(SYMBOLS) for _ in range(draw.randint(0, 2))]
    for begin, end in (("<b>", "</b>"), ("<i>", "</i>"), ("<i x='1'>", "</i>"), ("{x1}", "{/x1}")):
        if draw.random() < 0.6:
            start = draw.randint(0, len(source))
            stop = draw.choice([start, len(source)])
            source = [*source[:start], numbers[begin], *source[start:stop], numbers[end], *source[stop:]]
    return source


def _advance(constraint, tokens, state):
    rows = state._replace(states=tuple(one[:, None] for one in state.states))
    rows = constraint.advance(tf.constant(tokens)[:, None], rows)
    return rows._replace(states=tuple(one[:, 0] for one in rows.states))
