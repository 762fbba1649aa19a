"""Scorers that compose, against brute force in double precision on a tiny vocabulary."""

import math

import numpy as np
import pytest
import tensorflow as tf

from nmt.decoding.scorers import EnsembleScorer, FusedScorer, log_mean
from tests.decoding.toys import (
    BlindToy,
    Toy,
    assert_finds,
    every_sentence,
    fused_of,
    log_probability,
    mean_of,
    of_toy,
    search,
    tokens_of,
)

PENALTIES = [{}, {"length_penalty": 0.0, "min_length": 2}, {"coverage_penalty": 0.7}]


def members(seed):
    """Toys that differ in width and in the number of their states."""
    return [Toy(seed, width=4), Toy(seed + 10, width=7, states=2), Toy(seed + 20, width=3)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("penalties", PENALTIES)
def test_an_ensemble_equals_exhaustive_search(seed, penalties):
    toys = members(seed)
    found = search(EnsembleScorer(toys), beam_size=32, max_length_offset=5, n_best=32, **penalties)
    changed = False
    for sentence in range(2):
        expected = every_sentence(mean_of(toys, sentence), (4, 5), 5, **penalties)
        assert_finds(found, sentence, expected)
        alone = every_sentence(of_toy(toys[0], sentence), (4, 5), 5, **penalties)
        changed |= [ids for ids, _ in expected] != [ids for ids, _ in alone]
    assert changed


def test_a_scorer_with_itself_is_the_scorer_alone():
    toy, options = Toy(4), {"beam_size": 3, "max_length_offset": 8, "n_best": 3}
    alone, thrice = search(toy, **options), search(EnsembleScorer([toy] * 3), **options)
    np.testing.assert_array_equal(alone.ids, thrice.ids)
    np.testing.assert_allclose(alone.scores, thrice.scores, rtol=1e-5)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_sentences_of_an_ensemble_do_not_depend_on_their_batch(beam_size):
    scorer = EnsembleScorer([Toy(1, sentences=5), Toy(2, width=6, states=2, sentences=5)])
    options = {"beam_size": beam_size, "max_length_offset": 9, "n_best": beam_size, "coverage_penalty": 0.3}
    together, compiled = search(scorer, range(5), **options), search(scorer, range(5), jit_compile=True, **options)
    np.testing.assert_allclose(compiled.scores, together.scores, atol=1e-4)
    for sentence in range(5):
        alone = search(scorer, [sentence], **options)
        for hypothesis in range(beam_size):
            assert tokens_of(alone.ids[0, hypothesis]) == tokens_of(together.ids[sentence, hypothesis])
            assert tokens_of(compiled.ids[sentence, hypothesis]) == tokens_of(together.ids[sentence, hypothesis])
        np.testing.assert_allclose(alone.scores[0], together.scores[sentence], atol=1e-5)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("penalties", PENALTIES)
def test_shallow_fusion_equals_exhaustive_search(seed, penalties):
    toy, language, weight = Toy(seed), BlindToy(seed + 10), 0.6
    scorer = FusedScorer(toy, language, weight)
    found = search(scorer, beam_size=32, max_length_offset=5, n_best=32, **penalties)
    changed = False
    for sentence in range(2):
        after = fused_of(of_toy(toy, sentence), language, sentence, weight)
        expected = every_sentence(after, (4, 5), 5, **penalties)
        assert_finds(found, sentence, expected)
        best = expected[0][0]
        total = log_probability(toy, sentence, best) + weight * log_probability(language, sentence, best)
        np.testing.assert_allclose(found.log_probabilities[sentence, 0], total, atol=1e-4)
        alone = every_sentence(of_toy(toy, sentence), (4, 5), 5, **penalties)
        changed |= [ids for ids, _ in expected] != [ids for ids, _ in alone]
    assert changed


@pytest.mark.parametrize("beam_size", [1, 3])
def test_stopping_early_never_changes_the_best(beam_size):
    options = {"beam_size": beam_size, "max_length_offset": 12}
    for seed in range(2):
        scorer = FusedScorer(Toy(seed), BlindToy(seed + 20), 0.4)
        early, late = (search(scorer, n_best=n_best, **options) for n_best in (1, beam_size))
        for a, b in zip(early.ids[:, 0], late.ids[:, 0], strict=True):
            assert tokens_of(a) == tokens_of(b)


def test_weight_zero_changes_nothing():
    toy, options = Toy(5), {"beam_size": 3, "max_length_offset": 8}
    fused, alone = search(FusedScorer(toy, BlindToy(6), 0.0), **options), search(toy, **options)
    np.testing.assert_array_equal(fused.ids, alone.ids)
    np.testing.assert_allclose(fused.scores, alone.scores, atol=1e-5)


def test_the_mean_of_tiny_probabilities():
    far = [tf.constant([-500.0]), tf.constant([-501.0])]
    assert float(log_mean(far)[0]) == pytest.approx(-500 + math.log((1 + math.exp(-1)) / 2), abs=1e-4)
