"""Tags that are put into a translation by attention: whatever it is, they come back and are nested."""

import random
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.documents import translate_file
from nmt.documents.placement import Aligned, put_tags, take_tags
from nmt.documents.protection import keeps

_WORD = re.compile(r"\w+")


def spans(text):
    return [found.span() for found in _WORD.finditer(text)]


def aligned(source, target, pairs):
    """A translation whose words were joined by hand: the numbers of the words of the source, for each of the target."""
    weights = np.zeros((len(spans(target)), len(spans(source))))
    for row, columns in enumerate(pairs):
        weights[row, columns] = 1 / max(1, len(columns))
    return Aligned(target, spans(source), spans(target), weights)


def placed(tagged, target, pairs):
    source, root = take_tags(tagged)
    return put_tags(source, root, aligned(source, target, pairs))


@pytest.mark.parametrize(
    ("source", "target", "pairs", "expected"),
    [
        ("the <b>red</b> house", "la maison rouge", [[0], [2], [1]], "la maison <b>rouge</b>"),
        ("<b>Note:</b> stop", "Hinweis: halt", [[0], [1]], "<b>Hinweis:</b> halt"),
        ("<b>All of it.</b>", "Alles.", [[0, 1, 2]], "<b>Alles.</b>"),
        ("end <b>here</b>.", "hier „endet“.", [[1], [0]], "<b>hier</b> „endet“."),
        ("MQTT <b>device</b>", "MQTT-Gerät", [[0], [1]], "MQTT-<b>Gerät</b>"),
        ("<b>a <i>b</i></b> c", "C B A", [[2], [1], [0]], "C <b><i>B</i> A</b>"),
        ("<b>a</b> and <b>b</b>", "B und A", [[2], [1], [0]], "<b>B</b> und <b>A</b>"),
        ("one<br/>two", "eins zwei", [[0], [1]], "eins<br/> zwei"),
        ("one <x1/> two", "eins zwei", [[0], [1]], "eins <x1/> zwei"),
        ("<x1/> one", "eins", [[0]], "<x1/> eins"),
        ("press <b><x1/> now</b>", "jetzt", [[1]], "<b><x1/> jetzt</b>"),
        ("a </b> b", "a b", [[0], [1]], "a </b> b"),
    ],
)
def test_tags_enclose_what_translates_what_they_enclosed(source, target, pairs, expected):
    assert placed(source, target, pairs) == expected


def tagged_text(draw, deepest=3):
    """A text with nested pairs of tags and single ones."""
    parts = []
    for _ in range(draw.randint(1, 3)):
        parts.append(draw.choice(["one", "two three", ".", "<x1/>", "<br>"]))
        if deepest and draw.random() < 0.5:
            name = draw.choice("bi")
            parts.append(f"<{name}>{tagged_text(draw, deepest - 1)}</{name}>")
    return draw.choice(["", " "]).join(parts)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_all_tags_come_back_nested_whatever_the_attention_is(seed):
    draw = random.Random(seed)
    tagged, count = tagged_text(draw), draw.randint(1, 12)
    source, root = take_tags(tagged)
    words, target = spans(source), " ".join(f"w{number}" for number in range(count)) + "."
    weights = np.random.default_rng(seed).random((count, len(words)))
    written = put_tags(source, root, Aligned(target, words, spans(target), weights))
    assert re.sub(r"<[^<>]*>|\s", "", written) == target.replace(" ", "")
    assert keeps(written, re.findall(r"<[^<>]*>", written))
    # Only pairs that enclose no words, or that others leave no words to, can be lost; such texts go piece by piece.
    pairs = re.findall(r"</\w>", tagged)
    if len(pairs) <= 1 and not re.search(r"<(\w)>(?:[^\w<]|<\w+/?>)*</\1>", tagged):
        assert sorted(re.findall(r"<[^<>]*>", written)) == sorted(re.findall(r"<[^<>]*>", tagged))


class Masking:
    """Stands for the translator of a run that masks tags; it translates each word by itself, into capitals."""

    text_to_text = SimpleNamespace(source_tokenizer=SimpleNamespace(placeholders=("tags", "braces")))
    attention = False

    def __init__(self):
        self.seen = []

    def translate(self, texts):
        self.seen += texts
        return [" ".join(word if "{" in word else word.upper() for word in text.split(" ")) for text in texts]

    def hypotheses(self, texts):
        assert self.attention
        for text, translation in zip(texts, self.translate(texts), strict=True):
            words = text.split(" ")
            numbers = [[number] for number in range(len(words))]
            yield [
                SimpleNamespace(
                    text=translation,
                    source_pieces=[f"▁{word}" for word in words],
                    target_pieces=[f"▁{word}" for word in translation.split(" ")],
                    source_words=numbers,
                    target_words=numbers,
                    attention=np.eye(len(words)),
                )
            ]


def test_a_run_that_masks_tags_translates_without_them_too(tmp_path):
    (tmp_path / "a.html").write_text("<p>press <b>this key</b> at https://example.org/a now</p>")
    translator = Masking()
    translate_file(translator, tmp_path / "a.html", tmp_path / "out.html", source="en", target="de")
    assert translator.seen == ["press this key at {x1} now"]
    expected = "<p>PRESS <b>THIS KEY</b> AT https://example.org/a NOW</p>"
    assert (tmp_path / "out.html").read_text() == expected
    assert not translator.attention


def test_one_that_has_learnt_where_tags_go_is_given_them(tmp_path):
    (tmp_path / "a.html").write_text("<p>press <b>this</b> key</p>")
    translator = Masking()
    translator.translate = lambda texts: translator.seen.extend(texts) or texts
    translate_file(translator, tmp_path / "a.html", tmp_path / "b.html", source="en", target="de", tags_learnt=True)
    assert translator.seen == ["press <g1>this</g1> key"]
    braces = SimpleNamespace(source_tokenizer=SimpleNamespace(placeholders=("braces",)))
    other = Masking()
    other.text_to_text = braces  # it has never seen tags, whatever the caller says
    translate_file(other, tmp_path / "a.html", tmp_path / "c.html", source="en", target="de", tags_learnt=True)
    assert other.seen == ["press this key"]
