"""Digests of files and records, by which damage and exchange are noticed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

Digest = dict[str, Any]  # `size`, bytes, and `sha256`, hexadecimal

_SEAL = "sha256"  # the key of a record's own digest
_SMALL = 16 * 2**20  # bytes: files up to this size are read in some hundredths of a second


class Verified(NamedTuple):
    """A file, and what is wrong with it.

    Attributes:
        path: the file.
        problem: what is wrong; None where nothing is.
        note: what is no damage, but should be known; None where nothing is.
    """

    path: Path
    problem: str | None
    note: str | None = None


def digest(path: str | Path) -> Digest:
    """Reads a whole file for its size and SHA-256.

    Args:
        path: the file.

    Returns:
        A dictionary that JSON can hold, with `size` and `sha256`.

    Raises:
        UserError: if the file is missing or cannot be read.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> digest(path)["size"], digest(path)["sha256"][:8]
    (0, 'e3b0c442')
    """
    try:
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return {"size": file.tell(), "sha256": sha256}
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def sealed(record: Mapping[str, Any], owner: str = "") -> dict[str, Any]:
    """Adds to a record, which is kept as JSON, its own digest.

    Args:
        record: plain values by name.
        owner: what the record belongs to, so that it is not taken for one of another owner.

    Example:

    >>> record = sealed({"step": 7})
    >>> has_seal(record), has_seal(record | {"step": 8}), has_seal({"step": 7})
    (True, False, False)
    """
    return {**record, _SEAL: _seal(json.loads(json.dumps(record)), owner)}  # of what will be read again


def has_seal(record: Mapping[str, Any], owner: str = "") -> bool:
    """Returns whether a record is as `sealed` returned it.

    Args:
        record: plain values by name.
        owner: what the record has to belong to.
    """
    return record.get(_SEAL) == _seal({key: value for key, value in record.items() if key != _SEAL}, owner)


def write_digests(folder: str | Path, name: str) -> None:
    """Writes the digests of all files in a folder to a file in it.

    Args:
        folder: the folder, which is complete.
        name: the path of the file to write, relative to the folder.

    Raises:
        UserError: if a file cannot be read or written.
    """
    files = {file: digest(Path(folder) / file) for file in _files(folder, name)}
    with written_whole(Path(folder) / name) as file:
        json.dump(sealed({"files": files}), file, indent=1)


def check_files(folder: str | Path, name: str, *, wholly: bool = False) -> bool:
    """Makes sure that the files of a folder are those that `write_digests` has read.

    Args:
        folder: the folder.
        name: the path of the file with the digests, relative to the folder.
        wholly: whether to read all files; otherwise the content of those above 16 MiB is not read.

    Returns:
        False if there are no digests, as in folders that earlier versions wrote.

    Raises:
        UserError: naming the first file that is damaged or missing.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "weights").write_text("0.5")
    >>> write_digests(folder, "digests.json")
    >>> _ = (folder / "weights").write_text("0.7")
    >>> check_files(folder, "digests.json")
    Traceback (most recent call last):
    nmt.utils.errors.UserError: .../weights: is damaged, or belongs to another folder than digests.json
    """
    if not (Path(folder) / name).exists():
        return False
    for file, expected in _read_digests(folder, name).items():
        _check_file(Path(folder) / file, expected, name, None if wholly else _SMALL)
    return True


def verify_files(folder: str | Path, name: str) -> Iterator[Verified]:
    """Reads all files of a folder, and compares them with what `write_digests` has read.

    Args:
        folder: the folder.
        name: the path of the file with the digests, relative to the folder.

    Yields:
        Each file that should be there or is, with its problem if it has one.
    """
    folder, path = Path(folder), Path(folder) / name
    try:
        expected = _read_digests(folder, name)
    except UserError as error:
        yield Verified(path, str(error).removeprefix(f"{path}: "))
        return
    yield Verified(path, None)
    for file in sorted(expected.keys() | _files(folder, name)):
        yield _verified(folder / file, expected.get(file), name)


def is_as_recorded(path: str | Path, expected: Digest, most: int | None = None) -> bool:
    """Compares a file with its digest; one of another size is not read.

    Args:
        path: the file.
        expected: its digest.
        most: int, the size in bytes up to which files are read; None to read all.

    Raises:
        UserError: if the file is missing or cannot be read.
    """
    try:
        size = Path(path).stat().st_size
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    return size == expected["size"] and ((most is not None and size > most) or digest(path) == expected)


def _verified(path: Path, expected: Digest | None, name: str) -> Verified:
    if expected is None:
        return Verified(path, f"is not one of the files of {name}")
    try:
        _check_file(path, expected, name)
    except UserError as error:
        return Verified(path, str(error).removeprefix(f"{path}: "))
    return Verified(path, None)


def _check_file(path: Path, expected: Digest, name: str, most: int | None = None) -> None:
    if not is_as_recorded(path, expected, most):
        raise UserError(f"{path}: is damaged, or belongs to another folder than {name}")


def _read_digests(folder: str | Path, name: str) -> dict[str, Digest]:
    path = Path(folder) / name
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not has_seal(record):
            raise ValueError
        return dict(record["files"])
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: is damaged: expected the digests of the files in this folder") from None


def _files(folder: str | Path, name: str) -> set[str]:
    found = (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if not path.is_dir())
    return {file for file in found if file != name}


def _seal(record: Mapping[str, Any], owner: str) -> str:
    return hashlib.sha256(f"{owner}\n{json.dumps(record, sort_keys=True)}".encode()).hexdigest()
