"""Shallow fusion: brute force on a tiny vocabulary, and through the commands with trained models."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from nmt.decoding.fusion import Fusion, fused_scores, fused_states, fused_step

import nmt
from nmt.cli import main
from nmt.config import DecodingSettings
from nmt.decoding.beam_search import BEGIN, beam_search
from nmt.runs.scoring import score_files
from nmt.serving.lite.export import export_lite
from nmt.serving.saved_model import export_saved_model
from nmt.utils.errors import UserError
from tests.decoding.test_beam_search import SOURCE, Toy, words

LINES = ["3 1 4", "", "2 7 1 8 2 8", "9 9 9"]


class ToyLanguageModel:
    """A `Toy` with the doors of a `LanguageModel`: its next token depends on all tokens so far, and on no source."""

    def __init__(self, seed: int):
        self.toy = Toy(seed)
        self.decoder = self

    def stepper(self):
        def step(ids, memory, states):
            assert memory == ()
            vectors, _, new = self.toy.step(ids, (), states)
            return vectors, (), new

        return step

    def zeros(self, batch):
        return (tf.zeros((batch, 4)),)

    def log_probability(self, tokens) -> float:
        state, total = (tf.zeros((1, 1, 4)),), 0.0
        for last, token in itertools.pairwise((BEGIN, *tokens)):
            vectors, _, state = self.toy.step(tf.constant([[last]]), (), state)
            total += float(tf.nn.log_softmax(vectors @ self.toy.outputs)[0, 0, token])
        return total


def search(toy, language, weight, settings, wanted=1):
    fusion = Fusion(language, tf.constant(language.toy.outputs), weight)
    mask = tf.ones((len(toy.first), SOURCE), tf.bool)

    @tf.function(input_signature=[tf.TensorSpec((None, 4))])
    def run(first):
        return beam_search(
            fused_step(fusion, toy.step),
            fused_scores(fusion, toy.scores),
            (),
            fused_states(fusion, (first,)),
            mask,
            settings,
            wanted,
            normalized=False,
        )

    return run(tf.constant(toy.first))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("options", [{}, {"length_penalty": 0.0, "min_length": 2}, {"coverage_penalty": 0.7}])
def test_a_wide_beam_equals_exhaustive_search(seed, options):
    settings = DecodingSettings(beam_size=32, max_length_factor=0.1, max_length_offset=5, **options)
    toy, language, weight = Toy(seed), ToyLanguageModel(seed + 10), 0.6
    found = search(toy, language, weight, settings, wanted=32)
    changed = False
    for sentence in range(2):
        alone = toy.every_sentence(sentence, 5, settings)
        expected = {
            ids: score + weight * language.log_probability(ids) / ((5 + len(ids)) / 6) ** settings.length_penalty
            for ids, score in alone
        }
        ranked = sorted(expected.items(), key=lambda item: -item[1])
        changed |= [ids for ids, _ in ranked] != [ids for ids, _ in alone]
        for (ids, score), got, got_score in zip(ranked, found.ids[sentence], found.scores[sentence], strict=False):
            assert words(got) == ids
            np.testing.assert_allclose(got_score, score, atol=1e-4)
    assert changed


@pytest.mark.parametrize("beam_size", [1, 3])
def test_stopping_early_never_changes_the_best(beam_size):
    settings = DecodingSettings(beam_size=beam_size, max_length_factor=0.1, max_length_offset=12)
    for seed in range(2):
        toy, language = Toy(seed), ToyLanguageModel(seed + 20)
        early, late = (search(toy, language, 0.4, settings, wanted) for wanted in (1, beam_size))
        for a, b in zip(early.ids[:, 0], late.ids[:, 0], strict=True):
            assert words(a) == words(b)


def test_weight_zero_changes_nothing():
    settings = DecodingSettings(beam_size=3, max_length_factor=0.1, max_length_offset=8)
    toy = Toy(5)
    fused = search(toy, ToyLanguageModel(6), 0.0, settings)
    alone = beam_search(toy.step, toy.scores, (), (tf.constant(toy.first),), tf.ones((2, SOURCE), tf.bool), settings)
    np.testing.assert_array_equal(fused.ids, alone.ids)
    np.testing.assert_allclose(fused.scores, alone.scores, atol=1e-5)


@pytest.fixture(scope="module")
def fused(language_model_run):
    return [f"decoding.language_model={language_model_run}", "decoding.language_model_weight=0.7"]


@pytest.mark.no_cover
def test_log_probabilities_are_the_sum_of_both_models(trained_run, language_model_run, fused, tmp_path):
    found = [hypotheses[0] for hypotheses in nmt.load_translator(trained_run, overrides=fused).translate(LINES[::2])]
    (tmp_path / "source.txt").write_text("".join(line + "\n" for line in LINES[::2]))
    (tmp_path / "target.txt").write_text("".join(hypothesis.text + "\n" for hypothesis in found))
    own = [one for one, _ in score_files(trained_run, tmp_path / "source.txt", tmp_path / "target.txt", None)]
    of_language = [one for one, _ in score_files(language_model_run, tmp_path / "target.txt")]
    expected = np.array(own) + 0.7 * np.array(of_language)
    np.testing.assert_allclose([hypothesis.log_probability for hypothesis in found], expected, atol=1e-4)
    off = nmt.load_translator(trained_run, overrides=[fused[0], "decoding.language_model_weight=0"])
    alone = nmt.load_translator(trained_run)
    for ours, theirs in zip(off.translate(LINES), alone.translate(LINES), strict=True):
        assert [(one.text, one.score) for one in ours] == [(one.text, one.score) for one in theirs]


@pytest.mark.no_cover
def test_export_and_command_translate_alike(trained_run, fused, tmp_path):
    version = export_saved_model(trained_run, tmp_path / "exported", overrides=fused)
    answer = tf.saved_model.load(str(version)).signatures["serving_default"](text=tf.constant(LINES))
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in LINES))
    command = ["translate", str(trained_run), "--input", str(tmp_path / "in.txt"), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="0"):
        main([*command, *(part for setting in fused for part in ("--set", setting))])
    translations = [text.decode() for text in answer["translation"].numpy()]
    assert (tmp_path / "out").read_text().split("\n")[:-1] == translations
    scores = [
        one[0].score if one else 0.0 for one in nmt.load_translator(trained_run, overrides=fused).translate(LINES)
    ]
    np.testing.assert_allclose(answer["score"], scores, atol=1e-5)


def test_a_shortlist_and_litert_refuse(trained_run, fused, tmp_path):
    with pytest.raises(UserError, match=r"no `shortlist` with decoding.language_model"):
        export_saved_model(trained_run, tmp_path / "short", overrides=fused, shortlist=5)
    with pytest.raises(UserError, match=r"expected no decoding.language_model"):
        export_lite(trained_run, tmp_path / "lite", overrides=fused[:1])
