"""Where sentences end: by hand, and in the graph as in plain Python for all of Unicode."""

# ruff: noqa: RUF001

from collections.abc import Callable
from functools import cache

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.text.sentences import space_between, split_sentences
from nmt.text.splitting import Sentences, join_sentences
from nmt.text.splitting import split_sentences as split_in_graph

KINDS = ("braces", "tags")
# A bar stands where a sentence ends; a text is as it is without bars.
CASES = [
    ("en", "Hello there.| How are you?|\tFine!!|  Really?!| Yes…| No..."),
    ("en", "Wait… what? no.| \"Yes!\"| 'No.'| (Really.)| [1] So.| 5 left.| «Why?»| ¿Qué?| Ok"),
    ("en", "Dr. Smith met Mrs. J. R. R. Tolkien, cf. Tolkien.| He left the U.S. Army in Jan. 1918, e.g. No. 5."),
    ("en", "Version 3.5.1 is out.| See www.a.com/b.c?d=E.F or a.out.| It costs $5.| No.| Only $4.99! .NET runs"),
    ("en", "1. Do this.| 2. Do that.| 3. Stop."),
    ("en", "So good! 😀| Next one.😀👍🏽| And 👩‍💻 Done"),
    ("en", "Title|\n\na line\nand another|\r\n\r\nlast"),
    ("en", "- Yes.| - No.| —Why?| *Because.*| (No. 5, e.g. Mr. Y.)| Z"),
    ("de", "Am 1. Januar, dem 2. Mai und z. B. am XX. Tag kam Hr. Dr. Müller, Bahnhofstr. 5a.| Ende 1990.| Ja."),
    ("en", "We were 20.| Then we left."),
    ("fr", "« Bonjour. »| Il dit, p. ex. Paris ?| Oui !| M. Dupont"),
    ("ru", "См. рис. 5 на ул. Ленина.| Да.| «Нет?»| Он"),
    ("zh", "你好。|吗？！|“走。”他说。|「甲。」|「乙。」丙！| 下。"),
    ("ja", "はい。|いいえ！| そう…です。"),
    ("hi", "यह है।|वह नहीं है।| ठीक"),
    ("km", "មួយ។|ពីរ"),
    ("my", "တစ်။|နှစ်"),
    ("ar", "ما هذا؟| هذا كتاب.| نعم"),
    ("en", "Press {a. B} and <b title='A. B'>that.</b>| {name}.| {x} it.</b>| <i>So"),
    ("en", "... 4 + 4 = 8. Well"),
    ("en", "no capitals. none at all.yes"),
    ("en", "Zero\u200b width.\u200b| Dr.\u200d Who"),
]


@pytest.mark.parametrize(("language", "text"), CASES)
def test_sentences_by_hand(language: str, text: str) -> None:
    sentences, end = split_sentences(text.replace("|", ""), language, KINDS)
    assert [before + sentence for before, sentence in sentences] == text.split("|")
    assert not end


@cache
def graph(language: str, kinds: tuple[str, ...]) -> Callable[[tf.Tensor], tuple[Sentences, list[tf.Tensor]]]:
    """Splits texts, and joins their sentences again for English and for Chinese."""

    def split_and_join(texts: tf.Tensor) -> tuple[Sentences, list[tf.Tensor]]:
        split = split_in_graph(texts, language, kinds)
        sentences = split.sentences.flat_values[:, None]
        return split, [join_sentences(sentences, split, target)[:, 0] for target in ("en", "zh")]

    return tf.function(split_and_join, input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)


def in_graph(split: Sentences) -> list[tuple[list[tuple[str, str]], str]]:
    rows = zip(split.before.to_list(), split.sentences.to_list(), split.end.numpy(), strict=True)
    return [
        ([(space.decode(), text.decode()) for space, text in zip(*row[:2], strict=True)], row[2].decode())
        for row in rows
    ]


FRAGMENTS = st.sampled_from(
    [
        *".!?…。！।\"'”»)「」({}<>-*5٣aéZ日ا😀\ufe0f\u200b\u2029\ufdd0\u2581 \t\n",
        ". ",
        "! A",
        "Dr.",
        "No.",
        "z. B. ",
        "1.",
        "{a. B}",
    ]
)
TEXTS = st.lists(FRAGMENTS, max_size=30).map("".join) | st.text(max_size=20)


@settings(max_examples=100)
@given(texts=st.lists(TEXTS, max_size=5), language=st.sampled_from(["de", "zh"]), kinds=st.sampled_from([(), KINDS]))
def test_the_graph_splits_as_plain_python(texts: list[str], language: str, kinds: tuple[str, ...]) -> None:
    split, joined = graph(language, kinds)(tf.constant([text.encode() for text in texts], tf.string))
    expected = [split_sentences(text, language, kinds) for text in texts]
    assert in_graph(split) == expected
    for text, (sentences, end) in zip(texts, expected, strict=True):
        assert all(sentence == sentence.strip("\t\n\u2029\u2581 ") != "" for _, sentence in sentences)
        whole = "".join(before + sentence for before, sentence in sentences) + end
        assert whole == text.replace("\ufdd0", "\ufffd")
    # Joined again, each is where it was, and the white space between them is the target language's.
    for target, texts_again in zip(("en", "zh"), joined, strict=True):
        plain = []
        for sentences, end in expected:
            spaces = [space_between(before, target) if place else before for place, (before, _) in enumerate(sentences)]
            plain.append("".join(space + text for space, (_, text) in zip(spaces, sentences, strict=True)) + end)
        assert [text.decode() for text in texts_again.numpy()] == plain


def test_bytes_that_are_no_text() -> None:
    assert split_in_graph(tf.constant([b"A\xff. B"]), "en").sentences.to_list() == [["A\ufffd.".encode(), b"B"]]
