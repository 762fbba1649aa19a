"""Distillation: a student of its teacher's tokenizer and translations, in one command that can be killed."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

import nmt
from nmt.augmentation.distillation import distill, student_settings, student_units
from nmt.config import load_config, load_saved_config, parse_config
from nmt.constants import SIDES
from nmt.runs.folder import RunFolder, lock_run, open_run
from nmt.utils.errors import UserError
from tests.helpers import refused, run_command

SMALL = ["batches.shapes=2", "training.xla=none", "training.precision=float32"]


def pairs(path):
    sides = (Path(path.format(side)).read_text(encoding="utf-8").splitlines() for side in SIDES)
    return list(zip(*sides, strict=True))


@pytest.mark.usefixtures("quick_validation")
def test_a_student_learns_from_references_and_translations(trained_run, second_run, tmp_path, capsys):
    student = RunFolder(tmp_path / "student")
    options = [part for setting in SMALL for part in ("--set", setting)]
    command = ("distill", trained_run, second_run, "--to", student.path, "--epochs", 1, *options)
    run_command(*command)
    assert "the student has 32 units where its teacher has 16" in capsys.readouterr().err
    config = load_saved_config(student.config)
    teacher = load_saved_config(RunFolder(trained_run).config)
    assert (config.model.cell, config.model.decoder_cell, config.model.decoder_layers) == ("gru", "ssru", 1)
    assert (config.decoding.beam_size, config.decoding.ensemble) == (1, [])
    assert config.data.target_language == teacher.data.target_language
    texts = [trained_run / "data" / "train.{}.txt", student.distilled / "{}.txt", student.data / "train.{}.txt"]
    own, made, learnt = (pairs(str(path)) for path in texts)
    assert len(made) > 1000
    assert learnt == list(dict.fromkeys(own + made))  # a translation that is the reference counts once
    test = "data/test.{}.txt"
    assert pairs(f"{student.path}/{test}") == pairs(f"{trained_run}/{test}")
    for side in SIDES:
        models = [run / "data" / f"{side}.model" for run in (trained_run, student.path)]
        assert models[0].read_bytes() == models[1].read_bytes()
    report = json.loads((student.distilled / "report.json").read_text())
    assert (report["closest"], report["n_best"]) == (True, teacher.decoding.beam_size)
    assert report["settings"] == [f'decoding.ensemble=["{second_run}"]']
    assert len(nmt.load_translator(student.path).translate(["1 2 3"])) == 1

    before = student.best.read_bytes()
    run_command(*command)
    assert "going on with the settings of" in capsys.readouterr().err
    assert student.best.read_bytes() == before
    message = refused(capsys, "distill", trained_run, "--to", student.path)
    assert f"student: has learnt from {trained_run}" in message


@pytest.mark.usefixtures("quick_validation")
def test_a_killed_call_goes_on(trained_run, tmp_path, monkeypatch):
    student = RunFolder(tmp_path / "student")
    with monkeypatch.context() as patched:
        patched.setattr("nmt.augmentation.distillation.train", Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            distill([trained_run], student.path, epochs=1, overrides=SMALL)
    written = (student.distilled / "target.txt").stat().st_mtime_ns
    distill([trained_run], student.path, epochs=1, overrides=SMALL)
    assert (student.distilled / "target.txt").stat().st_mtime_ns == written
    assert student.best.exists()


def test_what_is_no_teacher_or_no_folder_for_a_student(trained_run, tmp_path):
    with pytest.raises(UserError, match="is a teacher's folder"):
        distill([trained_run], trained_run)
    with pytest.raises(UserError, match="nowhere: is not a run folder"):
        distill([tmp_path / "nowhere"], tmp_path / "student")
    with pytest.raises(UserError, match=r"model.units: should be greater"):
        distill([trained_run], tmp_path / "student", overrides=["model.units=0"])
    assert not (tmp_path / "student").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not a run folder and not empty"):
        distill([trained_run], tmp_path / "notes")
    with pytest.raises(UserError, match="`minutes`: expected it or `epochs`, got both"):
        distill([trained_run], tmp_path / "student", minutes=1, epochs=1)


def test_a_damaged_report_is_named(trained_run, tmp_path):
    with lock_run(tmp_path / "student") as student:
        student.distilled.mkdir()
    (student.distilled / "report.json").write_text("{")
    with pytest.raises(UserError, match=r"report.json: is damaged; delete .*distilled to make the translations anew"):
        distill([trained_run], student.path)


def test_widths_are_smaller_in_steps_of_32():
    widths = [student_units(units) for units in range(65, 1025)]
    assert all(width % 32 == 0 for width in widths)
    assert widths == sorted(widths)
    assert all(width < units for width, units in zip(widths, range(65, 1025), strict=True))


def test_the_configuration_is_what_a_run_of_base_yaml_gets(tmp_path):
    configs = Path(__file__).parents[2] / "configs"
    open_run(tmp_path / "base", load_config(configs / "base.yaml"))
    chosen = parse_config(student_settings(tmp_path / "base"))
    alone = load_config(configs / "student.yaml")
    assert chosen.model == alone.model
    assert chosen.batches == alone.batches
    assert chosen.decoding == alone.decoding
    assert chosen.tokenizer.model_copy(update={"model": None}) == alone.tokenizer
    assert chosen.training.learning_rate == pytest.approx(alone.training.learning_rate, abs=1e-4)
