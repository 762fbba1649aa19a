"""A training from files alone: it plans, trains, tunes, and goes on with what it has planned."""

import pytest
import yaml

from nmt.config import load_config, load_saved_config
from nmt.runs import tuning
from nmt.runs.folder import RunFolder
from tests.helpers import digit_strings, refused, run_command

SMALL = [
    "model.units=16",
    "model.embedding=16",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.attention=dot",
    "training.xla=none",
    "batches.shapes=2",
    "tokenizer.vocabulary_size=300",
]


@pytest.mark.usefixtures("quick_validation")
def test_two_files_make_a_translator(tmp_path, monkeypatch, capsys):
    sources = digit_strings(400, range(3, 8), seed=1)
    for language, lines in (("en", sources), ("de", [line[::-1] for line in sources])):
        (tmp_path / f"my.{language}.txt").write_text("".join(line + "\n" for line in lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "FEWEST", 10)
    monkeypatch.setattr(tuning, "GRID", {})
    changes = [part for setting in SMALL for part in ("--set", setting)]
    command = ("train", "my.en.txt", "my.de.txt", "--run", "run", "--epochs", 1, *changes)
    run_command(*command)
    told = capsys.readouterr().err
    assert "pairs are too few for a useful translator" in told
    assert "it will take about" in told
    assert "the search is tuned" in told
    run = RunFolder(tmp_path / "run")
    config = load_saved_config(run.config)
    assert (config.data.source_language, config.data.target_language, config.model.units) == ("en", "de", 16)
    assert load_config(run.config) == config  # a person can take it over
    assert yaml.safe_load(run.tuning.read_text())["chosen"]["beam_size"] == 5
    run_command(*command)
    assert "going on with the settings of run/config.yaml" in capsys.readouterr().err
    other = refused(capsys, "train", "my.de.txt", "my.en.txt", "--run", "run")
    assert "was started with another corpus" in other


def test_a_configuration_says_all(tmp_path, capsys):
    (tmp_path / "my.yaml").write_text("seed: 1\n")
    message = refused(capsys, "train", tmp_path / "my.yaml", "--run", tmp_path / "run", "--minutes", 3)
    assert message.endswith("is a configuration: expected nothing more but --set, got --minutes")
