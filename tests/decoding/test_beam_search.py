"""Beam search against exhaustive search on a tiny vocabulary."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from nmt.config import DecodingSettings
from nmt.decoding.beam_search import BEGIN, END, beam_search, max_lengths

VOCABULARY, SOURCE = 6, 3  # ids 0 to 2 are padding, unknown and begin; 3 ends; 4 and 5 are words


class Toy:
    """A random language model over two words whose next token depends on all tokens so far."""

    def __init__(self, seed: int, sentences: int = 2):
        generator = np.random.default_rng(seed)
        self.recurrent = generator.normal(size=(4, 4)).astype("float32")
        self.tokens = generator.normal(size=(VOCABULARY, 4)).astype("float32")
        self.outputs = generator.normal(size=(4, VOCABULARY)).astype("float32") * 2
        self.attention = generator.normal(size=(4, SOURCE)).astype("float32") * 3
        self.first = generator.normal(size=(sentences, 4)).astype("float32")

    def step(self, ids, _, states):
        state = tf.tanh(states[0] @ self.recurrent + tf.gather(self.tokens, ids))
        return state, tf.nn.softmax(state @ self.attention), (state,)

    def scores(self, vectors, _=None):
        return vectors @ self.outputs + tf.constant([-1e9, -1e9, -1e9, 0.0, 0.0, 0.0])

    def after(self, last, state):
        """Log-probabilities after a token, attention weights and the new state, of one hypothesis."""
        vectors, attention, state = self.step(tf.constant([[last]]), (), state)
        return tf.nn.log_softmax(self.scores(vectors))[0, 0].numpy(), attention[0, 0].numpy(), state

    def every_sentence(self, sentence, limit, settings):
        """Score of every sequence that ends within `limit`, by brute force."""
        results = {}
        for length in range(settings.min_length, limit):
            for words in itertools.product((4, 5), repeat=length):
                state, total, coverage = (tf.constant(self.first[sentence][None, None]),), 0.0, np.zeros(SOURCE)
                for last, token in itertools.pairwise((BEGIN, *words, END)):
                    log_probabilities, attention, state = self.after(last, state)
                    total += float(log_probabilities[token])
                    coverage += attention
                score = total / ((5 + length + 1) / 6) ** settings.length_penalty
                score += settings.coverage_penalty * sum(math.log(min(c, 1.0)) for c in coverage)
                results[(*words, END)] = score
        return sorted(results.items(), key=lambda item: -item[1])


def search(toy, settings, wanted=1, sentences=slice(None), jit_compile=False):
    first = tf.constant(toy.first[sentences])
    mask = tf.ones((len(first), SOURCE), tf.bool)

    @tf.function(
        jit_compile=jit_compile, input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None, SOURCE), tf.bool)]
    )
    def run(first, mask):
        return beam_search(toy.step, toy.scores, (), (first,), mask, settings, wanted)

    return run(first, mask)


def words(ids):
    return tuple(int(i) for i in ids if i)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalties", [{}, {"length_penalty": 0.0}, {"coverage_penalty": 0.7}, {"min_length": 2}])
def test_a_wide_beam_equals_exhaustive_search(seed, penalties):
    # At most 5 tokens make 31 sentences: a beam of 32 holds them all.
    settings = DecodingSettings(beam_size=32, max_length_factor=0.1, max_length_offset=5, **penalties)
    toy = Toy(seed)
    found = search(toy, settings, wanted=32)
    for sentence in range(2):
        expected = toy.every_sentence(sentence, 5, settings)
        assert len(expected) == (found.scores[sentence].numpy() > -1e8).sum()
        for (ids, score), got, got_score in zip(expected, found.ids[sentence], found.scores[sentence], strict=False):
            assert words(got) == ids
            np.testing.assert_allclose(got_score, score, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_stopping_early_never_changes_the_best(seed, beam_size):
    """Asking for all of the beam goes on longer than asking for the best; the best is the same."""
    settings = DecodingSettings(beam_size=beam_size, max_length_factor=0.1, max_length_offset=12)
    toy = Toy(seed)
    early, late = search(toy, settings, wanted=1), search(toy, settings, wanted=beam_size)
    assert early.ids.shape[-1] <= late.ids.shape[-1]
    for a, b in zip(early.ids[:, 0], late.ids[:, 0], strict=True):
        assert words(a) == words(b)


def test_greedy_takes_the_likeliest_token_at_each_step():
    settings = DecodingSettings(beam_size=1, length_penalty=0.0, max_length_factor=0.1, max_length_offset=9)
    for seed in range(5):
        toy, expected = Toy(seed, sentences=1), []
        state, last = (tf.constant(toy.first[:, None]),), BEGIN
        while last != END and len(expected) < 8:
            log_probabilities, _, state = toy.after(last, state)
            last = int(np.argmax(log_probabilities))
            expected.append(last)
        if last != END:
            expected.append(END)  # forced at the greatest length
        assert words(search(toy, settings).ids[0, 0]) == tuple(expected)


def test_a_sentence_does_not_depend_on_its_batch():
    settings = DecodingSettings(beam_size=3, max_length_factor=0.1, max_length_offset=12)
    toy = Toy(7, sentences=6)
    together = search(toy, settings, wanted=3)
    for sentence in range(6):
        alone = search(toy, settings, wanted=3, sentences=slice(sentence, sentence + 1))
        for hypothesis in range(3):
            assert words(alone.ids[0, hypothesis]) == words(together.ids[sentence, hypothesis])
        np.testing.assert_allclose(alone.scores[0], together.scores[sentence], atol=1e-5)


def test_lengths_come_from_the_source():
    settings = DecodingSettings(max_length_factor=1.5, max_length_offset=2, min_length=4)
    np.testing.assert_array_equal(max_lengths(tf.constant([1, 2, 10]), settings), [5, 5, 17])


def test_every_hypothesis_ends_and_is_long_enough():
    settings = DecodingSettings(beam_size=4, max_length_factor=0.1, max_length_offset=6, min_length=3)
    for seed in range(3):
        for hypothesis in tf.reshape(search(Toy(seed), settings, wanted=4).ids, (8, -1)):
            tokens = words(hypothesis)
            assert tokens[-1] == END
            assert 4 <= len(tokens) <= 6
