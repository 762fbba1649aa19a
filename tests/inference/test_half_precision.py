"""Translating with products in bfloat16: nearly the same scores, and as exact about batches and exports."""

import numpy as np
import pytest
import tensorflow as tf

import nmt
from nmt.runs.scoring import score_files
from nmt.serving.lite.export import export_lite
from nmt.serving.saved_model import export_saved_model
from nmt.utils.errors import UserError

LINES = ["3 1 4", "", "2 7 1 8 2 8", "9 9 9", "0 5", "6 6"]
HALF = ["decoding.precision=bfloat16"]


@pytest.mark.no_cover
def test_export_and_translator_agree_and_lines_do_not_depend_on_each_other(trained_run, tmp_path):
    translator = nmt.load_translator(trained_run, overrides=HALF)
    found = list(translator.hypotheses(LINES))
    for line, together in zip(LINES, found, strict=True):
        (alone,) = translator.hypotheses([line])
        assert [one.text for one in alone] == [one.text for one in together]
        np.testing.assert_allclose([one.score for one in alone], [one.score for one in together], atol=1e-5)
    version = export_saved_model(trained_run, tmp_path / "exported", overrides=HALF)
    exported = tf.saved_model.load(str(version))
    answer = exported.signatures["serving_default"](text=tf.constant(LINES))
    assert [text.decode() for text in answer["translation"].numpy()] == [one[0].text if one else "" for one in found]
    np.testing.assert_allclose(answer["score"], [one[0].score if one else 0.0 for one in found], atol=1e-5)
    kept = exported.signatures["serving_default"].graph.variables
    assert any(variable.dtype == tf.bfloat16 for variable in kept)


@pytest.mark.no_cover
def test_scores_are_nearly_those_of_full_precision(trained_run, second_run, language_model_run, tmp_path):
    for side in ("source", "target"):
        (tmp_path / side).write_text("".join(line + "\n" for line in LINES if line))
    together = [
        f"decoding.ensemble=[{second_run}]",
        f"decoding.language_model={language_model_run}",
        "decoding.language_model_weight=0.3",
    ]
    exact, half = (
        [one[0].score for one in nmt.load_translator(trained_run, overrides=more).hypotheses(LINES) if one]
        for more in (together, [*together, *HALF])
    )
    assert 0 < np.abs(np.subtract(exact, half)).max() < 0.03
    exact, half = (
        [one for one, _ in score_files(trained_run, tmp_path / "source", tmp_path / "target", overrides=more)]
        for more in (together, [*together, *HALF])
    )
    assert 0 < np.abs(np.subtract(exact, half)).max() < 0.3


def test_litert_refuses(trained_run, tmp_path):
    with pytest.raises(UserError, match=r"expected decoding.precision float32"):
        export_lite(trained_run, tmp_path / "lite", overrides=HALF)
