"""The example of vision: its drawings, its measure, and a short run of it."""

import json

import numpy as np
import pytest
import vision
from vision_data import COLOURS, END, SHAPES, SIDE, WORDS, draw_shapes, drawings, right


@pytest.mark.parametrize("seed", range(20))
def test_a_description_is_true_of_its_drawing(seed):
    picture, text = draw_shapes(np.random.default_rng(seed))
    assert picture.shape == (SIDE, SIDE, 3)
    relation = "left of" if "left of" in text else "above"
    colours = [word for word in text.split() if word in COLOURS]
    assert all(word in WORDS for word in text.split())
    if colours[0] != colours[1]:
        places = [np.argwhere((picture == COLOURS[colour]).all(-1)).mean(0) for colour in colours]
        down, across = places[1] - places[0]
        assert (across if relation == "left of" else down) > 0
        assert (abs(across) > abs(down)) == (relation == "left of")


def test_shapes_fit_in_a_drawing_and_differ():
    y, x = np.mgrid[-5:6, -5:6]
    drawn = [shape(x, y) for shape in SHAPES.values()]
    assert all(20 < one.sum() < 80 and not one[0].any() for one in drawn)
    assert len({one.tobytes() for one in drawn}) == len(SHAPES)


def test_drawings_are_the_same_for_the_same_seed():
    (pictures, ids), (again, same), (_, others) = drawings(5, 1), drawings(5, 1), drawings(5, 2)
    np.testing.assert_array_equal(pictures, again)
    np.testing.assert_array_equal(ids, same)
    assert all(list(row).count(END) == 1 for row in ids)
    assert ids.tolist() != others.tolist()


def test_right_ignores_padding():
    assert right(np.array([[4, 5, 3, 0], [4, 5, 6, 3]]), np.array([[4, 5, 3], [4, 5, 3]])) == 0.5


def test_short_run_prints_all_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(vision, "CAPTIONERS", {"GRU with attention": True})  # the other one's search takes seconds more
    vision.main(seeds=1, epochs=1, pictures=32, units=4, output=tmp_path / "made.png", results=tmp_path / "made.json")
    rows = capsys.readouterr().out.splitlines()[1:]
    right_of = json.loads((tmp_path / "made.json").read_text())["right"]
    assert [row[:31].rstrip() for row in rows] == list(right_of)
    assert len(rows) == 5
    assert right_of["logistic regression"][0] > 0.9
    assert (tmp_path / "made.png").stat().st_size < 100_000
