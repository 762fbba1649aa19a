"""`nmt score` against arithmetic of its own, and `nmt evaluate` against `nmt score`."""

import json

import numpy as np
import pytest
import tensorflow as tf

from nmt.constants import BEGIN, END
from nmt.decoding.scoring import make_sentence_scorer
from nmt.inference.text_scoring import score_texts
from nmt.models.language_model import LanguageModel
from nmt.runs.checkpoints import load_arrays
from nmt.runs.folder import RunFolder
from nmt.runs.language_models import load_language_model
from tests.helpers import run_command

TEXT = "3 1 4\n\n9 9 8 7 6 5 4 3 2 1\nGrüße, 世界 😀\n1 2\n"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def printed_scores(run, text, capsys) -> tuple[list[float], list[int]]:
    run_command("score", run, text)
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    for total, tokens, mean in rows:
        assert float(total) / int(tokens) == pytest.approx(float(mean), abs=1e-5)
    return [float(row[0]) for row in rows], [int(row[1]) for row in rows]


def log_probability(weights: dict[str, np.ndarray], ids: list[int]) -> float:
    """Of one text, in double precision, from the equations of Cho et al. 2014 and the checkpoint's bare arrays."""

    def named(name: str) -> np.ndarray:
        (found,) = (array for path, array in weights.items() if path.endswith(name))
        return found.astype(np.float64)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    table, units = named("embeddings"), named("recurrent_kernel").shape[0]
    w, u, b = named("layer_0/cell/kernel"), named("recurrent_kernel"), named("layer_0/cell/bias")
    state, total = np.zeros(units), 0.0
    for last, token in zip([BEGIN, *ids[:-1]], ids, strict=True):
        x = table[last] * np.sqrt(table.shape[1]) @ w + b
        z, r = (sigmoid(x[i * units : (i + 1) * units] + state @ u[:, i * units : (i + 1) * units]) for i in (0, 1))
        candidate = np.tanh(x[2 * units :] + (r * state) @ u[:, 2 * units :])
        state = (1 - z) * state + z * candidate
        scores = table @ np.tanh(state @ named("output_projection/kernel") + named("output_projection/bias"))
        total += scores[token] - np.log(np.exp(scores).sum())
    return total


def test_score_equals_double_precision_arithmetic_outside_the_graph(language_model_run, text, capsys):
    totals, tokens = printed_scores(language_model_run, text, capsys)
    weights, _ = load_arrays(RunFolder(language_model_run).best)
    tokenizer = load_language_model(language_model_run).tokenizer
    ids = tokenizer.encode(tf.constant(TEXT.split("\n")[:-1])).to_list()
    assert tokens == [len(row) for row in ids]
    assert all(row[-1] == END for row in ids)
    np.testing.assert_allclose(totals, [log_probability(weights, row) for row in ids], atol=1e-4)


def test_evaluate_equals_what_follows_from_score_and_the_raw_text(language_model_run, text, capsys):
    totals, tokens = printed_scores(language_model_run, text, capsys)
    run_command("evaluate", language_model_run, "--text", text, "--json")
    told = json.loads(capsys.readouterr().out)
    words = len(TEXT.split()) + TEXT.count("\n")
    for unit, count in (("token", sum(tokens)), ("word", words), ("byte", len(text.read_bytes()))):
        assert told[unit]["count"] == count
        assert told[unit]["perplexity"] == pytest.approx(np.exp(-sum(totals) / count), rel=1e-6)
    assert told["lines"] == 5
    run_command("evaluate", language_model_run, "--text", text)
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert table[0] == ["Per", "Count", "Perplexity"]
    assert [row[:2] for row in table[1:4]] == [[unit, str(told[unit]["count"])] for unit in ("token", "word", "byte")]


def test_the_validation_split_has_the_validation_loss(language_model_run, capsys):
    run_command("evaluate", language_model_run, "--split", "validation", "--json")
    per_token = json.loads(capsys.readouterr().out)["token"]["perplexity"]
    best = load_arrays(RunFolder(language_model_run).best)[1]
    assert np.log(per_token) == pytest.approx(best["validation_loss"], abs=1e-5)


def test_scores_keep_the_order_in_batches_and_chunks_of_any_size(monkeypatch, language_model_run):
    model, tokenizer = load_language_model(language_model_run)
    texts = [b"1 2 3", b"", b"4 5 6 7 8 9" * 40, b"7", b"8 9"]
    score = make_sentence_scorer(model)
    expected = [next(score_texts(score, tokenizer, [text])) for text in texts]
    monkeypatch.setattr("nmt.inference.text_scoring._POSITIONS", 10)
    np.testing.assert_allclose(list(score_texts(score, tokenizer, texts)), expected, atol=1e-4)
    monkeypatch.setattr("nmt.decoding.scoring._TOKENS", 7)
    np.testing.assert_allclose(list(score_texts(make_sentence_scorer(model), tokenizer, texts)), expected, atol=1e-4)


def test_no_tokens_at_all_have_no_score():
    model = LanguageModel(10, units=4, seed=1)
    nothing = tf.zeros((2, 3), tf.int32)
    scores = make_sentence_scorer(model)(nothing, nothing)
    assert scores.log_probabilities.numpy().tolist() == scores.tokens.numpy().tolist() == [0.0, 0.0]
