"""Texts in capitals are found and changed in the graph as in plain Python, for all of Unicode up to version 13."""

# ruff: noqa: RUF001 (the dotless i)

import sys
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.text import capitals, graph_capitals
from nmt.text.normalization import normalize


@pytest.mark.parametrize("language", ["de", "tr"])
@pytest.mark.parametrize("name", ["lower", "upper"])
def test_every_letter(name: str, language: str) -> None:
    plain, graph = getattr(capitals, name), getattr(graph_capitals, name)
    letters = [letter for letter in map(chr, range(1, sys.maxunicode + 1)) if unicodedata.category(letter)[0] in "LMN"]
    found = [text.decode() for text in graph(tf.constant(letters), language).numpy()]
    wrong = [letter for letter, text in zip(letters, found, strict=True) if text != plain(letter, language)]
    assert all(unicodedata.name(letter).startswith(("VITHKUQI", "LATIN", "GLAGOLITIC")) for letter in wrong)
    assert len(wrong) < 45
    for text in ("ΟΔΟΣ ΣΑΣ. ΑΣ", "straße ŉ ﬁ", "\ufdd0 I i İ ı"):
        assert graph(tf.constant(text), language).numpy().decode() == plain(text, language)


@settings(max_examples=100)
@given(st.lists(st.text("AÄǅa ä1ΣЖß日.\n", max_size=8).map(normalize), max_size=20))
def test_which_texts_are_in_capitals(texts: list[str]) -> None:
    found = graph_capitals.are_in_capitals(tf.constant(texts, tf.string)).numpy().tolist()
    assert found == [capitals.is_in_capitals(text) for text in texts]
