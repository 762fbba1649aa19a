"""Checkpoints: plain .npz archives of named arrays, written whole; nothing in them is executed."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

Arrays = dict[str, np.ndarray]


def weights_of(model: keras.Model) -> Arrays:
    """The weights of a model by their paths."""
    return {f"weights/{weight.path}": weight.numpy() for weight in model.weights}


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Writes arrays and a state of plain values.

    Args:
        path: where; an older file there is replaced once the new one is complete.
        arrays: by name.
        state: written as JSON within.

    Raises:
        UserError: if it cannot be written; the older file then stays.
    """
    encoded = np.frombuffer(json.dumps(dict(state)).encode(), np.uint8)
    content = io.BytesIO()
    named: dict[str, Any] = {**arrays, "state": encoded}
    np.savez(content, **named)
    with written_whole(path, "wb") as file:
        file.write(content.getbuffer())


def load_arrays(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Reads what `save_arrays` wrote.

    Raises:
        UserError: if the file is missing, truncated or not a checkpoint.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        state = json.loads(arrays.pop("state").tobytes())
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such checkpoint") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise UserError(f"{path}: is not a complete checkpoint ({error})") from error
    return arrays, state


def load_weights(model: keras.Model, path: Path) -> None:
    """Gives `model` the weights of a checkpoint.

    Raises:
        UserError: if the file cannot be read, or is of a model of another shape.
    """
    arrays, _ = load_arrays(path)
    assign(model.weights, [f"weights/{weight.path}" for weight in model.weights], arrays, path)


def assign(variables: Sequence[Any], names: Iterable[str], arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Gives each variable the array of its name; nothing is changed unless all are there and fit.

    Raises:
        UserError: naming the first one that does not.
    """
    names = list(names)
    for variable, name in zip(variables, names, strict=True):
        if name not in arrays:
            raise UserError(f"{path}: has no `{name}`; it is a checkpoint of another model")
        if tuple(variable.shape) != arrays[name].shape:
            raise UserError(
                f"{path}: expected `{name}` of shape {tuple(variable.shape)}, got {arrays[name].shape}; "
                "it is a checkpoint of another model"
            )
    for variable, name in zip(variables, names, strict=True):
        variable.assign(arrays[name])


def average_checkpoints(paths: Sequence[Path], to: Path) -> None:
    """Writes the mean of the weights of several checkpoints (Junczys-Dowmunt et al. 2016, section 3).

    Args:
        paths: at least one checkpoint of the same model.
        to: where the mean is written.

    Raises:
        UserError: if there is none, one cannot be read, or they are of different models.
    """
    if not paths:
        raise UserError("no checkpoint to average")
    sums: dict[str, np.ndarray] = {}
    for path in paths:
        arrays, _ = load_arrays(path)
        weights = {name: array for name, array in arrays.items() if name.startswith("weights/")}
        shapes = {name: array.shape for name, array in weights.items()}
        if sums and shapes != {name: array.shape for name, array in sums.items()}:
            raise UserError(f"{path}: is a checkpoint of another model than {paths[0]}")
        for name, array in weights.items():
            sums[name] = sums.get(name, 0.0) + array.astype(np.float64)
    means = {name: (total / len(paths)).astype(np.float32) for name, total in sums.items()}
    save_arrays(to, means, {"average_of": [path.name for path in paths]})
