import errno
import os
from pathlib import Path

import pytest

from nmt.utils.errors import UserError
from nmt.utils.files import written_whole


def test_text_is_utf8_with_plain_line_feeds(tmp_path: Path) -> None:
    with written_whole(tmp_path / "text") as file:
        file.write("Grüße\n日本\n")
    assert (tmp_path / "text").read_bytes() == "Grüße\n日本\n".encode()


def test_bytes(tmp_path: Path) -> None:
    with written_whole(tmp_path / "bytes", "wb") as file:
        file.write(b"\x00\r\n\xff")
    assert (tmp_path / "bytes").read_bytes() == b"\x00\r\n\xff"


def test_folders_are_made(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a" / "b" / "text") as file:
        file.write("x")
    assert (tmp_path / "a" / "b" / "text").read_text() == "x"


def test_nothing_stands_there_before_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "text"
    with written_whole(path) as file:
        file.write("new")
        file.flush()
        assert not path.exists()
    assert os.listdir(tmp_path) == ["text"]


def test_an_older_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("a long old text")
    with written_whole(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "a long old text"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["text"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    def write_half() -> None:
        with written_whole(path) as file:
            file.write("half of the n")
            raise error

    path = tmp_path / "text"
    path.write_text("old")
    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["text"]


def test_what_cannot_be_encoded_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError), written_whole(tmp_path / "text") as file:
        file.write("\udc80")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "text"
    path.write_text("old")
    monkeypatch.setattr(os, call, full)
    with (
        pytest.raises(UserError, match=r"text: cannot be written: No space left on device$"),
        written_whole(path) as file,
    ):
        file.write("new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["text"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_while_writing(tmp_path: Path) -> None:
    path = tmp_path / "text"
    os.symlink("/dev/full", tmp_path / f".text.{os.getpid()}.part")
    with pytest.raises(UserError, match="No space left on device"), written_whole(path) as file:
        file.write("x" * 1_000_000)
    assert os.listdir(tmp_path) == []


def test_the_bytes_reach_the_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append("replace"), replace(old, new)))
    with written_whole(tmp_path / "text") as file:
        file.write("x")
    assert calls == ["fsync", "replace"]


@pytest.mark.parametrize("deep", [False, True])
def test_a_file_where_a_folder_should_be(tmp_path: Path, deep: bool) -> None:
    (tmp_path / "file").write_text("old")
    path = tmp_path / "file" / "deep" / "text" if deep else tmp_path / "file" / "text"
    with pytest.raises(UserError, match=r"text: cannot be written: "), written_whole(path) as file:
        file.write("x")
    assert (tmp_path / "file").read_text() == "old"


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    with (
        pytest.raises(UserError, match=r"text: cannot be written: Is a directory$"),
        written_whole(tmp_path / "text") as file,
    ):
        file.write("x")
    assert os.listdir(tmp_path) == ["text"]


def test_a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written: File name too long"), written_whole(tmp_path / ("x" * 300)):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written: Permission denied"), written_whole(tmp_path / "text"):
        pass


def test_a_folder_without_permission_as_any_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", denied)
    with (
        pytest.raises(UserError, match=r"text: cannot be written: Permission denied$"),
        written_whole(tmp_path / "text"),
    ):
        pass
