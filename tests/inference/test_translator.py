"""The translator in Python: its arguments, the words that alignments number, and the error in a forked process."""

import os
import signal
import time
from collections.abc import Callable

import pytest
import tensorflow as tf

from nmt.inference.text_scoring import score_texts
from nmt.inference.translator import Translator
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.language_models import sample_texts
from nmt.serving.client import translate_lines
from nmt.text.masking import mask, restore
from nmt.text.tokenizer import Tokenizer, train_tokenizer

KINDS = ["braces", "tags"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    model = train_tokenizer(["the cat sat on the mat", "the dog sat"], vocabulary_size=300, placeholders=KINDS)
    return Tokenizer(model, placeholders=KINDS)


@pytest.fixture(scope="module")
def translator(tokenizer: Tokenizer) -> Translator:
    model = Seq2Seq(tokenizer.vocabulary_size, units=8, seed=1)
    return Translator(model, tokenizer, beam_size=2, n_best=2, attention=True, max_tokens=8, max_length_offset=4)


LINES = [
    "the cat sat on the mat and the dog sat on the mat",
    "the cat sat. THE DOG SAT! the {b} mat",
    "",
    "<b>the</b> cat",
    "the cat sat on the mat on the mat on",
    "\ud55c\uad6d",
]


@pytest.mark.parametrize(("attention", "max_tokens"), [(False, 30), (True, 8)])
def test_a_few_short_lines_come_before_a_graph_and_are_translated_alike(
    tokenizer: Tokenizer, attention: bool, max_tokens: int
) -> None:
    model = Seq2Seq(tokenizer.vocabulary_size, units=8, seed=1)
    options = {"max_tokens": max_tokens, "max_length_offset": 4, "n_best": 2, "attention": attention}
    translator, with_graph = (Translator(model, tokenizer, beam_size=3, **options) for _ in range(2))
    with_graph.trace()
    first = list(translator.hypotheses(LINES))
    assert translator._translate.experimental_get_tracing_count() == 0
    later = list(translator.hypotheses(LINES))
    assert translator._translate.experimental_get_tracing_count() == 1
    for lines in (later, list(with_graph.hypotheses(LINES))):
        assert len(lines) == len(first)
        for expected, hypotheses in zip(first, lines, strict=True):
            assert len(hypotheses) == len(expected)
            for one, other in zip(expected, hypotheses, strict=True):
                assert (one.text, one.source_pieces, one.target_pieces) == (
                    other.text,
                    other.source_pieces,
                    other.target_pieces,
                )
                assert (one.source_words, one.target_words) == (other.source_words, other.target_words)
                assert (one.score, one.log_probability) == pytest.approx((other.score, other.log_probability), abs=1e-5)
                if attention and one.attention is not None:
                    assert one.attention == pytest.approx(other.attention, abs=1e-5)


@pytest.mark.parametrize("lines", [[""], [" \t", "\u200b"], ["\ud55c\uad6d"]])
def test_where_nothing_is_to_be_searched_no_graph_is_needed(translator: Translator, lines: list[str]) -> None:
    translator._begun = False
    translator._make_graphs()
    assert translator.translate(lines) == [line if line.strip(" \t\u200b") else "" for line in lines]
    assert translator._translate.experimental_get_tracing_count() == 0


@pytest.mark.parametrize("lines", [["the cat"] * 9, ["the cat sat on the mat " * 16]])
def test_what_takes_as_long_as_a_graph_gets_one(translator: Translator, lines: list[str]) -> None:
    translator._begun = False
    translator._make_graphs()
    list(translator.hypotheses(lines))
    assert translator._translate.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("wrong", [None, b"the cat", 7, bytearray(b"x")])
def test_what_is_no_list_of_strings_is_named(translator: Translator, wrong: object) -> None:
    for call, name in ((translator.translate, "texts"), (translator.best, "lines"), (translator.hypotheses, "lines")):
        with pytest.raises(TypeError, match=f"^`{name}`: expected an iterable of str, got {type(wrong).__name__}$"):
            call(wrong)


def test_a_string_is_one_text_or_none(translator: Translator, tokenizer: Tokenizer) -> None:
    assert isinstance(translator.translate("the cat"), str)
    one_string: list[Callable[[], object]] = [
        lambda: translator.best("the cat"),
        lambda: translator.hypotheses("the cat"),
        lambda: score_texts(lambda source, target: None, tokenizer, b"the cat"),
        lambda: train_tokenizer("the cat"),
        lambda: next(translate_lines("localhost:1", "the cat")),
        lambda: tokenizer.encode("the cat"),
        lambda: next(sample_texts("nowhere", 1, 1, prompt=b"the cat")),
    ]
    for call in one_string:
        with pytest.raises(TypeError, match=r"^`\w+`: expected "):
            call()
    with pytest.raises(TypeError, match=r"^`lines`: expected str, got bytes for text 1$"):
        list(translator.hypotheses(["the", b"cat"]))


@pytest.mark.parametrize(
    "text", ["a\r\n b", "<a\nhref='1'> {b} cat", "\u200b the  {a}<b c>dog</b>", "the cat sat on the mat " * 4]
)
def test_words_are_numbered_as_they_were_written(translator: Translator, text: str) -> None:
    for hypothesis in next(translator.hypotheses([text])):
        numbers = {number for of_piece in hypothesis.target_words for number in of_piece}
        assert numbers == set(range(len(hypothesis.text.split())))
        numbers = {number for of_piece in hypothesis.source_words for number in of_piece}
        assert numbers == {number for number, word in enumerate(text.split()) if word != "\u200b"}
        assert len(hypothesis.target_words), len(hypothesis.source_words) == hypothesis.attention.shape


@pytest.fixture(scope="module")
def by_sentence(tokenizer: Tokenizer) -> Translator:
    model = Seq2Seq(tokenizer.vocabulary_size, units=8, seed=1)
    options = {"beam_size": 2, "n_best": 2, "attention": True, "max_tokens": 8, "max_length_offset": 4}
    languages = {"source_language": "en", "target_language": "de"}
    return Translator(model, tokenizer, **options, **languages, split_sentences=True, truecase=True)


SENTENCES = ["The cat sat on {a} and the mat and {b}.", "{b} sat!", "THE CAT SAT ON {a} {c}.", "<b>No. 5</b>"]


def test_each_sentence_is_translated_as_if_alone(by_sentence: Translator) -> None:
    a, b, c, d = (next(by_sentence.hypotheses([sentence])) for sentence in SENTENCES)
    text = " {} {}\t {}  {}\n".format(*SENTENCES)
    whole = next(by_sentence.hypotheses([text]))
    for rank, one in enumerate(whole):
        parts = [of_sentence[rank] for of_sentence in (a, b, c, d)]
        assert one.text == f" {parts[0].text} {parts[1].text}\t {parts[2].text}  {parts[3].text}\n"
        assert one.log_probability == pytest.approx(sum(part.log_probability for part in parts), rel=1e-4)
        assert one.source_pieces == [piece for part in parts for piece in part.source_pieces]
        assert one.target_pieces == [piece for part in parts for piece in part.target_pieces]
        assert one.attention.shape == (len(one.target_pieces), len(one.source_pieces))
        assert {number for of_piece in one.source_words for number in of_piece} == set(range(len(text.split())))
        assert {number for of_piece in one.target_words for number in of_piece} == set(range(len(one.text.split())))
    assert "{a}" in whole[0].text
    assert "{c}" in c[0].text.replace("{a}", "") == c[0].text.upper().replace("{A}", "").replace("{C}", "{c}")


def test_what_the_model_cannot_read_stays_as_it_is(by_sentence: Translator) -> None:
    korean = "고양이가 {a} 앉았다."
    (kept,) = next(by_sentence.hypotheses([korean]))
    assert (kept.text, kept.score, kept.log_probability) == (korean, 0.0, 0.0)
    assert {number for of_piece in kept.target_words for number in of_piece} == {0, 1, 2}
    before, after = by_sentence.translate(["The cat sat.", "{b} sat!"])
    assert by_sentence.translate([f"The cat sat. {korean}  {{b}} sat!", "", korean, "{b} sat!"]) == [
        f"{before} {korean}  {after}", "", korean, after,
    ]  # fmt: skip


def test_white_space_is_kept_around_what_can_be_seen(by_sentence: Translator) -> None:
    assert by_sentence.translate([" \t", "", "\u200b", " \u200b\n\n"]) == [""] * 4
    assert by_sentence.translate(" the cat\u3000") == " " + by_sentence.translate("the cat") + "\u3000"
    assert by_sentence.translate("The cat。The dog") == " ".join(by_sentence.translate(["The cat。", "The dog"]))


def test_a_line_end_in_a_placeholder_comes_back(translator: Translator) -> None:
    text = "the <a\r\nhref='\u2028'> cat"
    masked = mask(KINDS, tf.constant([text]))
    assert restore(masked.source[:, None], masked.placeholders).numpy()[0, 0].decode() == text
    assert "<a\r\nhref='\u2028'>" in translator.translate(text)


def test_a_fork_is_an_error_and_does_not_hang(translator: Translator, tokenizer: Tokenizer) -> None:
    translator.translate("the cat")
    child = os.fork()
    if child == 0:
        said = []
        for call in (lambda: translator.translate("the cat"), lambda: tokenizer.encode(["the cat"])):
            try:
                call()
            except RuntimeError as error:
                said.append("spawn" in str(error) and "\n" not in str(error))
        os._exit(0 if said == [True, True] else 1)
    deadline = time.monotonic() + 60
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    if not ended[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended == (child, 0)
