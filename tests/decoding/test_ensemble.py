"""Ensembles: brute force in double precision on a tiny vocabulary, and through the commands with trained models."""

import itertools
import json
import math
import shutil

import numpy as np
import pytest
import tensorflow as tf
from nmt.decoding.ensemble import Member, begin_together, joint_scores, joint_step, log_mean

import nmt
from nmt.cli import main
from nmt.config import DecodingSettings
from nmt.constants import BEGIN, END
from nmt.decoding.beam_search import beam_search
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.models import load_model
from nmt.runs.scoring import score_files
from nmt.serving.lite.export import export_lite
from nmt.serving.saved_model import export_saved_model
from nmt.utils.errors import UserError
from tests.decoding.test_beam_search import SOURCE, VOCABULARY, words

LINES = ["3 1 4", "", "2 7 1 8 2 8", "9 9 9", "0 5"]
REAL = [line for line in LINES if line]


class Toy:
    """A random model over two words with the doors of a `Seq2Seq`; its states are as many as asked."""

    def __init__(self, seed: int, width: int, states: int, sentences: int = 2):
        generator = np.random.default_rng(seed)
        self.recurrent, self.second = generator.normal(size=(2, width, width))
        self.tokens = generator.normal(size=(VOCABULARY, width))
        self.outputs = generator.normal(size=(width, VOCABULARY)) * 2
        self.outputs[:, :END] = 0.0
        self.bias = np.array([-1e9, -1e9, -1e9, 0.0, 0.0, 0.0])
        self.attention = generator.normal(size=(width, SOURCE)) * 3
        self.first = generator.normal(size=(sentences, width))
        self.states = states
        self.decoder = self

    def begin(self, source, training):
        assert not training
        first = tf.gather(tf.constant(self.first, tf.float32), source[:, 0])
        return (tf.zeros_like(source),), (first,) * self.states

    def stepper(self):
        weights = [tf.constant(w, tf.float32) for w in (self.recurrent, self.second, self.tokens, self.attention)]

        def step(ids, memory, states):
            recurrent, second, tokens, attention = weights
            assert len(memory) == 1
            new = [tf.tanh(states[0] @ recurrent + tf.gather(tokens, ids))]
            if self.states == 2:
                new.append(tf.tanh(states[1] @ second + new[0]))
            # The width of a model's vectors includes a one, by which the bias is multiplied.
            vectors = tf.concat([new[-1], tf.ones_like(new[-1][..., :1])], -1)
            return vectors, tf.nn.softmax(new[-1] @ attention), tuple(new)

        return step

    def output_weights(self):
        return tf.constant(np.concatenate([self.outputs, self.bias[None]]), tf.float32)

    def walk(self, sentence, tokens):
        """Probabilities of each token and the attention to the source, step by step, in double precision."""
        states = [self.first[sentence]] * self.states
        for last, token in itertools.pairwise((BEGIN, *tokens)):
            states[0] = np.tanh(states[0] @ self.recurrent + self.tokens[last])
            if self.states == 2:
                states[1] = np.tanh(states[1] @ self.second + states[0])
            yield softmax(states[-1] @ self.outputs + self.bias)[token], softmax(states[-1] @ self.attention)


def softmax(values):
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def search(toys, settings, wanted=1, sentences=(0, 1), jit_compile=False):
    toy, members = toys[0], [Member(other, other.output_weights()) for other in toys[1:]]

    @tf.function(jit_compile=jit_compile)
    def run(source):
        memory, states = begin_together(members, source, *toy.begin(source, training=False))
        scores = joint_scores(members, lambda vectors, _: vectors @ toy.output_weights())
        step, mask = joint_step(members, toy.stepper()), tf.ones((len(sentences), SOURCE), tf.bool)
        return beam_search(step, scores, memory, states, mask, settings, wanted, normalized=False)

    return run(tf.tile(tf.constant(sentences)[:, None], (1, SOURCE)))


def every_sentence(toys, sentence, limit, settings):
    """Score of every sequence that ends within `limit`, by brute force."""
    results = {}
    for length in range(settings.min_length, limit):
        for tokens in itertools.product((4, 5), repeat=length):
            walks = [list(toy.walk(sentence, (*tokens, END))) for toy in toys]
            probabilities = np.mean([[probability for probability, _ in walk] for walk in walks], 0)
            attention = np.mean([[weights for _, weights in walk] for walk in walks], 0)
            score = np.log(probabilities).sum() / ((5 + length + 1) / 6) ** settings.length_penalty
            covered = np.minimum(np.sum(attention, 0), 1.0)
            results[(*tokens, END)] = score + settings.coverage_penalty * np.log(covered).sum()
    return sorted(results.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("options", [{}, {"length_penalty": 0.0, "min_length": 2}, {"coverage_penalty": 0.7}])
@pytest.mark.parametrize("shapes", [((4, 1), (6, 2)), ((3, 2), (4, 1), (5, 1))])
def test_a_wide_beam_equals_exhaustive_search(options, shapes):
    settings = DecodingSettings(beam_size=32, max_length_factor=0.1, max_length_offset=5, **options)
    toys = [Toy(seed, *shape) for seed, shape in enumerate(shapes)]
    found = search(toys, settings, wanted=32)
    for sentence in range(2):
        expected = every_sentence(toys, sentence, 5, settings)
        assert [ids for ids, _ in expected] != [ids for ids, _ in every_sentence(toys[:1], sentence, 5, settings)]
        assert len(expected) == (found.scores[sentence].numpy() > -1e8).sum()
        for (ids, score), got, got_score in zip(expected, found.ids[sentence], found.scores[sentence], strict=False):
            assert words(got) == ids
            np.testing.assert_allclose(got_score, score, atol=1e-4)


def test_a_sentence_does_not_depend_on_its_batch_nor_on_the_compiler():
    settings = DecodingSettings(beam_size=3, max_length_factor=0.1, max_length_offset=9, coverage_penalty=0.3)
    toys = [Toy(7, 4, 1, sentences=5), Toy(8, 5, 2, sentences=5)]
    together = search(toys, settings, 3, range(5))
    compiled = search(toys, settings, 3, range(5), jit_compile=True)
    np.testing.assert_allclose(compiled.scores, together.scores, atol=1e-4)
    for sentence in range(5):
        alone = search(toys, settings, 3, [sentence])
        for hypothesis in range(3):
            assert words(alone.ids[0, hypothesis]) == words(together.ids[sentence, hypothesis])
            assert words(compiled.ids[sentence, hypothesis]) == words(together.ids[sentence, hypothesis])
        np.testing.assert_allclose(alone.scores[0], together.scores[sentence], atol=1e-5)


@pytest.fixture(scope="module")
def ensemble(second_run):
    return [f"decoding.ensemble=[{second_run}]"]


@pytest.fixture(scope="module")
def models(trained_run, second_run):
    return [load_model(*load_run_config(run)) for run in (trained_run, second_run)]


@pytest.fixture
def scored(trained_run, ensemble, tmp_path):
    """Best translations of `REAL`, with files of both sides."""
    translator = nmt.load_translator(trained_run, overrides=ensemble, attention=True)
    found = [hypotheses[0] for hypotheses in translator.translate(REAL)]
    for name, texts in (("source", REAL), ("target", [one.text for one in found])):
        (tmp_path / name).write_text("".join(text + "\n" for text in texts))
    return found


def by_hand(models, source, target):
    """log P(target | source) in double precision, and the mean attention."""
    of_models, attentions = [], []
    for model, *tokenizers in models:
        ids = [
            tokenizer.encode([text]).to_tensor() for tokenizer, text in zip(tokenizers, (source, target), strict=True)
        ]
        vectors, attention = model.attend(dict(zip(("source", "target"), ids, strict=True)), training=False)
        probabilities = softmax(vectors[0].numpy().astype(np.float64) @ model.output_weights().numpy())
        of_models.append(np.take_along_axis(probabilities, ids[1].numpy()[0][:, None], 1))
        attentions.append(attention[0].numpy())
    return float(np.log(np.mean(of_models, 0)).sum()), np.mean(attentions, 0)


@pytest.mark.no_cover
def test_log_probabilities_and_attention_are_means(scored, models, trained_run, second_run, ensemble, tmp_path):
    by_line = [by_hand(models, line, one.text) for line, one in zip(REAL, scored, strict=True)]
    expected, attention = zip(*by_line, strict=True)
    np.testing.assert_allclose([one.log_probability for one in scored], expected, atol=1e-4)
    for one, weights in zip(scored, attention, strict=True):
        np.testing.assert_allclose(one.attention, weights, atol=1e-5)
    files = tmp_path / "source", tmp_path / "target"
    np.testing.assert_allclose([p for p, _ in score_files(trained_run, *files, None, ensemble)], expected, atol=1e-4)
    for run in (trained_run, second_run):
        single = score_files(run, *files, None, ["decoding.ensemble=[]"])
        assert not np.allclose([p for p, _ in single], expected, atol=0.01)


@pytest.mark.no_cover
@pytest.mark.parametrize("beam_size", [1, 5])
def test_a_model_with_itself_is_the_model_alone(trained_run, beam_size):
    beam = f"decoding.beam_size={beam_size}"
    alone, twice, thrice = (
        nmt.load_translator(trained_run, overrides=[beam, f"decoding.ensemble={json.dumps(more)}"], n_best=beam_size)
        for more in ([], [str(trained_run)], [str(trained_run)] * 2)
    )
    for ours, *others in zip(*(translator.translate(LINES) for translator in (alone, twice, thrice)), strict=True):
        for other in others:
            assert [one.text for one in other] == [one.text for one in ours]
            np.testing.assert_allclose([x.score for x in other], [x.score for x in ours], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beam_size", [1, 5])
def test_lines_do_not_depend_on_each_other(trained_run, ensemble, beam_size):
    options = [f"decoding.beam_size={beam_size}", "decoding.coverage_penalty=0.2"]
    translator = nmt.load_translator(trained_run, overrides=[*ensemble, *options], n_best=beam_size)
    for line, together in zip(LINES, translator.translate(LINES), strict=True):
        (alone,) = translator.translate([line])
        assert [one.text for one in alone] == [one.text for one in together]
        np.testing.assert_allclose([one.score for one in alone], [one.score for one in together], atol=1e-5)


def test_a_language_model_joins_in(trained_run, language_model_run, ensemble, models, tmp_path):
    overrides = [*ensemble, f"decoding.language_model={language_model_run}", "decoding.language_model_weight=0.7"]
    found = [one[0] for one in nmt.load_translator(trained_run, overrides=overrides).translate(REAL)]
    (tmp_path / "target").write_text("".join(one.text + "\n" for one in found))
    of_language = [one for one, _ in score_files(language_model_run, tmp_path / "target")]
    expected = [
        by_hand(models, line, one.text)[0] + 0.7 * score
        for line, one, score in zip(REAL, found, of_language, strict=True)
    ]
    np.testing.assert_allclose([one.log_probability for one in found], expected, atol=1e-4)


@pytest.mark.no_cover
def test_export_command_and_evaluation_give_the_same(scored, models, trained_run, ensemble, tmp_path, capsys):
    version = export_saved_model(trained_run, tmp_path / "exported", overrides=ensemble)
    signatures = tf.saved_model.load(str(version)).signatures
    answer = signatures["nbest"](text=tf.constant(REAL))
    assert [text.decode() for text in answer["translations"][:, 0].numpy()] == [one.text for one in scored]
    np.testing.assert_allclose(answer["scores"][:, 0], [one.score for one in scored], atol=1e-5)
    backwards = [line[::-1] for line in REAL]
    scores = signatures["score"](source=tf.constant(REAL), target=tf.constant(backwards))["log_probability"]
    expected = [by_hand(models, *pair)[0] for pair in zip(REAL, backwards, strict=True)]
    np.testing.assert_allclose(scores, expected, atol=1e-4)

    source, target = tmp_path / "source", tmp_path / "target"
    setting = ["--set", *ensemble]
    with pytest.raises(SystemExit, match="0"):
        main(["translate", *map(str, (trained_run, "--input", source, "--output", tmp_path / "out")), *setting])
    assert (tmp_path / "out").read_text() == target.read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        main(["score", *map(str, (trained_run, source, target)), *setting])
    printed = [float(line.split("\t")[0]) for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose(printed, [one.log_probability for one in scored], atol=1e-4)
    with pytest.raises(SystemExit, match="0"):
        main(["evaluate", str(trained_run), "--samples", "0", "--save", str(tmp_path / "saved"), *setting])
    tests = (trained_run / "data" / "test.source.txt").read_text().splitlines()
    again = nmt.load_translator(trained_run, overrides=ensemble)
    assert (tmp_path / "saved").read_text().splitlines() == list(again.best(tests))


def test_the_longest_input_is_the_one_that_all_have_seen(trained_run, second_run, tmp_path):
    short = RunFolder(shutil.copytree(second_run, tmp_path / "short"))
    short.config.write_text(short.config.read_text().replace("max_length: 100", "max_length: 7"))
    translator = nmt.load_translator(trained_run, overrides=[f"decoding.ensemble=[{short.path}]"])
    assert translator.text_to_text.max_tokens == 7


def test_a_shortlist_and_litert_refuse(trained_run, ensemble, tmp_path):
    with pytest.raises(UserError, match=r"no `shortlist` with decoding.ensemble"):
        export_saved_model(trained_run, tmp_path / "short", overrides=ensemble, shortlist=5)
    with pytest.raises(UserError, match=r"expected no decoding.ensemble"):
        export_lite(trained_run, tmp_path / "lite", overrides=ensemble)


def test_the_mean_of_tiny_probabilities():
    far = [tf.constant([-500.0]), tf.constant([-501.0])]
    assert float(log_mean(far)[0]) == pytest.approx(-500 + math.log((1 + math.exp(-1)) / 2), abs=1e-4)
