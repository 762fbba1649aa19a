"""Tags, placeholders, addresses and emoji, whatever a translator makes of them."""

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.documents import translate_file
from nmt.documents.protection import keeps, nests, protect, split_at_kept
from nmt.text.placeholders import KINDS

KEPT = [
    "{name}",
    "%s",
    "%(n)d",
    "https://example.org/a?b=c_d&e=1",
    "a.b@example.org",
    "🎉",
    "👩‍💻",
    "🇩🇪",
    "$HOME",
    "&nbsp;",
]
WORDS = st.sampled_from(["one", "two", "three", *KEPT])
TEXTS = st.recursive(
    st.lists(WORDS, min_size=1, max_size=4).map(" ".join),
    lambda inside: st.tuples(st.sampled_from("abiu"), inside, inside).map(
        lambda found: f"<{found[0]} x='1'>{found[1]}</{found[0]}> {found[2]}"
    ),
    max_leaves=6,
)


def hostile(texts):
    """Loses, doubles and exchanges words, tags among them."""
    chance = random.Random(7)
    made = []
    for text in texts:
        words = re.findall(r"<[^<>]*>|\S+", text)
        chance.shuffle(words)
        made.append(" ".join(words[: chance.randint(0, len(words) + 1)] + words[:1]).upper().replace("<X", "<x"))
    return made


@settings(max_examples=30)
@given(
    st.lists(TEXTS, min_size=1, max_size=20), st.sampled_from([["tags"], ["braces"], [], ["tags", "printf", "urls"]])
)
def test_everything_is_kept_and_tags_are_nested(tmp_path_factory, texts, masked):
    folder = tmp_path_factory.mktemp("kept")
    masked = [kind for kind in masked if kind in KINDS]
    rows = "".join('"{}" = "{}";\n'.format(number, text.replace('"', "'")) for number, text in enumerate(texts))
    (folder / "a.strings").write_text(rows)
    translate_file(hostile, folder / "a.strings", folder / "out", source="en", target="de", masked=masked)
    lines = (folder / "out").read_text().splitlines()
    assert len(lines) == len(texts)
    for line, text in zip(lines, texts, strict=True):
        translation = line.partition('= "')[2].removesuffix('";')
        assert keeps(translation, split_at_kept(text)[1::2])
        assert nests(re.findall("<[^<>]*>", translation))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Go to https://a.org/x_y(z).", ["https://a.org/x_y(z"]),
        ("100% of %d, %1$s and %%", ["%d", "%1$s", "%%"]),
        ("%1 of %L2 in %n", ["%1", "%L2", "%n"]),
        ("a < b > c & d", []),
        ("{{ user.name }} has {count} &amp; <br/>", ["{{ user.name }}", "{count}", "&amp;", "<br/>"]),
        ("'{quoted}' text", ["'{quoted}'"]),
        ("👍🏽 1️⃣ ✓", ["👍🏽", "1️⃣", "✓"]),
    ],
)
def test_what_is_kept(text, kept):
    assert protect(text, []).kept == kept


def test_tags_are_pairs_for_a_model_that_keeps_braces_only():
    text = "<b>a <i>b</i></b> <b>c</b> <br> {n}"
    assert protect(text, ["braces"]).text == "{x1}a {x2}b{/x2}{/x1} {x1}c{/x1} {x5} {n}"


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("<標準入力>", "press the key"),  # what a model has seen in its corpus: no translation
        ("<Datei>", "press the key"),
        ("{neu}", "press the key"),
        ("&lt;", "press the key"),
        ("&nbsp;!", "PRESS THE KEY\u00a0!"),
        ("&#8230;", "PRESS THE KEY…"),
        (" 100%ig, www.neu.de", "PRESS THE KEY 100%ig, www.neu.de"),  # text like any other
    ],
)
def test_no_tag_or_placeholder_is_invented(tmp_path, added, expected):
    (tmp_path / "en.json").write_text('{"a": "press the key", "b": "<ファイル> and {n}"}', encoding="utf-8")

    def translate(texts):
        return [text.upper().replace("{N}", "{n}") + (added if "KEY" in text.upper() else "") for text in texts]

    translate_file(translate, tmp_path / "en.json", tmp_path / "de.json", source="en", target="de")
    made = json.loads((tmp_path / "de.json").read_text(encoding="utf-8"))
    assert made == {"a": expected, "b": "<ファイル> AND {n}"}  # what the source has like this is text


def test_a_source_with_such_text_gets_no_more_of_it(tmp_path):
    (tmp_path / "en.json").write_text('{"a": "<ファイル> please"}', encoding="utf-8")
    for added, expected in (("", "<ファイル> PLEASE"), (" <パス>", "<ファイル> please")):
        translate_file(
            lambda texts, added=added: [text.upper() + added for text in texts],
            tmp_path / "en.json", tmp_path / f"de{len(added)}.json", source="en", target="de",
        )  # fmt: skip
        made = json.loads((tmp_path / f"de{len(added)}.json").read_text(encoding="utf-8"))
        assert made == {"a": expected}
