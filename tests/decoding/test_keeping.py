"""Translations have each symbol as often as the source, by greedy search written plainly and by what a beam finds."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config import DecodingSettings
from nmt.constants import BEGIN, END, PADDING
from nmt.decoding.beam_search import Hypotheses, beam_search, max_lengths
from nmt.decoding.keeping import FIRST, keeping_scores, keeping_states, keeping_step
from nmt.text.placeholders import SYMBOLS

VOCABULARY = FIRST + len(SYMBOLS) + 6
SPACE = VOCABULARY - 2
LAST = FIRST + len(SYMBOLS)


def table(seed: int, end: float = 0.0) -> np.ndarray:
    """Log-probabilities of each token after each other one."""
    logits = np.random.default_rng(seed).normal(size=(VOCABULARY, VOCABULARY)) * 2
    logits[:, [PADDING, BEGIN]] = -1e9
    logits[:, END] += end
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


def search(values: np.ndarray, sources: list[list[int]], options: DecodingSettings, keep: bool = True) -> Hypotheses:
    rows = tf.ragged.constant(sources, dtype=tf.int32).to_tensor(PADDING)
    mask = rows != PADDING
    step = lambda ids, memory, states: (tf.one_hot(ids, VOCABULARY), tf.zeros((*ids.shape, 1)), states)  # noqa: E731
    scores = lambda vectors, sentence: tf.matmul(vectors, tf.constant(values)) + 3.0  # noqa: E731 (as logits are)
    states = tf.zeros((len(sources), 1))
    if keep:
        limits = max_lengths(tf.math.count_nonzero(mask, 1, dtype=tf.int32), options)
        step, scores, states = (
            keeping_step(step), keeping_scores(scores, SPACE), keeping_states(rows, limits, states),
        )  # fmt: skip
    return beam_search(step, scores, rows, states, mask, options, 1, None, not keep)


def greedily(values: np.ndarray, source: list[int], limit: int) -> list[int]:
    missing = sorted(token for token in source if FIRST <= token < LAST)
    found: list[int] = []
    while len(found) < limit and END not in found:
        row = values[found[-1] if found else BEGIN]
        possible = {token for token in range(VOCABULARY) if not FIRST <= token < LAST or token in missing}
        room = limit - len(found)
        if room == 1:
            possible = {END}
        elif missing:
            if room <= len(missing) + 1:
                possible = set(missing)
            elif row.argmax() == END:
                possible = {*missing, SPACE}
            possible -= {END}
        found.append(max(possible, key=lambda token: row[token]))
        if found[-1] in missing:
            missing.remove(found[-1])
    return found


SOURCES = st.lists(
    st.lists(st.integers(FIRST, FIRST + 3) | st.integers(LAST, VOCABULARY - 1), max_size=6).map(
        lambda ids: [*ids, END]
    ),
    min_size=1,
    max_size=4,
)


def symbols(ids: list[int]) -> list[int]:
    return sorted(token for token in ids if FIRST <= token < LAST)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(sources=SOURCES, seed=st.integers(0, 1000), end=st.sampled_from([-3.0, 0.0, 3.0]), beam=st.sampled_from([1, 3]))
def test_every_translation_has_its_sources_symbols(sources, seed, end, beam) -> None:
    values = table(seed, end)
    options = DecodingSettings(beam_size=beam, max_length_factor=1.0, max_length_offset=3)
    found = search(values, sources, options)
    for number, source in enumerate(sources):
        best = [int(token) for token in found.ids[number, 0] if token != PADDING]
        assert symbols(best) == symbols(source)
        assert best[-1] == END
        own = sum(values[before, token] for before, token in zip([BEGIN, *best], best, strict=False))
        assert float(found.log_probabilities[number, 0]) == pytest.approx(own, abs=1e-3)
        alone = search(values, [source], options)
        assert [int(token) for token in alone.ids[0, 0] if token != PADDING] == best
        if beam == 1:
            assert best == greedily(values, source, len(source) + 3)


def test_without_symbols_it_is_the_plain_search() -> None:
    values = table(1)
    values[:, FIRST:LAST] = -1e9  # what a model does that never says a symbol unasked
    sources = [[LAST, LAST + 1, END], [END]]
    options = DecodingSettings(beam_size=3)
    kept, plain = (search(values, sources, options, keep) for keep in (True, False))
    assert kept.ids.numpy().tolist() == plain.ids.numpy().tolist()
    np.testing.assert_allclose(kept.scores, plain.scores, atol=1e-4)


def test_a_limit_below_the_symbols_still_has_a_translation() -> None:
    options = DecodingSettings(beam_size=2, max_length_factor=0.1, max_length_offset=3)
    found = search(table(2), [[FIRST, FIRST + 1, FIRST + 2, FIRST, END]], options)
    best = [int(token) for token in found.ids[0, 0] if token != PADDING]
    assert len(symbols(best)) == 2
    assert best[-1] == END
    assert -1e8 < float(found.scores[0, 0]) < -1e4
