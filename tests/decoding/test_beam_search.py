"""Beam search against exhaustive search on a tiny vocabulary."""

import numpy as np
import pytest
import tensorflow as tf

from nmt.constants import BEGIN, END
from nmt.decoding.beam_search import beam_search, max_lengths
from nmt.decoding.constraints import SymbolConstraint
from nmt.decoding.repetition import RepetitionConstraint
from nmt.models.seq2seq import Seq2Seq
from tests.decoding.toys import Toy, assert_finds, every_sentence, of_toy, search, tokens_of


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalties", [{}, {"length_penalty": 0.0}, {"coverage_penalty": 0.7}, {"min_length": 2}])
def test_a_wide_beam_equals_exhaustive_search(seed, penalties):
    # At most 5 tokens make 31 sentences: a beam of 32 holds them all.
    toy = Toy(seed)
    found = search(toy, beam_size=32, max_length_offset=5, n_best=32, **penalties)
    for sentence in range(2):
        assert_finds(found, sentence, every_sentence(of_toy(toy, sentence), (4, 5), 5, **penalties))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_stopping_early_never_changes_the_best(seed, beam_size):
    """Asking for the whole beam searches longer than asking for the best; the best is the same."""
    toy, options = Toy(seed), {"beam_size": beam_size, "max_length_offset": 12}
    early, late = search(toy, n_best=1, **options), search(toy, n_best=beam_size, **options)
    assert early.ids.shape[-1] <= late.ids.shape[-1]
    for a, b in zip(early.ids[:, 0], late.ids[:, 0], strict=True):
        assert tokens_of(a) == tokens_of(b)


def test_greedy_takes_the_most_probable_token_at_each_step():
    for seed in range(5):
        toy, expected = Toy(seed, sentences=1), []
        states, last = toy.begin(0), BEGIN
        while last != END and len(expected) < 8:
            log_probabilities, _, states = toy.after(last, states)
            last = int(np.argmax(log_probabilities))
            expected.append(last)
        if last != END:
            expected.append(END)  # forced at the greatest length
        found = search(toy, sentences=[0], beam_size=1, length_penalty=0.0, max_length_offset=9)
        assert tokens_of(found.ids[0, 0]) == tuple(expected)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_sentence_does_not_depend_on_its_batch(jit_compile):
    toy, options = Toy(7, sentences=6), {"beam_size": 3, "max_length_offset": 12, "n_best": 3}
    together = search(toy, range(6), jit_compile, **options)
    for sentence in range(6):
        alone = search(toy, [sentence], **options)
        for hypothesis in range(3):
            assert tokens_of(alone.ids[0, hypothesis]) == tokens_of(together.ids[sentence, hypothesis])
        np.testing.assert_allclose(alone.scores[0], together.scores[sentence], atol=1e-4)


def test_lengths_come_from_the_source():
    np.testing.assert_array_equal(max_lengths(tf.constant([1, 2, 10]), 1.5, 2, min_length=4), [5, 5, 17])


def test_every_hypothesis_ends_and_is_long_enough():
    for seed in range(3):
        found = search(Toy(seed), beam_size=4, max_length_offset=6, min_length=3, n_best=4)
        for hypothesis in tf.reshape(found.ids, (8, -1)):
            tokens = tokens_of(hypothesis)
            assert tokens[-1] == END
            assert 4 <= len(tokens) <= 6


def test_other_ids_of_begin_and_end():
    """The same search with the tokens renamed: nothing but `begin_id` and `end_id` says which they are."""
    toy, moved = Toy(3), Toy(3)
    order = np.array([0, 1, END, BEGIN, 4, 5])
    moved.tokens, moved.outputs, moved.bias = toy.tokens[order], toy.outputs[:, order], toy.bias[order]
    options = {"beam_size": 3, "max_length_offset": 8, "n_best": 3}
    plain, renamed = search(toy, **options), search(moved, begin_id=END, end_id=BEGIN, **options)
    for ours, theirs in zip(plain.ids.numpy().reshape(6, -1), renamed.ids.numpy().reshape(6, -1), strict=True):
        assert tokens_of(ours) == tuple(order[list(tokens_of(theirs))])
    np.testing.assert_allclose(plain.scores, renamed.scores, atol=1e-5)


def test_a_model_is_a_scorer():
    """`Seq2Seq.start` and `step` say what the search's own scorer says."""
    model = Seq2Seq(vocabulary_size=20, units=8, seed=1)
    source = tf.constant([[5, 6, 3], [7, 3, 0]])
    found = beam_search(model, source, beam_size=2, max_length_offset=4)
    for sentence in range(2):
        state = model.start(source[sentence : sentence + 1])
        state = state._replace(states=tuple(one[:, None] for one in state.states))
        total, last = 0.0, BEGIN
        for token in tokens_of(found.ids[sentence, 0]):
            log_probabilities, _, state = model.step(tf.constant([[last]]), state)
            total, last = total + float(log_probabilities[0, 0, token]), token
        np.testing.assert_allclose(found.log_probabilities[sentence, 0], total, atol=1e-4)


def test_more_best_than_the_beam_holds():
    with pytest.raises(ValueError, match="expected `n_best` from 1 to `beam_size` 2, got 3"):
        search(Toy(0), beam_size=2, n_best=3)


# Operations of one step of a two-layer model. Each costs some microseconds whatever it computes, and a step of a small
# model is little else: a change that raises a number slows every translation.
STEP_OPERATIONS = {(1, False): 194, (5, False): 233, (5, True): 293}  # by the beam's size, and whether constrained


@pytest.mark.parametrize(("beam_size", "limited"), STEP_OPERATIONS)
def test_a_step_gains_no_operation(beam_size, limited):
    model = Seq2Seq(vocabulary_size=2048, units=16, decoder_layers=2)
    constraints = [SymbolConstraint(END + 1, 10, END, -1), RepetitionConstraint()] if limited else []
    searched = tf.function(lambda source: beam_search(model, source, constraints, beam_size=beam_size), autograph=False)
    graph = searched.get_concrete_function(tf.TensorSpec((None, None), tf.int32)).graph.as_graph_def()
    bodies = [function.node_def for function in graph.library.function if "while_body" in function.signature.name]
    no_work = {"Const", "Identity", "NoOp"}
    assert max(sum(node.op not in no_work for node in body) for body in bodies) <= STEP_OPERATIONS[beam_size, limited]
