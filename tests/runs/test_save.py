"""Translations that an evaluation saves replace nothing that it reads."""

import shutil

import pytest

from nmt.runs.folder import RunFolder
from nmt.runs.translation import evaluate_run
from nmt.utils.errors import UserError


@pytest.mark.parametrize("name", ["source", "target", "link", "baseline"])
def test_an_input_is_no_output(name, trained_run, tmp_path):
    run = RunFolder(shutil.copytree(trained_run, tmp_path / "run"))
    baseline = tmp_path / "baseline"
    shutil.copy(run.data / "test.target.txt", baseline)
    (tmp_path / "link").symlink_to(run.data / "test.target.txt")
    save = {"link": tmp_path / "link", "baseline": baseline}.get(name, run.data / f"test.{name}.txt")
    before = save.read_bytes()
    with pytest.raises(UserError, match=f"{save.name}: is read and would be overwritten"):
        evaluate_run(run.path, baseline=baseline, samples=0, save=save)
    assert save.read_bytes() == before
