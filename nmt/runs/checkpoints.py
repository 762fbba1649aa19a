"""Checkpoints: plain .npz archives of named arrays, written whole. Nothing in them is ever executed."""

import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nmt.runs.folder import load_run_config, lock_run
from nmt.utils.errors import UserError
from nmt.utils.files import check_outputs, written_whole

_LOG = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]

_DIGEST = "sha256"  # in the state: the digest of all arrays by their names, and of the rest of the state

# How the names of weights began in archives of format 1, and how they begin today.
_RENAMED = {
    "weights/seq2seq/bridge_": "weights/seq2seq/decoder/bridge_",
    "weights/seq2seq/key/": "weights/seq2seq/decoder/attention/key/",
    "weights/seq2seq/value/": "weights/seq2seq/decoder/attention/value/",
}


def weights_of(model: keras.Model) -> Arrays:
    """Returns the weights of a model by name: `weights/` and the weight's path in Keras."""
    return {name: weight.numpy() for name, weight in named_weights(model).items()}


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the variables of a model's weights by the names that they have in a checkpoint."""
    return {f"weights/{weight.path}": weight for weight in model.weights}


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Writes a checkpoint.

    Args:
        path: the file; an older one there is replaced once the new one is complete.
        arrays: the arrays by name.
        state: plain values, which are written as JSON within the archive.

    Raises:
        UserError: if the file cannot be written; the older one then stays.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "small.npz"
    >>> save_arrays(path, {"weights/bias": np.zeros(2)}, {"step": 7})
    >>> load_arrays(path)
    ({'weights/bias': array([0., 0.])}, {'step': 7})
    """
    plain = json.loads(json.dumps(dict(state)))
    encoded = np.frombuffer(json.dumps(plain | {_DIGEST: _digest(arrays, plain)}).encode(), np.uint8)
    content = io.BytesIO()
    named: dict[str, Any] = {**arrays, "state": encoded}
    np.savez(content, **named)
    with written_whole(Path(path), "wb") as file:
        file.write(content.getbuffer())


def load_arrays(path: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """Reads what `save_arrays` wrote, now or in an earlier format.

    Args:
        path: the file.

    Returns:
        The arrays by name, and the state.

    Raises:
        UserError: if the file is missing, truncated or not a checkpoint, or what it holds is not what was written.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        state = json.loads(arrays.pop("state").tobytes())
        if not isinstance(state, dict):
            raise ValueError("its state is no object")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such checkpoint") from None
    except Exception as error:  # NumPy, zipfile, zlib, json and the tokenizer of Python's code raise what they like
        raise UserError(f"{path}: is not a complete checkpoint ({error})") from error
    # The archive's own checksums do not bind an array to its name. Checkpoints of earlier versions have only those.
    expected = state.pop(_DIGEST, None)
    if expected is not None and expected != _digest(arrays, state):
        raise UserError(f"{path}: is damaged: its arrays or their names are not those that were written")
    return {_current_name(name): array for name, array in arrays.items()}, state


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Gives a model the weights of a checkpoint.

    Args:
        model: the model.
        path: the checkpoint's file.

    Raises:
        UserError: if the file cannot be read, or is of a model of another shape.
    """
    arrays, _ = load_arrays(path)
    assign(named_weights(model), arrays, path)


def assign(variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Gives each variable the array of its name. Nothing is changed unless all of them are there and fit.

    Args:
        variables: the variables by name.
        arrays: the arrays by name.
        path: the file that they come from, for errors.

    Raises:
        UserError: naming the first array that is missing or has another shape.
    """
    for name, variable in variables.items():
        if name not in arrays:
            raise UserError(f"{path}: has no `{name}`; it is a checkpoint of another model")
        if tuple(variable.shape) != arrays[name].shape:
            raise UserError(
                f"{path}: expected `{name}` of shape {tuple(variable.shape)}, got {arrays[name].shape}; "
                "it is a checkpoint of another model"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def average_checkpoints(paths: Sequence[str | Path], output: str | Path) -> None:
    """Writes the mean of the weights of several checkpoints (Junczys-Dowmunt et al. 2016, section 3).

    Args:
        paths: at least one checkpoint, all of the same model.
        output: the file to write.

    Raises:
        UserError: if there is no checkpoint, one cannot be read or has weights that are no numbers, or they are of
            different models.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for step in (1, 3):
    ...     save_arrays(folder / f"{step}.npz", {"weights/bias": np.full(2, step, np.float32)}, {})
    >>> average_checkpoints([folder / "1.npz", folder / "3.npz"], folder / "mean.npz")
    >>> load_arrays(folder / "mean.npz")[0]["weights/bias"].tolist()
    [2.0, 2.0]
    """
    if not paths:
        raise UserError("`paths`: expected at least one checkpoint to average, got none")
    check_outputs([output], paths)
    sums: dict[str, np.ndarray] = {}
    belongs: dict[str, Any] = {}
    for path in paths:
        arrays, state = load_arrays(path)
        belongs = {"belongs_to": state["belongs_to"]} if "belongs_to" in state else belongs
        weights = {name: array for name, array in arrays.items() if name.startswith("weights/")}
        shapes = {name: array.shape for name, array in weights.items()}
        if sums and shapes != {name: array.shape for name, array in sums.items()}:
            raise UserError(f"{path}: is a checkpoint of another model than {paths[0]}")
        for name, array in weights.items():
            if not np.isfinite(array).all():
                raise UserError(f"{path}: `{name}` has weights that are NaN or infinite; leave it out of the average")
            sums[name] = sums.get(name, 0.0) + array.astype(np.float64)
    means = {name: (total / len(paths)).astype(np.float32) for name, total in sums.items()}
    save_arrays(output, means, {"average_of": [Path(path).name for path in paths]} | belongs)


def average_run(path: str | Path, checkpoints: Sequence[str] = ()) -> Path:
    """Averages checkpoints of a run into one, which is then used by default; see `average_checkpoints`.

    Args:
        path: the run folder.
        checkpoints: names of the checkpoints, such as `best` or `step-00000100`; none for all of the latest
            validations.

    Returns:
        The checkpoint `averaged`.

    Raises:
        UserError: if the folder is not a run, or a checkpoint is missing or damaged.

    Example:

    >>> average_run("runs/mine")  # doctest: +SKIP
    PosixPath('runs/mine/checkpoints/averaged.npz')
    """
    run, _ = load_run_config(path)
    with lock_run(path):
        paths = [run.checkpoint(name) for name in checkpoints] or run.recent_checkpoints()
        if not paths:
            raise UserError(f"{path}: has no checkpoint of a validation to average")
        average_checkpoints(paths, run.averaged)
    _LOG.info("%s: the mean of %s", run.averaged, ", ".join(path.stem for path in paths))
    return run.averaged


def _digest(arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> str:
    sha256 = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha256.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()


def _current_name(name: str) -> str:
    """Returns today's name of an array.

    Example:

    >>> _current_name("weights/seq2seq/bridge_0/kernel")
    'weights/seq2seq/decoder/bridge_0/kernel'
    """
    for old, new in _RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
