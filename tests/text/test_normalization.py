"""Normalisation in plain Python and in the graph are the same, for every valid text and for any bytes."""

import sys
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.text.boundaries import WORD_START
from nmt.text.graph_normalization import normalize_in_graph
from nmt.text.normalization import SPACES, normalize, without_invisible

# Python's Unicode version is older than TensorFlow's: what it does not have yet is left out, but not the characters
# that will never be assigned.
EVERY = "".join(
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(character) not in ("Cs", "Cn")
    or ord(character) & 0xFFFE == 0xFFFE
    or 0xFDD0 <= ord(character) <= 0xFDEF
)
MARKS = "".join(character for character in EVERY if unicodedata.combining(character))
SPECIAL = (
    "a \t\n\r\x00\x1c\x85\u2028\ufeff\u200b\u200f\ufe0f\u0301\u0323\u0338\u1100\u1161\u2581\u3000\ufdd0\ufffd\uffff=<>"
)

# Joiners, selectors and tags, and the characters around which they mean something.
SPELLING = "\u200c\u200d\u180b\u180e\U000e0067\U000e007f"
JOINED = SPELLING + "\U0001f3f4\U0001f469\u2764\u0645\u0651\u0915\u094d\u1820\u0301\u0323\u05b0a "

# Texts with many of the characters that matter, which random ones hardly contain.
texts = st.text(st.sampled_from(EVERY) | st.sampled_from(MARKS) | st.sampled_from(SPECIAL) | st.sampled_from(JOINED))


def in_graph(texts: list[str]) -> list[str]:
    return [text.decode() for text in normalize_in_graph(tf.constant([text.encode() for text in texts])).numpy()]


@settings(max_examples=500)
@given(texts)
@example("\x85\u2028\u3000\x1c a\u0301\u0323 \x00\u0301\u200bb\ufeff \u00ad ")
def test_the_graph_normalises_as_python_does(text):
    assert in_graph([text]) == [normalize(text)]


@pytest.mark.parametrize("around", [("", ""), ("a", "\u0323\u0301"), ("a\u0301", ""), (" ", " "), ("\u1100", "\u11a8")])
def test_they_agree_on_every_character(around):
    """Each with others around it that it may be composed or exchanged with."""
    before, after = around
    lines = [EVERY[begin : begin + 256] for begin in range(0, len(EVERY), 256)]
    texts = ["\u3042".join(before + character + after for character in line) for line in lines]
    assert in_graph(texts) == [normalize(text) for text in texts]


def test_they_agree_on_what_is_white_space():
    found = tf.strings.regex_full_match(list(EVERY), f"[{SPACES}]").numpy()
    assert np.flatnonzero(found).tolist() == [
        place for place, sign in enumerate(EVERY) if sign.isspace() or sign == WORD_START
    ]


@settings(max_examples=300)
@given(
    st.binary()
    | st.lists(st.sampled_from([b"\xc3", b"\xa9", b"\xf0\x9f", b"\xed\xa0\x80", b"a", b"\xff"])).map(b"".join)
)
def test_bytes_that_are_not_utf8_become_the_same_text(data):
    text = data.decode("utf-8", "replace")
    if all(character in EVERY for character in text):
        assert normalize_in_graph(tf.constant([data])).numpy()[0].decode() == normalize(text)


@given(texts)
def test_normalising_twice_is_normalising_once(text):
    once = normalize(text)
    assert normalize(once) == once


@given(texts)
def test_normalised_text_is_uniform(text):
    result = normalize(text)
    assert unicodedata.is_normalized("NFC", result)
    assert not any(unicodedata.category(character) == "Cc" for character in result)
    assert result == " ".join(result.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301", "é"),
        ("e\x00\u0301", "é"),  # the removed character must not keep the two apart
        ("\ufeffab\u200bc\u00add\u2060", "abcd"),
        ("a\u202eb\u202cc\u2066d\u2069", "abcd"),
        ("a\u2028b\u2029c\u0085d\u00a0e\u3000f\x1cg\r\nh", "a b c d e f g h"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # Persian spells with the non-joiner
        ("क्\u200dष", "क्\u200dष"),
        ("❤\ufe0f\u200d👧\ufe0f", "❤\u200d👧"),
        ("👩\u200d 👧", "👩 👧"),  # joins nothing
        ("\u05d0\u200e!", "\u05d0!"),
        ("au\u200dto\u200cbahn", "autobahn"),
        ("葛\U000e0100", "葛"),
        ("\u1820\u180b a\u180b", "\u1820\u180b a"),  # Mongolian spells with selectors
        ("🏴\U000e0067\U000e007f", "🏴\U000e0067\U000e007f"),
        ("a\U000e0067b", "ab"),
        (" {name} <b>", "{name} <b>"),
        ("\x00\ufeff \n", ""),
        ("a\u2581b\u2581", "a b"),  # by which SentencePiece writes a space
    ],
)
def test_normalize(text, expected):
    assert normalize(text) == expected


# Signs that span the digits of an Arabic number, a Syriac abbreviation, and signs of Kaithi and of hieroglyphs.
SEEN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd" + "".join(
    map(chr, range(0x13430, 0x13440))
)


def test_every_format_or_control_character_is_removed_where_it_spells_nothing():
    for character in EVERY:
        if unicodedata.category(character) in ("Cf", "Cc") and character not in SEEN and not character.isspace():
            assert without_invisible(f"a{character}b") == "ab", hex(ord(character))


ALWAYS_UNSEEN = [character for character in EVERY if without_invisible(f"\u1820{character}🏴{character}") == "\u1820🏴"]


@settings(max_examples=300)
@given(texts, st.data())
def test_what_cannot_be_seen_changes_nothing(text, data):
    """Inserted anywhere: joiners too in a text of a script without them."""
    unseen = st.sampled_from([*ALWAYS_UNSEEN, *SPELLING] if text.isascii() else ALWAYS_UNSEEN)
    changed = "".join(character + data.draw(st.just("") | unseen) for character in text)
    assert normalize(changed) == normalize(text)
    assert in_graph([changed]) == [normalize(text)]
