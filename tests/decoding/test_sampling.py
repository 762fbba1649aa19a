"""What is drawn from a language model has the model's probabilities."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.cli import main
from nmt.constants import BEGIN, END, PADDING
from nmt.decoding.sampling import make_sampler
from nmt.models.language_model import LanguageModel

VOCABULARY, ROWS = 9, 20_000
PROMPT = [5, 8]
WORDS = np.arange(VOCABULARY) > BEGIN


@pytest.fixture(scope="module")
def model():
    model = LanguageModel(VOCABULARY, units=6, num_layers=2, seed=3)
    for weight in model.weights:
        weight.assign(weight * 1.3)  # probabilities that are far from each other
    return model


def probabilities(model, ids: list[int], temperature: float = 1.0) -> np.ndarray:
    """Of the next token, among those that a text may have."""
    logits = model(tf.constant([[*ids, END]]))[0, -1].numpy().astype(np.float64) / temperature
    weights = np.where(WORDS, np.exp(logits), 0.0)
    return weights / weights.sum()


def draw(model, max_tokens: int, seed: int = 7, rows: int = ROWS, **options) -> np.ndarray:
    sampler = make_sampler(model, max_tokens, **options)
    return sampler(tf.constant(PROMPT), rows, tf.constant([seed, 0])).numpy()


def assert_drawn_from(tokens: np.ndarray, expected: np.ndarray) -> None:
    """Chi-square; 5 standard deviations above its mean at most."""
    counts = np.bincount(tokens, minlength=VOCABULARY)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    mean = expected[possible] * len(tokens)
    freedom = possible.sum() - 1
    assert ((counts[possible] - mean) ** 2 / mean).sum() < freedom + 5 * np.sqrt(2 * freedom) + 1e-9


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_tokens_are_as_frequent_as_the_softmax_says(model, temperature):
    drawn = draw(model, 2, temperature=temperature)
    first = probabilities(model, PROMPT, temperature)
    assert 1e-3 < first[WORDS].min() < 0.3 * first.max()
    assert_drawn_from(drawn[:, 0], first)
    token = int(np.argmax(np.where(np.arange(VOCABULARY) == END, 0, first)))
    followed = drawn[drawn[:, 0] == token, 1]
    assert_drawn_from(followed, probabilities(model, [*PROMPT, token], temperature))
    assert set(drawn[drawn[:, 0] == END, 1]) == {PADDING}


def test_only_the_most_probable(model):
    expected = probabilities(model, PROMPT)
    order = np.argsort(-expected)
    kept = np.where(np.isin(np.arange(VOCABULARY), order[:3]), expected, 0)
    assert_drawn_from(draw(model, 1, top_k=3)[:, 0], kept / kept.sum())
    share = expected[order[:3]].sum() + 1e-4  # takes a fourth
    kept = np.where(np.isin(np.arange(VOCABULARY), order[:4]), expected, 0)
    assert_drawn_from(draw(model, 1, top_p=share)[:, 0], kept / kept.sum())
    assert set(draw(model, 1, top_p=0.0)[:, 0]) == {order[0]}
    assert set(draw(model, 1, top_k=100)[:, 0]) == set(np.flatnonzero(WORDS))


def test_the_seed_alone_decides(model):
    one, same, other = (draw(model, 12, seed, rows=8) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other[:, : one.shape[1]])
    fewer = draw(model, 12, 1, rows=3)
    np.testing.assert_array_equal(fewer, one[:3, : fewer.shape[1]])


def sampled(run, capsys, *arguments) -> list[str]:
    with pytest.raises(SystemExit, match="0"):
        main(["sample", str(run), *arguments])
    return capsys.readouterr().out.splitlines()


def test_the_command_prints_texts(language_model_run, capsys):
    texts = sampled(language_model_run, capsys, "--count", "3", "--prompt", "3 1 4", "--top-k", "12")
    assert len(texts) == 3
    assert all(text.startswith("3 1 4") for text in texts)
    assert texts == sampled(language_model_run, capsys, "--count", "3", "--prompt", "3 1 4", "--top-k", "12")
    assert texts != sampled(language_model_run, capsys, "--count", "3", "--prompt", "3 1 4", "--seed", "2")
    short = sampled(language_model_run, capsys, "--max-tokens", "2", "--temperature", "0.5", "--top-p", "0.9")
    assert len(short) == 5
    assert max(map(len, short)) <= 4
