"""`nmt gradients` from end to end."""

import json

import pytest

from nmt.layers.cells import CELLS
from tests.helpers import refused, run_command


def is_picture(path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("task", ["copy", "adding"])
def test_cells_are_tried(task, tmp_path, capsys):
    cells = ("--cell", "rnn", "--cell", "lstm")
    run_command(
        "gradients", *cells, "--task", task, "--delay", 6, "--units", 8, "--steps", 50, "--output", tmp_path / "out"
    )
    result = json.loads((tmp_path / "out" / "gradients.json").read_text())
    settings = result["settings"]
    assert (settings["cells"], settings["task"], settings["delay"], settings["units"]) == (["rnn", "lstm"], task, 6, 8)
    assert {"tensorflow", "keras", "gru-nmt"} <= set(result["versions"])
    length = 12 if task == "copy" else 6
    for cell, found in result["cells"].items():
        assert found["steps"] == 50
        first, *_, last = found["points"]
        assert (first["step"], last["step"]) == (0, 50)
        for point in found["points"]:
            norms = point["norms"]
            if point in (first, last):
                assert set(norms) == ({"all", "h", "c"} if cell == "lstm" else {"all"})
                assert all(len(norms["all"][name]) == length for name in ("median", "lower", "upper"))
            assert norms["all"]["median"][0] == 1.0
            assert point["norm_over_distance"] == norms["all"]["median"][result["distance"]]
        if cell == "rnn":
            assert first["greatest_singular_value"] == pytest.approx(1, abs=1e-4)  # an orthogonal matrix
            pairs = zip(first["norms"]["all"]["median"], first["bound"]["median"], strict=True)
            assert all(norm <= 1.01 * bound for norm, bound in pairs)
    assert is_picture(tmp_path / "out" / "gradients.png")
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:]] == ["cell", "rnn", "lstm", "chance"]


def test_a_run_is_measured(trained_run, tmp_path, capsys):
    run_command("gradients", trained_run, "--output", tmp_path)
    result = json.loads((tmp_path / "gradients.json").read_text())
    assert set(result["layers"]) == {"decoder", "encoder, forward", "encoder, backward"}
    for states in result["layers"].values():
        assert states["all"]["sequences"][0] == 50  # all validation sentences, and no row of padding
        assert states["all"]["sequences"] == sorted(states["all"]["sequences"], reverse=True)
        assert states["all"]["median"][0] == 1.0
    # Sentences have 3 to 7 digits and an end mark.
    assert all(len(states["all"]["median"]) == 8 for states in result["layers"].values())
    assert is_picture(tmp_path / "gradients.png")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["decoder", "encoder,", "encoder,"]


def test_an_unknown_cell_is_told_with_the_known_ones(tmp_path, capsys):
    said = refused(capsys, "gradients", "--cell", "gruu", "--output", tmp_path / "out")
    assert "gruu" in said
    assert all(cell in said for cell in CELLS)
    assert not (tmp_path / "out").exists()


def test_a_run_has_its_own_cell(tmp_path, capsys):
    said = refused(capsys, "gradients", tmp_path, "--cell", "gru", "--output", tmp_path / "out")
    assert "got both" in said


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert "is not a run folder" in refused(capsys, "gradients", tmp_path, "--output", tmp_path / "out")
