"""Masking and restoring in the graph, against the same rules written plainly, and what training data becomes by it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.config import Config, parse_config
from nmt.constants import SIDES
from nmt.data.epochs import training_epoch
from nmt.data.preparation import prepare
from nmt.data.token_store import TokenizedCorpus, read_masked_sentences, read_sentences
from nmt.data.vocabulary import load_tokenizers
from nmt.text import placeholders
from nmt.text.masking import mask, restore
from nmt.text.placeholders import KINDS, REPLACEMENT, SYMBOLS
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.utils.errors import UserError

EVERY = [*KINDS, r"/b\d*[^%a ]|日/"]
# Texts of what placeholders are made of, of whole ones that are often equal, and of the symbols themselves.
FRAGMENTS = st.sampled_from(
    [
        *"{}%$<>/()@.#sdb01 \n\té\ufdd0\ufdda\ufddf",
        "{a}",
        "{b}",
        "{{ c }}",
        "%s",
        "%1$s",
        "<b>",
        "</b>",
        "x ",
        "日",
        "😀\ufe0f",
        "\u200b",
        "https://a.b/c",
        "www.",
        "a@b.de",
    ]
)
TEXTS = st.lists(FRAGMENTS, max_size=30).map("".join) | st.text(max_size=20)


def plainly(source: str, target: str, kinds: list[str]) -> tuple[str, str, list[str]]:
    """Character by character: no other order than that of the source."""
    found: list[str] = []
    texts = []
    for text in (source, target):
        clean = "".join(REPLACEMENT if 0xFDD0 <= ord(sign) <= 0xFDDF else sign for sign in text)
        done = position = 0
        parts = []
        while position < len(clean):
            match = re.compile(placeholders.pattern(kinds)).match(clean, position)
            if match is None:
                position += 1
                continue
            if text is source and match[0] not in found:
                found.append(match[0])
            number = found.index(match[0]) if match[0] in found else len(SYMBOLS)
            parts += [clean[done:position], SYMBOLS[number] if number < len(SYMBOLS) else match[0]]
            done = position = match.end()
        texts.append("".join([*parts, clean[done:]]))
    found = found[: len(SYMBOLS)]
    return texts[0], texts[1], found + [""] * (len(SYMBOLS) - len(found))


def in_graph(pairs: list[tuple[str, str]], kinds: list[str]) -> list[tuple[str, str, list[str]]]:
    sides = (tf.constant([pair[side].encode() for pair in pairs], tf.string) for side in (0, 1))
    masked = [side.numpy() for side in mask(kinds, *sides)]
    return [
        (source.decode(), target.decode(), [text.decode() for text in of_source])
        for source, target, of_source in zip(*masked, strict=True)
    ]


@settings(max_examples=80)
@given(
    pairs=st.lists(st.tuples(TEXTS, TEXTS), max_size=5),
    kinds=st.lists(st.sampled_from(EVERY), min_size=1, max_size=3, unique=True),
)
@example(pairs=[("".join(f"{{{n % 12}}}" for n in range(30)), "{11}{3}{4}{c}")] * 2, kinds=["braces"])
@example(pairs=[("1 {a}", "{a}"), ("", "{a}"), ("{b}1 {a}", "{a}{b}"), ("11 {a}", "")], kinds=["braces"])
def test_masking_equals_the_plain_rules(pairs: list[tuple[str, str]], kinds: list[str]) -> None:
    expected = [plainly(source, target, kinds) for source, target in pairs]
    assert in_graph(pairs, kinds) == expected
    assert [placeholders.mask(source, kinds) for source, _ in pairs] == [(row[0], row[2]) for row in expected]
    # Without targets, and with no other text beside it, a source is the same.
    for source, row in zip((source for source, _ in pairs), expected, strict=True):
        alone = mask(kinds, tf.constant([source.encode()]))
        assert alone.source.numpy()[0].decode() == row[0]
        assert [text.decode() for text in alone.placeholders.numpy()[0]] == row[2]
        assert alone.target.shape == (0,)


def _repeated(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    groups = st.lists(st.lists(inner, min_size=1, max_size=3).map("".join), min_size=1, max_size=3).map("|".join)
    quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,3}", "*?", "+?", "??"])
    return st.builds("({}){}".format, groups, quantifiers | st.just("")) | st.builds("{}{}".format, inner, quantifiers)


EXPRESSIONS = st.recursive(
    st.sampled_from(
        ["a", "b", "日", "😀", r"\d", r"\w", ".", "[a-c1]", "[^a\\d]", r"[\w日-]", r"\.", r"\{", "x-", "\u200b"]
    ),
    _repeated,
    max_leaves=6,
)


@settings(max_examples=80)
@given(expression=EXPRESSIONS, texts=st.lists(st.text("ab1日😀.x-{ é٣\n\u200b", max_size=12), min_size=1, max_size=4))
def test_a_users_expression_is_read_alike_by_both_engines(expression: str, texts: list[str]) -> None:
    kinds = [f"/{expression}/"]
    try:
        placeholders.pattern(kinds)
    except ValueError:  # matches nothing, or repeats what may be empty
        return
    assert in_graph([(text, "") for text in texts], kinds) == [plainly(text, "", kinds) for text in texts]


@settings(max_examples=100)
@given(
    texts=st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=4),
    known=st.lists(st.lists(st.sampled_from(["", "{a}", "%s", " ", "\ufdd1"]), min_size=10, max_size=10), min_size=4),
)
@example(texts=[["\ufdd0 a\ufdd1  \ufdd2\ufdd9", "\ufdd1"]], known=[["{a}", "", "{c}", *[""] * 7]])
def test_restoring_equals_the_plain_rules(texts: list[list[str]], known: list[list[str]]) -> None:
    known = known[: len(texts)]

    def plain(text: str, of_source: list[str]) -> str:
        restored = ""
        for sign in text:
            if sign in SYMBOLS:
                name = of_source[SYMBOLS.index(sign)]
                restored = restored + name if name else restored.removesuffix(" ")
            else:
                restored += REPLACEMENT if sign == "\ufddf" else sign
        return restored

    encoded = [[text.encode() for text in row] for row in texts]
    table = tf.constant([[name.encode() for name in row] for row in known], tf.string, (len(known), 10))
    found = restore(tf.constant(encoded, tf.string, (len(texts), 2)), table).numpy()
    assert found.shape == (len(texts), 2)
    for row, of_source, answers in zip(texts, known, found, strict=True):
        for text, answer in zip(row, answers, strict=True):
            # A placeholder that ends in a space, before a symbol that goes, is as rare as it looks.
            if " " not in of_source:
                assert answer.decode() == plain(text, of_source)
            assert placeholders.restore(text, of_source) == answer.decode()


@settings(max_examples=100)
@given(text=TEXTS)
def test_what_is_masked_comes_back(text: str) -> None:
    masked = mask(EVERY, tf.constant([text.encode()]))
    back = restore(masked.source[:, None], masked.placeholders).numpy()[0, 0].decode()
    assert back == re.sub("[\ufdd0-\ufddf]", REPLACEMENT, text)


def test_texts_without_placeholders_stay_bit_by_bit() -> None:
    texts = ["", " two  spaces\t", "Grüße 😀 \u2581 e\u0301", "100% of { this and that }", "1 < 2\x00\x1b", "日" * 5000]
    masked = mask(["braces", "printf", "tags"], tf.constant(texts), tf.constant(texts))
    assert (
        [text.decode() for text in masked.source.numpy()] == [text.decode() for text in masked.target.numpy()] == texts
    )
    assert not any(masked.placeholders.numpy().flat)
    odd = tf.constant([b"{a} \xff\xfe", "\ufdd0".encode()])
    nothing = mask([], odd, odd)
    assert nothing.source is odd
    assert nothing.target is odd
    assert restore(odd[:, None], nothing.placeholders).numpy()[:, 0].tolist() == odd.numpy().tolist()


def test_bytes_that_are_no_text() -> None:
    masked = mask(EVERY, tf.constant([b"{a\xff} \xc3{b}"]))
    assert masked.source.numpy()[0].decode() == f"{SYMBOLS[0]} {REPLACEMENT}{SYMBOLS[1]}"
    assert [text.decode() for text in masked.placeholders.numpy()[0, :2]] == [f"{{a{REPLACEMENT}}}", "{b}"]


def config_for(folder: Path, pairs: list[tuple[str, str]], **changes: Any) -> Config:
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    corpus = {"kind": "tsv", "train": [path], "validation": [path], "test": [path]}
    tree: dict[str, Any] = {"data": {"source_language": "en", "target_language": "de", "corpus": corpus}}
    tree["tokenizer"] = {"vocabulary_size": 320, "placeholders": ["braces"]} | changes
    return parse_config(tree | {"model": {"tied_embeddings": "target"}}, "test")


PAIRS = [
    (
        f"{who} {{{first}}} sees {{{second}}} and {{{first}}}",
        f"{second} sieht {{{second}}}: {who}, {{{first}}} {{other}}",
    )
    for who in ("the dog", "a cat", "my neighbour", "everything", "nothing at all", "breakfast")
    for first in ("name", "entity_id", "file")
    for second in ("name", "value", "n")
] + [("nothing {here} at all <b>", "gar nichts <b>"), ("the cat", "die Katze {alone}")]


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
@pytest.mark.parametrize("joint", [True, False])
def test_the_store_holds_symbols_and_the_files_the_text(tmp_path: Path, algorithm: str, joint: bool) -> None:
    config = config_for(tmp_path, PAIRS, algorithm=algorithm, joint=joint, sampling=0.1, vocabulary_size=305)
    folder = tmp_path / "data"
    prepare(config, folder)
    kinds = config.tokenizer.placeholders
    tokenizers = load_tokenizers(folder, kinds)
    stores = [TokenizedCorpus.open(folder, "train"), *(training_epoch(folder, config, epoch) for epoch in range(2))]
    rows = [
        store.gather(np.arange(len(store)), store.source_lengths.max(), store.target_lengths.max()) for store in stores
    ]
    for number, (side, tokenizer) in enumerate(zip(SIDES, tokenizers, strict=True)):
        assert list(read_sentences(folder, "train", side)) == [pair[number] for pair in PAIRS]
        expected = [plainly(*pair, kinds)[number] for pair in PAIRS]
        assert list(read_masked_sentences(folder, "train", side, kinds)) == expected
        for sides in rows:
            assert [text.decode() for text in tokenizer.decode(sides[number]).numpy()] == expected
            pieces = [tokenizer.pieces(ids) for ids in sides[number]]
            assert [[piece for piece in row if piece in SYMBOLS] for row in pieces] == [
                [sign for sign in text if sign in SYMBOLS] for text in expected
            ]
        symbols = [piece for piece in tokenizer.pieces(range(tokenizer.vocabulary_size)) if set(piece) & set(SYMBOLS)]
        assert symbols == list(SYMBOLS)  # each by itself, and in no other piece
    assert (rows[1][0].shape, rows[1][0].tolist()) != (rows[2][0].shape, rows[2][0].tolist())


def test_a_tokenizer_without_symbols_is_told(tmp_path: Path) -> None:
    model = train_tokenizer(["the cat", "the dog"], vocabulary_size=300)
    assert Tokenizer(model).placeholders == ()
    (tmp_path / "plain.model").write_bytes(model)
    with pytest.raises(UserError, match=r"plain\.model: has no symbols for tokenizer\.placeholders"):
        prepare(config_for(tmp_path, PAIRS, model=str(tmp_path / "plain.model")), tmp_path / "data")
