"""A folder is written by one process at a time, and its lock ends with the process."""

import errno
import fcntl
import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from nmt.utils.errors import UserError
from nmt.utils.folders import locked, names_in


def hold(folder: Path, pipe: Connection) -> None:
    with locked(folder):
        pipe.send("locked")
        pipe.recv()


def count(folder: Path, rounds: int) -> None:
    """Adds to a number in a file, which loses counts unless one process does it at a time."""
    for _ in range(rounds):
        while True:
            try:
                with locked(folder):
                    path = folder / "count"
                    number = int(path.read_text()) if path.exists() else 0
                    path.write_text(str(number + 1))
                break
            except UserError:
                pass


def test_the_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path / "folder", there))
    process.start()
    assert here.recv() == "locked"
    with pytest.raises(UserError, match="folder: is being written by another process"), locked(tmp_path / "folder"):
        pass
    process.kill()
    process.join()
    assert names_in(tmp_path / "folder") == set()
    with locked(tmp_path / "folder"):
        pass
    assert os.listdir(tmp_path / "folder") == []


def test_two_processes_never_have_it_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=count, args=(tmp_path, 300)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "count").read_text() == "600"
    assert os.listdir(tmp_path) == ["count"]


def test_an_error_ends_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with locked(tmp_path):
        pass
    assert "cannot be locked (No locks available); make sure that no other process writes it" in caplog.text


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".nmt-lock").symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="cannot be written"), locked(tmp_path):
        pass
    assert not (tmp_path / "other").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: cannot be read: Not a directory"):
        names_in(tmp_path / "file")
    with pytest.raises(UserError, match="file: cannot be written: "), locked(tmp_path / "file"):
        pass
