"""Exports are verified wholly, and nothing damaged is opened."""

import shutil
from pathlib import Path

import pytest

from nmt.serving.lite.export import export_lite
from nmt.serving.saved_model import DIGESTS
from nmt.serving.verification import verify_folder
from nmt.utils.digests import check_files
from nmt.utils.errors import UserError
from tests.helpers import run_command


@pytest.fixture(scope="module")
def lite(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    export_lite(trained_run, tmp_path_factory.mktemp("lite") / "export")
    return next(tmp_path_factory.getbasetemp().glob("lite*/export"))


@pytest.fixture(params=["savedmodel", "litert"])
def export(request: pytest.FixtureRequest, exported: Path, lite: Path, tmp_path: Path) -> Path:
    """A copy of an export; of a SavedModel, the folder of its versions."""
    folder = exported if request.param == "savedmodel" else lite
    return Path(shutil.copytree(folder, tmp_path / "export"))


def problems(folder: Path) -> dict[str, str]:
    return {file.path.name: file.problem for file in verify_folder(folder) if file.problem}


def test_every_file_of_an_export_is_verified(export: Path, capsys: pytest.CaptureFixture) -> None:
    files = {path for path in export.rglob("*") if path.is_file()}
    assert {file.path for file in verify_folder(export)} == files
    assert not problems(export)
    version = export / "1"
    if version.exists():
        assert {file.path for file in verify_folder(version)} == files
    run_command("verify", export)
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(f"{path}: ok" for path in files)


def test_damaged_missing_and_further_files_are_named(export: Path) -> None:
    for path in sorted(path for path in export.rglob("*") if path.is_file()):
        content = path.read_bytes()
        damaged = {
            "cut": content[:-1],
            "flipped": bytes([*content[:9], content[9] ^ 1, *content[10:]]),
            "empty": b"",
        }
        for changed in damaged.values():
            path.write_bytes(changed)
            assert set(problems(export)) == {path.name}
        path.write_bytes(content)
    (export / "1" if (export / "1").exists() else export).joinpath("more.txt").touch()
    assert problems(export) == {
        "more.txt": f"is not one of the files of {DIGESTS if (export / '1').exists() else 'digests.json'}"
    }
    path.unlink()
    assert problems(export)[path.name] == "cannot be read: No such file or directory"


def test_opening_a_damaged_export_is_refused_and_one_of_an_earlier_version_is_not(
    exported: Path, tmp_path: Path
) -> None:
    version = Path(shutil.copytree(exported / "1", tmp_path / "1"))
    assert check_files(version, DIGESTS)
    graph = version / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[::-1])
    with pytest.raises(UserError, match=r"saved_model\.pb: is damaged"):
        check_files(version, DIGESTS)
    (version / DIGESTS).unlink()
    assert not check_files(version, DIGESTS)
    with pytest.raises(UserError, match=r"has no assets\.extra/digests\.json; earlier versions exported without"):
        list(verify_folder(version))


def test_what_is_no_run_and_no_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is neither a run folder nor an export"):
        list(verify_folder(tmp_path))
