"""Run folders made before they said their format's version translate, score and train on as they did then."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import run_command

ARCHIVES = Path(__file__).parent / "format_1"
TRANSLATORS = ["one_layer", "two_layers"]


def unpacked(name: str, folder: Path) -> Path:
    """The run, and beside it what the code that made it gave."""
    with tarfile.open(ARCHIVES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "run"


def json_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize(("search", "beam_size"), [("beam", 3), ("greedy", 1)])
def test_translates_as_before(name, search, beam_size, tmp_path):
    run, found = unpacked(name, tmp_path), tmp_path / "found.jsonl"
    options = ("--format", "json", "--n-best", beam_size, "--set", f"decoding.beam_size={beam_size}")
    run_command("translate", run, "--input", tmp_path / "sources.txt", "--output", found, *options)
    for now, then in zip(json_lines(found), json_lines(tmp_path / f"{search}.jsonl"), strict=True):
        hypotheses, expected = now["hypotheses"], then["hypotheses"]
        assert [hypothesis["text"] for hypothesis in hypotheses] == [hypothesis["text"] for hypothesis in expected]
        for number in ("score", "log_probability"):
            scores, old = ([hypothesis[number] for hypothesis in side] for side in (hypotheses, expected))
            np.testing.assert_allclose(scores, old, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*TRANSLATORS, "language_model"])
def test_scores_as_before(name, tmp_path, capsys):
    run = unpacked(name, tmp_path)
    sides = ("target",) if name == "language_model" else ("source", "target")
    run_command("score", run, *(run / "data" / f"test.{side}.txt" for side in sides))
    now, then = capsys.readouterr().out, (tmp_path / "scores.tsv").read_text(encoding="utf-8")
    scores, expected = (np.array([line.split("\t") for line in text.splitlines()], float) for text in (now, then))
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*TRANSLATORS, "language_model"])
def test_training_goes_on_as_before(name, tmp_path, monkeypatch):
    run = unpacked(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    expected = json.loads((tmp_path / "continued.json").read_text(encoding="utf-8"))
    run_command("train", run / "config.yaml", "--run", run, "--set", f"training.max_steps={expected['step']}")
    last = json_lines(run / "metrics.jsonl")[-1]
    assert {name: last[name] for name in expected} == pytest.approx(expected, rel=1e-4)
