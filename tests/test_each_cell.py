"""`model.cell` from end to end: each cell trains and translates, and exports agree."""

import json

import numpy as np
import pytest
import tensorflow as tf

import nmt
from nmt.layers.cells import CELLS
from nmt.serving.lite.export import export_lite
from nmt.serving.lite.translator import LiteTranslator
from nmt.serving.saved_model import export_saved_model
from nmt.training.train import train
from tests.helpers import digit_strings, reversal_config

LINES = [*digit_strings(20, range(1, 9), seed=5), "", "日本 \U0001f600"]


@pytest.mark.usefixtures("quick_validation")
@pytest.mark.parametrize("cell", sorted(set(CELLS) - {"gru"}))  # which every other test trains
def test_trains_translates_and_is_exported(cell, tmp_path):
    training = {"max_steps": 12, "validate_every": 6, "learning_rate": 0.01}
    config = reversal_config(tmp_path / "corpus", pairs=300, model={"cell": cell}, training=training)
    run = train(config, tmp_path / "run")
    lines = map(json.loads, run.metrics.read_text().splitlines())
    first, second = (line["training_loss"] for line in lines if "training_loss" in line)
    assert second < first

    translated = [found[0] if found else None for found in nmt.load_translator(run.path).hypotheses(LINES)]
    if cell == "lstm":  # it has two states
        export_lite(run.path, tmp_path / "lite")
        expected = [best.text if best else "" for best in translated]
        assert list(map(LiteTranslator(tmp_path / "lite").translate, LINES)) == expected
    if cell != "min_gru":  # its scan is parallel
        return
    export_saved_model(run.path, tmp_path / "exported")
    signature = tf.saved_model.load(str(tmp_path / "exported" / "1")).signatures["serving_default"]
    answer = signature(text=tf.constant([line.encode() for line in LINES]))
    assert [text.decode() for text in answer["translation"].numpy()] == [
        best.text if best else "" for best in translated
    ]
    np.testing.assert_allclose(answer["score"], [best.score if best else 0.0 for best in translated], atol=1e-5)
