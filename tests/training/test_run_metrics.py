"""A run's `metrics.jsonl`."""

import json

from nmt.runs.folder import RunFolder
from nmt.training.metrics import append_metrics, begin_metrics, describe_validation
from nmt.training.state import TrainingState
from tests.helpers import reversal_config


def test_lines_of_steps_that_will_be_made_again_are_dropped(tmp_path):
    run = RunFolder(tmp_path / "run")
    config = reversal_config(tmp_path / "corpus", training={"accumulate": 2})
    begin_metrics(run, config, TrainingState(extent="parts"), choosing_seconds=1.5)
    for step in (10, 20, 30):
        append_metrics(run, {"step": step})
    begin_metrics(run, config, TrainingState(batches=40, extent="parts"), choosing_seconds=0.5)
    first, *validations, second = (json.loads(line) for line in run.metrics.read_text().splitlines())
    assert validations == [{"step": 10}, {"step": 20}]
    assert first["xla"] == {"extent": "parts", "seconds": 1.5}
    assert second["xla"] == {"extent": "parts", "seconds": 0.5}
    assert second["config"]["training"]["accumulate"] == 2


def test_a_language_model_is_described_by_its_perplexity():
    metrics = {
        "step": 20, "epoch": 0, "training_loss": 3.0, "validation_loss": 2.0, "perplexity": 7.389, "best": False,
        "target_tokens_per_second": 1234.5, "seconds": 60.0,
    }  # fmt: skip
    assert describe_validation(metrics) == (
        "step      20  epoch   0  loss 3.000  validation 2.000  perplexity 7.39    1,234 target tokens/s  1.0 min"
    )
