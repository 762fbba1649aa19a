"""Checkpoints come back as they were, or say in one line why not."""

import zipfile

import numpy as np
import pytest

from nmt.models.seq2seq import Seq2Seq
from nmt.runs.checkpoints import (
    average_checkpoints,
    average_run,
    load_arrays,
    load_weights,
    save_arrays,
    weights_of,
)
from nmt.runs.folder import lock_run, open_run
from nmt.utils.errors import UserError
from tests.helpers import reversal_config


def small_model(seed=1, units=8):
    return Seq2Seq(20, units=units, embedding_dim=8, num_layers=1, attention="dot", seed=seed)


def test_round_trip(tmp_path):
    one, other = small_model(1), small_model(2)
    save_arrays(tmp_path / "one.npz", weights_of(one), {"step": 7})
    load_weights(other, tmp_path / "one.npz")
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert load_arrays(tmp_path / "one.npz")[1] == {"step": 7}


def test_average_is_the_mean(tmp_path):
    models = [small_model(seed) for seed in (1, 2, 3)]
    for index, model in enumerate(models):
        save_arrays(tmp_path / f"{index}.npz", weights_of(model), {})
    average_checkpoints([tmp_path / f"{index}.npz" for index in range(3)], tmp_path / "mean.npz")
    arrays, state = load_arrays(tmp_path / "mean.npz")
    assert state == {"average_of": ["0.npz", "1.npz", "2.npz"]}
    for name, array in arrays.items():
        expected = np.mean([weights_of(model)[name] for model in models], axis=0)
        np.testing.assert_allclose(array, expected, atol=1e-6)


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_the_recent_checkpoints_of_a_run_are_averaged(kind, tmp_path):
    run = open_run(tmp_path / "run", reversal_config(tmp_path / "corpus", pairs=10))
    with pytest.raises(UserError, match="has no checkpoint of a validation to average"):
        average_run(kind(run.path))
    for step in (1, 3):
        save_arrays(run.checkpoint(f"step-{step:08}"), {"weights/bias": np.full(2, step, np.float32)}, {})
    assert average_run(kind(run.path)) == run.averaged
    assert load_arrays(kind(run.averaged))[0]["weights/bias"].tolist() == [2.0, 2.0]
    average_run(kind(run.path), ["step-00000003"])
    assert load_arrays(kind(run.averaged))[0]["weights/bias"].tolist() == [3.0, 3.0]
    with pytest.raises(UserError, match=r"averaged\.npz: is read and would be overwritten"):
        average_run(kind(run.path), ["averaged", "step-00000001"])
    with lock_run(run.path), pytest.raises(UserError, match="is being written by another process"):
        average_run(kind(run.path))


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_truncated(tmp_path, kept):
    path = tmp_path / "last.npz"
    save_arrays(path, weights_of(small_model()), {})
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(UserError, match=r"last\.npz: is not a complete checkpoint"):
        load_arrays(path)


def test_a_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "last.npz"
    save_arrays(path, {"weights/a": np.arange(1000.0)}, {})
    content = bytearray(path.read_bytes())
    content[4000] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"last\.npz: is not a complete checkpoint"):
        load_arrays(path)


def test_a_header_that_python_cannot_parse_is_damage(tmp_path):
    path = tmp_path / "last.npz"
    header = b"{'descr': ('<f4', 'shape': (\n"
    with zipfile.ZipFile(path, "w") as archive:  # with the right checksum
        archive.writestr("weights/a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(UserError, match=r"last\.npz: is not a complete checkpoint"):
        load_arrays(path)


def test_missing(tmp_path):
    with pytest.raises(UserError, match="there is no such checkpoint"):
        load_arrays(tmp_path / "none.npz")


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "bad.npz", **{"weights/a": np.array([{"any": "object"}], object)}, state=np.zeros(1, np.uint8))
    with pytest.raises(UserError, match="is not a complete checkpoint"):
        load_arrays(tmp_path / "bad.npz")


def test_of_another_model(tmp_path):
    save_arrays(tmp_path / "wide.npz", weights_of(small_model(units=16)), {})
    model = small_model()
    before = weights_of(model)
    with pytest.raises(UserError, match="checkpoint of another model"):
        load_weights(model, tmp_path / "wide.npz")
    for name, array in weights_of(model).items():
        np.testing.assert_array_equal(array, before[name])
    save_arrays(tmp_path / "narrow.npz", before, {})
    with pytest.raises(UserError, match=r"narrow\.npz: is a checkpoint of another model than .*wide\.npz"):
        average_checkpoints([tmp_path / "wide.npz", tmp_path / "narrow.npz"], tmp_path / "mean.npz")
    assert not (tmp_path / "mean.npz").exists()
