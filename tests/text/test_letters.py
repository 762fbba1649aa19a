"""Which texts a model cannot read: the same in plain Python and in the graph."""

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from nmt.text.graph_letters import are_unreadable
from nmt.text.letters import count_letters, is_unreadable
from nmt.text.placeholders import SYMBOLS
from nmt.text.tokenizer import Tokenizer, train_tokenizer

TEXTS = ["the cat sat on the mat", "Die Katze, schöne Grüße: 3 > 1! A"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train_tokenizer(TEXTS, vocabulary_size=330, placeholders=["braces"]))


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [row[:-1] for row in tokenizer.encode(tf.constant(texts)).to_list()]


@pytest.mark.parametrize(
    ("text", "unreadable"),
    [
        ("the cat", False), ("", False), ("!?", True), ("? - #", True), ("# 1", False), ("3 1", False),
        (SYMBOLS[0], False), (f"{SYMBOLS[0]}%", False), ("Q? A!", False), ("QQ? A!", True), ("schöne Grüße", False),
        ("고양이가 매트 위에 앉았다", True), ("猫", True), ("Кот сидел", True), ("\U00010900\U0001090a", True),
        ("the cat 猫", False), ("猫猫猫猫 cat", True),
        ("\N{GRINNING FACE}\N{GRINNING FACE}\N{GRINNING FACE} on", False),  # emoji are no letters
        ("\N{RIGHTWARDS ARROW}\N{RIGHTWARDS ARROW} \N{BULLET} on", False), ("\N{TIFINAGH LETTER YA}", True),
        ("\N{RIGHTWARDS ARROW} \N{GRINNING FACE}!", True),  # nothing to translate
    ],
)  # fmt: skip
def test_what_a_model_cannot_read(tokenizer, text, unreadable):
    assert is_unreadable(ids_of(tokenizer, [text])[0], count_letters(tokenizer.pieces())) == unreadable


@given(
    texts=st.lists(
        st.text(max_size=12) | st.sampled_from(["the cat", "\U0001f600", "\u2192\u2192", SYMBOLS[0]]), min_size=1
    )
)
def test_the_graph_says_the_same(tokenizer, texts):
    letters, rows = count_letters(tokenizer.pieces()), ids_of(tokenizer, texts)
    found = are_unreadable(tf.ragged.constant(rows, tf.int32, ragged_rank=1), letters)
    assert found.numpy().tolist() == [is_unreadable(row, letters) for row in rows]
