"""Ensembles of trained models, through the commands and the export."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import nmt
from nmt.cli import main
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.models import load_model
from nmt.runs.scoring import score_files
from nmt.serving.lite.export import export_lite
from nmt.serving.saved_model import export_saved_model
from nmt.utils.errors import UserError
from tests.decoding.toys import softmax

LINES = ["3 1 4", "", "2 7 1 8 2 8", "9 9 9", "0 5"]
REAL = [line for line in LINES if line]


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
    found = [hypotheses[0] for hypotheses in translator.hypotheses(REAL)]
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
        vectors, attention = model.hidden(*ids, training=False), model.attention_weights(*ids)
        logits = vectors[0].numpy().astype(np.float64) @ model.output_weights().numpy()
        probabilities = np.stack([softmax(row) for row in logits])
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
    scores = [score for score, _ in score_files(trained_run, *files, overrides=ensemble)]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    for run in (trained_run, second_run):
        single = score_files(run, *files, overrides=["decoding.ensemble=[]"])
        assert not np.allclose([p for p, _ in single], expected, atol=0.01)


@pytest.mark.no_cover
def test_a_model_with_itself_is_the_model_alone(trained_run):
    alone, thrice = (
        nmt.load_translator(trained_run, overrides=[f"decoding.ensemble={json.dumps(more)}"], n_best=2)
        for more in ([], [str(trained_run)] * 2)
    )
    for ours, other in zip(alone.hypotheses(LINES), thrice.hypotheses(LINES), strict=True):
        assert [one.text for one in other] == [one.text for one in ours]
        np.testing.assert_allclose([x.score for x in other], [x.score for x in ours], rtol=1e-5, atol=1e-6)


def test_lines_do_not_depend_on_each_other(trained_run, ensemble):
    overrides = [*ensemble, "decoding.coverage_penalty=0.2"]
    translator = nmt.load_translator(trained_run, overrides=overrides, n_best=2)
    for line, together in zip(LINES, translator.hypotheses(LINES), strict=True):
        (alone,) = translator.hypotheses([line])
        assert [one.text for one in alone] == [one.text for one in together]
        np.testing.assert_allclose([one.score for one in alone], [one.score for one in together], atol=1e-5)


def test_a_language_model_joins_in(trained_run, language_model_run, ensemble, models, tmp_path):
    overrides = [*ensemble, f"decoding.language_model={language_model_run}", "decoding.language_model_weight=0.7"]
    found = [one[0] for one in nmt.load_translator(trained_run, overrides=overrides).hypotheses(REAL)]
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
    with pytest.raises(UserError, match=r"`shortlist`: expected none with decoding.ensemble"):
        export_saved_model(trained_run, tmp_path / "short", overrides=ensemble, shortlist=5)
    with pytest.raises(UserError, match=r"expected no decoding.ensemble"):
        export_lite(trained_run, tmp_path / "lite", overrides=ensemble)
