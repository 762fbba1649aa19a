"""The settings of the search are chosen on the validation split."""

import json
import shutil

import pytest

from nmt.config import load_saved_config
from nmt.runs import tuning
from nmt.runs.folder import RunFolder
from nmt.runs.tuning import choose, tune_search


def test_a_setting_changes_only_for_a_gain_that_is_not_chance():
    begin = {"length_penalty": 1.0, "beam_size": 5, "coverage_penalty": 0.0}
    chosen, tried = choose(begin, lambda settings: 30 + 0.05 * settings["length_penalty"])
    assert chosen == begin
    assert {one["length_penalty"] for one in tried} == set(tuning.LENGTH_PENALTIES)
    chosen, _ = choose(begin, lambda settings: settings["length_penalty"] + settings["beam_size"])
    assert chosen == begin | {"length_penalty": max(tuning.LENGTH_PENALTIES), "beam_size": max(tuning.BEAMS)}


@pytest.fixture
def run(trained_run, tmp_path):
    return RunFolder(shutil.copytree(trained_run, tmp_path / "run"))


def test_few_sentences_decide_nothing(run):
    before = run.config.read_bytes()
    assert tune_search(run.path)["tried"] == []
    assert run.config.read_bytes() == before


def test_what_is_chosen_is_kept_and_the_same_again(run, monkeypatch):
    monkeypatch.setattr(tuning, "FEWEST", 20)
    monkeypatch.setattr(tuning, "LENGTH_PENALTIES", (1.0, 0.2))
    monkeypatch.setattr(tuning, "BEAMS", (5,))
    monkeypatch.setattr(tuning, "COVERAGE_PENALTIES", (0.0,))
    result = tune_search(run.path, sentences=20)
    decoding = load_saved_config(run.config).decoding
    assert result["chosen"] == {name: getattr(decoding, name) for name in result["chosen"]}
    assert json.loads(run.tuning.read_text()).items() >= result.items()
    assert tune_search(run.path, sentences=20) == result
