"""How fast a training runs, measured, and printed by `nmt bench`."""

import json

import pytest

from nmt.cli import main
from nmt.config import save_config
from nmt.data.preparation import load_report
from nmt.training.bench import measure
from nmt.utils.errors import UserError
from tests.helpers import reversal_config


def test_measures_a_training(tmp_path):
    config = reversal_config(tmp_path / "corpus")
    measured = measure(config, tmp_path / "run", 6)
    report = load_report(tmp_path / "run" / "data")
    assert measured.steps == 6
    assert measured.batch_shapes == len(report["shapes"])
    assert measured.padding_share == pytest.approx(report["padding_share"], abs=0.1)
    assert 0 <= measured.input_wait_share < 1
    assert 0 < measured.gflop_per_second < measured.product_gflop_per_second
    assert measured.share_of_product_rate == pytest.approx(
        measured.gflop_per_second / measured.product_gflop_per_second, abs=0.01
    )
    assert 0.1 < measured.peak_memory_gib < 100
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["data", "run.json"]


def test_prints_json(tmp_path, capsys):
    save_config(reversal_config(tmp_path / "corpus"), tmp_path / "my.yaml")
    with pytest.raises(SystemExit, match="0"):
        main(["bench", str(tmp_path / "my.yaml"), "--steps", "2", "--json"])
    assert json.loads(capsys.readouterr().out)["target_tokens_per_second"] > 0


def test_one_device_only(tmp_path):
    config = reversal_config(tmp_path / "corpus", training={"strategy": "mirrored"})
    with pytest.raises(UserError, match="only one_device"):
        measure(config, tmp_path / "run", 1)
