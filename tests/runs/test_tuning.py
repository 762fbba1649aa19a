"""The settings of the search are chosen on the validation split."""

import json
import shutil
from typing import NamedTuple

import pytest

from nmt.config import load_saved_config
from nmt.evaluation.metrics import Score
from nmt.runs import tuning
from nmt.runs.folder import RunFolder
from nmt.runs.tuning import choose, tune_search


def test_a_setting_changes_only_for_a_gain_that_is_not_chance():
    begin = {"length_penalty": 1.0, "beam_size": 5, "coverage_penalty": 0.0}
    chosen, tried = choose(begin, lambda settings: 30 + 0.05 * settings["length_penalty"])
    assert chosen == begin
    assert [one["length_penalty"] for one in tried[:4]] == [1.0, 1.2, 1.5, 0.8]  # what is worse leads to nothing better
    assert len(tried) == 6
    chosen, _ = choose(begin, lambda settings: settings["length_penalty"] + settings["beam_size"])
    assert chosen == begin | {"length_penalty": 1.5, "beam_size": 8}


@pytest.fixture
def run(trained_run, tmp_path):
    return RunFolder(shutil.copytree(trained_run, tmp_path / "run"))


def test_few_sentences_decide_nothing(run):
    before = run.config.read_bytes()
    assert tune_search(run.path)["tried"] == []
    assert run.config.read_bytes() == before


class Translated(NamedTuple):
    """Stands for a translator: each translation says the settings that it was made with."""

    overrides: list[str]

    def best(self, sources):
        return [" ".join(self.overrides) for _ in sources]


def test_what_chrf_gains_by_length_ter_takes_back(run, monkeypatch):
    def evaluated(translations, *_):
        is_long = "length_penalty=1.5" in translations[0]
        values = (30.0, 52.0, 66.0) if is_long else (30.0, 50.0, 63.0)
        return [Score(name, value, "") for name, value in zip(("BLEU", "chrF2", "TER"), values, strict=True)]

    monkeypatch.setattr(tuning, "FEWEST", 20)
    monkeypatch.setattr(tuning, "load_translator", lambda run, checkpoint, overrides: Translated(overrides))
    monkeypatch.setattr(tuning, "evaluate", evaluated)
    result = tune_search(run.path, sentences=20)
    assert result["goal"] == "Mean of BLEU, chrF and 100 - TER"
    assert result["chosen"]["length_penalty"] == 1.0
    by_penalty = {one["length_penalty"]: one["score"] for one in result["tried"]}
    assert by_penalty[1.0] == pytest.approx((30 + 50 + 100 - 63) / 3)
    assert by_penalty[1.5] == pytest.approx((30 + 52 + 100 - 66) / 3)


def test_what_is_chosen_is_kept_and_the_same_again(run, monkeypatch):
    monkeypatch.setattr(tuning, "FEWEST", 20)
    monkeypatch.setattr(tuning, "GRID", {"length_penalty": (0.2, 1.0)})
    result = tune_search(run.path, sentences=20)
    decoding = load_saved_config(run.config).decoding
    assert result["chosen"] == {name: getattr(decoding, name) for name in result["chosen"]}
    assert json.loads(run.tuning.read_text()).items() >= result.items()
    assert tune_search(run.path, sentences=20) == result
