"""What is exported gives the translator's results, whatever string comes."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import nmt
from nmt.cli import main
from nmt.inference.text_to_text import COMPILED_LENGTHS
from nmt.runs.scoring import score_files
from nmt.serving.saved_model import _warmup_texts, export_saved_model
from nmt.utils.errors import UserError
from tests.helpers import SHIPPED_DECODING, SHIPPED_OPTIONS

ODD = [b"", b"  \t\n ", b"\xff\xfe\x80", b"\x00\x01\x1b", "1 2\u2028 3".encode(), b"7 " * 50_000, "好".encode() * 2_000]


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported / "1")).signatures


@pytest.fixture(scope="module")
def translator(trained_run):
    return nmt.load_translator(str(trained_run), overrides=SHIPPED_DECODING, n_best=2)


def ask(signatures, texts, name="serving_default"):
    return {key: value.numpy() for key, value in signatures[name](text=tf.constant(texts, tf.string)).items()}


def encoded(texts):
    return [text.encode() for text in texts]


@settings(max_examples=20)
@given(texts=st.lists(st.text(max_size=40) | st.text("0123456789 ", max_size=60), min_size=10, max_size=10))
def test_any_unicode_string_has_the_translators_translation(signatures, translator, texts):
    answer = ask(signatures, encoded(texts))
    alone = [ask(signatures, [text]) for text in encoded(texts)]
    for index, (text, hypotheses) in enumerate(zip(texts, translator.hypotheses(texts), strict=True)):
        best, score = (hypotheses[0].text, hypotheses[0].score) if hypotheses else ("", 0.0)
        for translation, its_score in (
            (answer["translation"][index], answer["score"][index]),
            (alone[index]["translation"][0], alone[index]["score"][0]),
        ):
            assert translation.decode() == best, text
            np.testing.assert_allclose(its_score, score, atol=1e-5)


def test_the_command_translates_alike(signatures, trained_run, tmp_path):
    lines = ["", "3 1 4", "  ", "Grüße, 世界 😀", "9 9 9 9 1", "x" * 300]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines))
    files = ["--input", str(tmp_path / "in.txt"), "--output", str(tmp_path / "out")]
    main_exits_well(["translate", str(trained_run), *files, *SHIPPED_OPTIONS])
    assert (tmp_path / "out").read_text().split("\n")[:-1] == [
        text.decode() for text in ask(signatures, encoded(lines))["translation"]
    ]


def test_odd_strings_have_an_answer_and_change_no_other(signatures):
    mixed = [*ODD, b"3 1 4"]
    answer = ask(signatures, mixed)
    assert answer["translation"][-1] == ask(signatures, [b"3 1 4"])["translation"][0] != b""
    assert answer["translation"][:2].tolist() == [b"", b""]
    assert answer["score"][:2].tolist() == [0.0, 0.0]
    for text in answer["translation"]:
        text.decode()  # is UTF-8
    assert np.isfinite(answer["score"]).all()
    assert (answer["score"] > -1e8).all()


@pytest.mark.parametrize("name", ["serving_default", "nbest", "score"])
def test_no_strings_at_all(signatures, name):
    names = ("source", "target") if name == "score" else ("text",)
    answers = signatures[name](**{key: tf.constant([], tf.string) for key in names})
    assert {value.shape[0] for value in answers.values()} == {0}


def test_n_best_equals_the_translators(signatures, translator):
    texts = ["3 1 4 1 5", "", "2 7"]
    answer = ask(signatures, texts, "nbest")
    for index, hypotheses in enumerate(translator.hypotheses(texts)):
        for rank in range(2):
            if rank < len(hypotheses):
                assert answer["translations"][index, rank].decode() == hypotheses[rank].text
                np.testing.assert_allclose(answer["scores"][index, rank], hypotheses[rank].score, atol=1e-5)
                np.testing.assert_allclose(
                    answer["log_probabilities"][index, rank], hypotheses[rank].log_probability, atol=1e-4
                )
    assert answer["translations"][1].tolist() == [b"", b""]
    assert answer["scores"][1].tolist() == [0.0, 0.0]


def test_scores_equal_the_commands(signatures, trained_run, tmp_path):
    pairs = [("3 1 4", "4 1 3"), ("2 7", "7"), ("5 5 5 5", "x y z")]
    paths = [tmp_path / "source.txt", tmp_path / "target.txt"]
    for path, lines in zip(paths, zip(*pairs, strict=True), strict=True):
        path.write_text("".join(line + "\n" for line in lines))
    expected = list(score_files(trained_run, *paths, None))
    sources, targets = (tf.constant(side) for side in zip(*pairs, strict=True))
    answer = signatures["score"](source=sources, target=targets)
    np.testing.assert_allclose(answer["log_probability"], [value for value, _ in expected], atol=1e-4)
    assert answer["tokens"].numpy().tolist() == [tokens for _, tokens in expected]


def test_long_pairs_are_scored_by_their_beginning(signatures):
    answer = signatures["score"](source=tf.constant([b"1 " * 50_000, b"1"]), target=tf.constant([b"2 " * 50_000, b""]))
    assert answer["tokens"].numpy().tolist() == [512, 1]
    assert np.isfinite(answer["log_probability"]).all()


def test_versions_are_counted_and_nothing_else_is_left(trained_run, tmp_path):
    first = export_saved_model(trained_run, tmp_path / "model", overrides=["decoding.beam_size=1"])
    second = export_saved_model(trained_run, tmp_path / "model", overrides=["decoding.beam_size=1"])
    assert (first.name, second.name) == ("1", "2")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["1", "2"]


def test_the_command_exports_and_says_where(trained_run, tmp_path, capsys, signatures, translator):
    options = ["--n-best", "1", "--xla", *SHIPPED_OPTIONS]
    main_exits_well(["export", str(trained_run), "--to", str(tmp_path / "model"), *options])
    assert f"{tmp_path / 'model' / '1'}: a SavedModel" in capsys.readouterr().err
    loaded = tf.saved_model.load(str(tmp_path / "model" / "1"))
    assert loaded.signatures["nbest"](text=tf.constant(["1 2"]))["translations"].shape == (1, 1)

    # What XLA has compiled translates alike: sentences of up to 16 tokens, and what it does not take.
    for texts in (["3 1 4"], [""], ["9 9 9 9 1 2 3"], ["5 6 7 " * 40], ["3 1 4", "1 5"]):
        compiled, plain = (ask(one, texts) for one in (loaded.signatures, signatures))
        assert compiled["translation"].tolist() == plain["translation"].tolist()
        np.testing.assert_allclose(compiled["score"], plain["score"], atol=1e-5)
    graph = loaded.signatures["serving_default"].graph.as_graph_def()
    compiled = [one for one in graph.library.function if one.attr["_XlaMustCompile"].b]
    assert len(compiled) == 1


@pytest.mark.parametrize(("max_tokens", "lengths"), [(100, (16, 32, 64)), (20, (16, 20))])
def test_the_warm_up_has_a_sentence_for_each_length_that_is_compiled(translator, max_tokens, lengths):
    graph = translator.text_to_text
    texts = _warmup_texts(graph.source_tokenizer, max_tokens, COMPILED_LENGTHS)
    found = graph.find(tf.constant(texts))
    assert found.parts.numpy().tolist() == [1] * len(lengths)
    assert (found.scores.numpy() < 0).all()  # what the model cannot read has the score 0
    for most, tokens in zip(lengths, found.source.row_lengths().numpy(), strict=True):
        assert most - 2 <= tokens <= most


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-best", "3"], "--n-best: expected at most decoding.beam_size 2, got 3"),
        (["--set", "model.units=3"], "only decoding"),
        (["--weights", "int8"], "expected --format litert"),
        (["--format", "litert", "--n-best", "2"], "translates one sentence at a time"),
    ],
)
def test_a_mistake_prints_one_line(trained_run, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        main(["export", str(trained_run), "--to", str(tmp_path / "model"), *arguments])
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_a_place_that_cannot_be_written(trained_run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: cannot be written"):
        export_saved_model(trained_run, tmp_path / "file")


def test_a_failed_export_leaves_nothing(trained_run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("nmt.serving.saved_model.write_warmup", full)
    with pytest.raises(UserError, match="No space left"):
        export_saved_model(trained_run, tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


def test_json_of_the_client_has_no_more_than_the_server_gives(tmp_path):
    from nmt.documents.lines import translate_text_file
    from nmt.serving.client import Translation

    (tmp_path / "in").write_text("a\n")
    translate_text_file(
        lambda lines, _: ([Translation("b", -0.5)] for _ in lines), tmp_path / "in", tmp_path / "out", as_json=True
    )
    assert json.loads((tmp_path / "out").read_text())["hypotheses"] == [{"text": "b", "score": -0.5}]


def main_exits_well(arguments):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 0
