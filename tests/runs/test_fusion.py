"""Shallow fusion with trained models, through the commands and the export."""

import numpy as np
import pytest
import tensorflow as tf

import nmt
from nmt.cli import main
from nmt.runs.scoring import score_files
from nmt.serving.lite.export import export_lite
from nmt.serving.saved_model import export_saved_model
from nmt.utils.errors import UserError

LINES = ["3 1 4", "", "2 7 1 8 2 8", "9 9 9"]


@pytest.fixture(scope="module")
def fused(language_model_run):
    return [f"decoding.language_model={language_model_run}", "decoding.language_model_weight=0.7"]


@pytest.mark.no_cover
def test_log_probabilities_are_the_sum_of_both_models(trained_run, language_model_run, fused, tmp_path):
    found = [hypotheses[0] for hypotheses in nmt.load_translator(trained_run, overrides=fused).hypotheses(LINES[::2])]
    (tmp_path / "source.txt").write_text("".join(line + "\n" for line in LINES[::2]))
    (tmp_path / "target.txt").write_text("".join(hypothesis.text + "\n" for hypothesis in found))
    own = [one for one, _ in score_files(trained_run, tmp_path / "source.txt", tmp_path / "target.txt", None)]
    of_language = [one for one, _ in score_files(language_model_run, tmp_path / "target.txt")]
    expected = np.array(own) + 0.7 * np.array(of_language)
    np.testing.assert_allclose([hypothesis.log_probability for hypothesis in found], expected, atol=1e-4)
    off = nmt.load_translator(trained_run, overrides=[fused[0], "decoding.language_model_weight=0"])
    assert off.text_to_text.language_model is None


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
        one[0].score if one else 0.0 for one in nmt.load_translator(trained_run, overrides=fused).hypotheses(LINES)
    ]
    np.testing.assert_allclose(answer["score"], scores, atol=1e-5)


def test_a_shortlist_and_litert_refuse(trained_run, fused, tmp_path):
    with pytest.raises(UserError, match=r"`shortlist`: expected none with decoding.language_model"):
        export_saved_model(trained_run, tmp_path / "short", overrides=fused, shortlist=5)
    with pytest.raises(UserError, match=r"expected no decoding.language_model"):
        export_lite(trained_run, tmp_path / "lite", overrides=fused[:1])
