"""Sentences in unusual case get the case of the training text, in the graph as in plain Python."""

# ruff: noqa: RUF001 (other scripts)

import json
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.noise import capitalize_words
from nmt.text.capitals import lower, upper
from nmt.text.graph_truecaser import GraphTruecaser
from nmt.text.normalization import normalize
from nmt.text.placeholders import SYMBOLS
from nmt.text.truecaser import Truecaser, train_truecaser

TEXT = [
    "Plug the cable into the USB port.",
    "Whose hungry dog is it? Of Ada Lovelace.",
    "The dog's owner left GNOME and Berlin.",
    "Wait here. Then plug it into the other port!",
    f"Open {SYMBOLS[0]} with the iPhone, please.",
    "Ada",
] * 60
TRUECASER = train_truecaser(TEXT, "en")


@pytest.mark.parametrize("change", [lower, upper, capitalize_words])
@pytest.mark.parametrize("text", dict.fromkeys(TEXT))
def test_text_of_the_training_comes_back(text: str, change: Any) -> None:
    expected = text if text != "Ada" or change is not upper else "ADA"  # a single word may be an abbreviation
    assert TRUECASER.restore(change(text, "en")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dog of Zoe", "The dog of Zoe"),
        ("the dog of zoe", "The dog of zoe"),
        ("THE DOG OF ZOE", "The dog of zoe"),
        ("The Dog of Zoe", "The dog of Zoe"),
        ("(THE \"DOG\") 'IS' HERE!", "(The \"dog\") 'is' here!"),
        ("it is. it is? dog… it, e.g. this", "It is. It is? Dog… It, e.g. this"),
        ("“usb!” “port.” the usb", "“USB!” “Port.” The USB"),
        (f"{SYMBOLS[0]} the usb port", f"{SYMBOLS[0]} the USB port"),
        ("[the usb](usb_port.the). *the usb*", "[The USB](usb_port.the). *The USB*"),
        ("3 usb ports", "3 USB ports"),
        ("USB 3", "USB 3"),
        ("日本の USB", "日本の USB"),
        ("", ""),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert TRUECASER.restore(text) == expected
    assert GraphTruecaser(TRUECASER).restore(tf.constant([text])).numpy()[0].decode() == expected


def test_a_form_that_the_training_text_has_stays() -> None:
    label = train_truecaser([*["Hours", "The days"] * 100, "units", "File Menu", "The menu"], "en")
    assert (label.fewest_small, label.fewest_titles) == (1, 2)
    assert [label.restore(text) for text in ("units", "hours", "File Menu", "The Menu")] == [
        "units", "Hours", "File Menu", "The menu",
    ]  # fmt: skip
    small = train_truecaser(["hours left", "days and months", "The USB port"] * 100, "en")
    assert small.restore("hours left") == "hours left"
    assert small.restore("the usb") == "the usb"
    titles = train_truecaser(
        ["File Manager", "Save File", "The file manager saves each USB port somewhere"] * 100, "en"
    )
    assert titles.restore("Save File") == "Save File"
    assert titles.restore("Each Usb Port Somewhere Now") == "Each USB port somewhere Now"
    always = train_truecaser(["all of it is small", "so is this"] * 100, "en")
    assert (always.fewest_small, always.exceptions) == (None, set())
    assert train_truecaser(["Zu wenige Sätze."], "de").restore("zu wenige sätze.") == "zu wenige sätze."
    assert train_truecaser([], "de").restore("zu wenige Sätze.") == "zu wenige Sätze."


def test_languages() -> None:
    assert Truecaser(["KIZ"], language="tr").restore("KIZ ILE") == "KIZ ıle"
    assert Truecaser(language="ka").restore("ᲓᲘᲓᲘ ᲥᲐᲚᲐᲥᲘ") == "დიდი ქალაქი"
    assert Truecaser(language="el").restore("ΟΔΟΣ ΣΑΣ") == "Οδος σας"
    assert Truecaser(["straße"], language="de").restore("AUF DER STRAẞE") == "Auf der straße"


@pytest.fixture(scope="module")
def graphs() -> dict[tuple[int | None, str], tuple[Truecaser, Any]]:
    made = {}
    for fewest in (None, 1, 3, 8):
        for language in ("en", "tr", "ka"):
            words = ["the", "USB", "iPhone", "Ǆ", "ıi", "", "Ada’s", "straße"]
            truecaser = Truecaser(words, fewest, fewest, language, ["the the", "Ab Ab", "ab"])
            graph = tf.function(
                GraphTruecaser(truecaser).restore, input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False
            )
            made[fewest, language] = truecaser, graph
    return made


WORDS = st.sampled_from(
    ["the", "The", "THE", "usb", "Usb", "iphone", "ab", "Ab", "ab.", "\"ab.\"", "(", "Ǆ", "ǆ", "ǅa", "İi", "ada’s",
     "日本", "Σας", "ΣΑΣ.", "straße", "STRASSE", "x-Y", "3D", SYMBOLS[0], "ab…", "დიდი", "ᲓᲘᲓᲘ"]
)  # fmt: skip
TEXTS = st.lists(WORDS | st.text(max_size=3), max_size=12).map(" ".join).map(normalize)


@settings(max_examples=300)
@given(st.lists(TEXTS, max_size=8), st.sampled_from([None, 1, 3, 8]), st.sampled_from(["en", "tr", "ka"]))
def test_the_graph_does_the_same(graphs: Any, texts: list[str], fewest: int | None, language: str) -> None:
    truecaser, graph = graphs[fewest, language]
    expected = [truecaser.restore(text) for text in texts]
    found = [text.decode() for text in graph(tf.constant(texts, tf.string)).numpy()]
    assert found == expected
    for text, restored in zip(texts, expected, strict=True):
        assert lower(restored, language) == lower(text, language) or "ß" in restored  # only the case has changed


def test_the_table_outlives_a_change_of_the_seed() -> None:
    graph = GraphTruecaser(TRUECASER)
    tf.random.set_seed(1)
    assert graph.restore(tf.constant(["the usb port"])).numpy()[0] == b"The USB port"


def test_as_plain_values() -> None:
    values = json.loads(json.dumps(TRUECASER.to_json()))
    assert Truecaser.from_json(values, "en").to_json() == TRUECASER.to_json()
    for damaged in (
        None, {}, values | {"words": "a"}, values | {"words": [1]}, values | {"fewest_small": 0},
        values | {"fewest_titles": 9}, values | {"fewest_small": True}, values | {"more": 1},
        values | {"exceptions": None},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            Truecaser.from_json(damaged, "en")
