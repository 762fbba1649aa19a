"""The example of a new cell: its equations, its gradient, and that a model of it trains, searches and is exported."""

import json

import keras
import new_cell
import numpy as np
import pytest
import tensorflow as tf

import nmt

nmt.CELLS.pop("mgu")  # tests of all cells know the project's own alone


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setitem(nmt.CELLS, "mgu", new_cell.MGU)


def test_the_layer_equals_its_equations_by_hand():
    layer = new_cell.MGU(3, return_sequences=True, seed=1)
    inputs = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    outputs = layer(inputs).numpy()
    kernel, recurrent, bias = (weight.numpy() for weight in layer.cell.weights)
    state = np.zeros((2, 3), "float32")
    for step in range(5):
        products = inputs[:, step] @ kernel + bias
        gate = 1 / (1 + np.exp(-products[:, :3] - state @ recurrent[:, :3]))
        candidate = np.tanh(products[:, 3:] + (gate * state) @ recurrent[:, 3:])
        state = (1 - gate) * state + gate * candidate
        np.testing.assert_allclose(outputs[:, step], state, atol=1e-5)


def test_a_padded_step_changes_nothing_and_the_layer_comes_back():
    layer = new_cell.MGU(3, seed=1)
    inputs = tf.random.stateless_normal((2, 5, 4), (1, 2))
    mask = tf.constant([[True] * 5, [True] * 3 + [False] * 2])
    np.testing.assert_allclose(layer(inputs, mask=mask)[1], layer(inputs[1:, :3])[0], atol=1e-6)
    again = new_cell.MGU.from_config(layer.get_config())
    np.testing.assert_array_equal(again(inputs), layer(inputs))


def test_the_directions_of_an_encoder_begin_differently():
    both = keras.layers.Bidirectional(new_cell.MGU(3, return_sequences=True, seed=1))
    both(tf.ones((1, 2, 4)))
    forward, backward = both.forward_layer.cell.kernel, both.backward_layer.cell.kernel
    assert not np.array_equal(forward, backward)


def test_it_has_two_thirds_of_the_weights_of_a_gru():
    mgu, gru = new_cell.MGU(6), nmt.GRU(6)
    for layer in (mgu, gru):
        layer.build((None, None, 4))
    assert mgu.count_params() * 3 == gru.count_params() * 2


def test_layer_normalization_is_refused():
    with pytest.raises(ValueError, match="expected no `layer_normalization`"):
        nmt.Seq2Seq(20, 4, cell="mgu")


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (13, "thirteen"), (40, "forty"), (91, "ninety one"), (100, "one hundred"),
     (20_305, "twenty thousand three hundred five"), (700_000, "seven hundred thousand")],
)  # fmt: skip
def test_numbers_in_words(number, words):
    assert new_cell.in_words(number) == words


def test_pairs_are_different_numbers():
    source, target = new_cell.make_pairs(50, 1)
    assert len(source) == len(target) == 50
    assert len({tuple(row) for row in source}) == 50


def test_short_run_prints_all_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(new_cell, "CELLS", ("mgu",))  # the other one's search takes seconds more
    output, results = tmp_path / "made.png", tmp_path / "made.json"
    new_cell.main(seeds=1, epochs=1, count=100, units=4, output=output, results=results)
    lines = capsys.readouterr().out.splitlines()
    written = json.loads(results.read_text())
    assert [line.split(":")[0] for line in lines[1:2]] == list(written["right"]) == ["mgu"]
    assert lines[2] == "exports translate as the model does: yes"
    assert output.stat().st_size < 100_000
