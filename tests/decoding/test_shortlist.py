"""A shortlist holds what the training data aligned, and changes no result beyond leaving tokens out."""

import numpy as np
import pytest
import tensorflow as tf

import nmt
from nmt.constants import END
from nmt.decoding.beam_search import beam_search
from nmt.decoding.scorers import ShortlistScorer
from nmt.decoding.shortlist import Shortlist, candidates, make_shortlist
from nmt.models.seq2seq import Seq2Seq
from nmt.serving.saved_model import export_saved_model

VOCABULARY = 300


class Aligner:
    """Attends from target position t to source position t alone."""

    def attention_weights(self, source, target):
        shape = tf.shape(target)
        return tf.broadcast_to(tf.eye(shape[1])[None], (shape[0], shape[1], shape[1]))


def test_it_holds_the_best_aligned_tokens():
    source = tf.constant([[10, 11, 3], [10, 11, 3], [10, 12, 3]])
    target = tf.constant([[20, 21, 3], [20, 22, 3], [23, 22, 3]])
    shortlist = make_shortlist(Aligner(), [(source, target)] * 2, (30, 300), tokens=2)
    assert shortlist.of_token[10].tolist() == [20, 23, END]
    assert sorted(shortlist.of_token[11, :2].tolist()) == [21, 22]
    assert shortlist.of_token[13].tolist() == [END] * 3
    assert shortlist.always[: END + 1].all()
    assert shortlist.always[[20, 21, 22, 23]].all()  # frequent in so small a corpus


def test_sentences_are_allowed_their_own_tokens_alone():
    of_token = np.full((VOCABULARY, 1), END, np.int32)
    of_token[10], of_token[11] = 20, 21
    shortlist = Shortlist(tf.constant(of_token), tf.range(VOCABULARY) <= END)
    found = candidates(shortlist, tf.constant([[10, 3, 0], [10, 11, 3]]))
    assert found.tokens.numpy().tolist() == [0, 1, 2, 3, 20, 21]
    assert found.allowed[:, 4:].numpy().tolist() == [[True, False], [True, True]]


@pytest.mark.no_cover
@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_shortlist_of_everything_changes_nothing_and_batches_neither(beam_size):
    model = Seq2Seq(VOCABULARY, units=8, num_layers=1, seed=1)
    source = tf.constant(np.random.default_rng(0).integers(4, VOCABULARY, (6, 5)), tf.int32)
    few = np.full((VOCABULARY, 30), END, np.int32)
    few[:] = np.random.default_rng(1).integers(4, VOCABULARY, few.shape)
    always = np.arange(VOCABULARY) <= END + beam_size

    def search_with(scorer):
        # One graph for batches of any size.
        signature = [tf.TensorSpec((None, source.shape[1]), tf.int32)]
        return tf.function(
            lambda x: beam_search(scorer, x, beam_size=beam_size), input_signature=signature, autograph=False
        )

    def shortlisted(allowed):
        return search_with(ShortlistScorer(model, Shortlist(tf.constant(few), tf.constant(allowed))))

    everything, whole = shortlisted(np.ones(VOCABULARY, bool))(source), search_with(model)(source)
    np.testing.assert_array_equal(everything.ids, whole.ids)
    np.testing.assert_allclose(everything.scores, whole.scores, atol=1e-4)
    run = shortlisted(always)
    together = run(source)
    for row in range(6):
        alone = run(source[row : row + 1])
        length = alone.ids.shape[2]
        np.testing.assert_array_equal(alone.ids[0, 0], together.ids[row, 0, :length])
        tokens = set(alone.ids[0, 0].numpy().tolist())
        assert tokens <= set(few[source[row]].ravel()) | set(np.flatnonzero(always))


def test_an_export_with_a_shortlist_translates_what_it_was_trained_on(trained_run, tmp_path):
    version = export_saved_model(trained_run, tmp_path / "model", shortlist=20)
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    texts = ["3 1 4 1 5", "2 7 1", "9 9 8"]
    unlimited = nmt.load_translator(trained_run, overrides=["decoding.limit_repetition=false"])  # as the export is
    expected = list(unlimited.best(texts))
    assert [text.decode() for text in signature(text=tf.constant(texts))["translation"].numpy()] == expected
