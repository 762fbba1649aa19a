"""A file is whole or not there, whatever stands at its path, and a killed process leaves nothing for ever."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.utils import files as module
from nmt.utils.errors import UserError
from nmt.utils.files import check_outputs, temporary_folder, written_whole


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
def test_a_full_device(tmp_path: Path) -> None:
    path = tmp_path / "text"
    os.symlink("/dev/full", path)
    with pytest.raises(UserError, match="No space left on device"), written_whole(path) as file:
        file.write("x" * 1_000_000)
    assert os.readlink(path) == "/dev/full"


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


@pytest.fixture(params=["unnamed", "named"])
def temporary(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the temporary file is made: without a name where the file system can do that, or with one."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


def write(path: Path, text: str = "new") -> None:
    with written_whole(path) as file:
        file.write(text)


@pytest.fixture(params=["file", "link", "link to a link", "dangling link", "relative link"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A path to write, and the file that it stands for."""
    kept = tmp_path / "kept"
    kept.mkdir()
    real, path = kept / "real", tmp_path / "text"
    match request.param:
        case "file":
            path.write_text("old")
            return path, path
        case "link to a link":
            (tmp_path / "between").symlink_to(real)
            path.symlink_to("between")
        case "relative link":
            path.symlink_to(Path("kept", "real"))
        case _:
            path.symlink_to(real)
    if request.param != "dangling link":
        real.write_text("old")
    return path, real


@pytest.mark.usefixtures("temporary")
def test_links_stay_and_what_they_point_to_is_replaced(target: tuple[Path, Path], tmp_path: Path) -> None:
    path, real = target
    before = {entry: os.readlink(entry) for entry in tmp_path.rglob("*") if entry.is_symlink()}
    write(path)
    assert real.read_text() == path.read_text() == "new"
    assert {entry: os.readlink(entry) for entry in tmp_path.rglob("*") if entry.is_symlink()} == before
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_mode_is_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "text"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "new"


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "text").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.usefixtures("temporary")
def test_an_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("old")
    os.chown(path, 12345, 54321)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_that_may_not_be_written_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("old")
    path.chmod(0o400)
    with pytest.raises(UserError, match="cannot be written: Permission denied"):
        write(path)
    assert path.read_text() == "old"


@pytest.mark.parametrize("linked", [False, True])
def test_a_device_stays_one(tmp_path: Path, linked: bool) -> None:
    path = tmp_path / "link" if linked else Path("/dev/null")
    if linked:
        path.symlink_to("/dev/null")
    before = sorted(os.listdir("/dev"))
    write(path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert path.is_symlink() == linked
    assert sorted(os.listdir("/dev")) == before


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_gets_the_text(tmp_path: Path, linked: bool) -> None:
    pipe, path = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    path.symlink_to(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write(path if linked else pipe, "x" * 100_000)
    reader.join(10)
    assert read == ["x" * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_a_socket_is_refused_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(UserError, match="socket: cannot be written: "):
            write(Path("socket"))
    assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_what_a_shell_has_opened_keeps_what_it_holds(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = f"""
from nmt.utils.files import written_whole
print("before", flush=True)
with written_whole({name!r}) as file:
    file.write("new\\n")
print("after")
"""
    output = tmp_path / "output"
    with open(output, "w") as file:
        file.write("first\n")
        file.flush()
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stdout=file, check=True, env=environment())
    assert output.read_text() == "first\nbefore\nnew\nafter\n"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(UserError, match="one: cannot be written: Too many levels of symbolic links"):
        write(tmp_path / "one")


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])}


def killed_while(folder: Path, program: str) -> None:
    """Runs a program that prints a line when it is to be killed."""
    lines = f"from nmt.utils.files import *\nimport nmt.utils.files as module, os, sys, time\n{program}"
    command = [sys.executable, "-c", lines]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)


WRITING = """
{how}
with written_whole("text") as file:
    file.write("x" * 100_000)
    file.flush()
    print("half", flush=True)
    time.sleep(60)
"""
FILLING = """
with temporary_folder(".") as folder:
    (folder / "inner").write_text("x")
    print("half", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without a name")
def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("old")
    killed_while(tmp_path, WRITING.format(how=""))
    if os.listdir(tmp_path) != ["text"]:
        pytest.skip("this file system has no files without a name")
    assert (tmp_path / "text").read_text() == "old"


@pytest.mark.parametrize("program", [WRITING.format(how="del os.O_TMPFILE"), FILLING])
def test_what_killed_processes_leave_is_removed_at_the_next_time(tmp_path: Path, program: str) -> None:
    (tmp_path / "text").write_text("old")
    for _ in range(3):
        killed_while(tmp_path, program)
        assert len(os.listdir(tmp_path)) == 2  # of the last one only
    assert (tmp_path / "text").read_text() == "old"
    write(tmp_path / "text")
    assert os.listdir(tmp_path) == ["text"]


def test_what_is_not_surely_litter_stays(tmp_path: Path) -> None:
    """Files of other hosts and of living processes, and whatever has another name."""
    digits = "0" * 24
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = f".nmt-{module._HOST}-{gone.pid}-{digits}.part"
    names = {
        f".nmt-{module._HOST}x-{gone.pid}-{digits}.part",
        f".nmt-{module._HOST}-{os.getppid()}-{digits}.part",
        f".nmt-{module._HOST}-{os.getpid()}-{module._PROCESS}{digits[8:]}.part",
        f"{dead}.txt",
        f"x{dead}",
        f".nmt-{module._HOST}-{gone.pid}-{digits[1:]}.part",
        ".text.123.part",
    }
    for name in names | {dead}:
        (tmp_path / name).touch()
    write(tmp_path / "text")
    assert set(os.listdir(tmp_path)) == names | {"text"}


def test_a_locked_file_stays_even_if_its_process_cannot_be_seen(tmp_path: Path) -> None:
    """Two containers with one host name do not see each other's processes."""
    digits = "0" * 24
    name = tmp_path / f".nmt-{module._HOST}-{os.getpid()}-{digits}.part"
    with open(name, "w") as held:
        module._lock_part(held.fileno())
        write(tmp_path / "text")
        assert name.exists()


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path, temporary: str) -> None:
    path = tmp_path / "text"
    with written_whole(path) as first:
        first.write("first")
        with written_whole(path) as second:
            second.write("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["text"]


@pytest.mark.parametrize("rename", [False, True])
def test_a_temporary_folder_goes_unless_it_is_renamed(tmp_path: Path, rename: bool) -> None:
    with temporary_folder(tmp_path / "parent") as folder:
        (folder / "file").touch()
        if rename:
            os.replace(folder, tmp_path / "parent" / "done")
    assert os.listdir(tmp_path / "parent") == (["done"] if rename else [])


@pytest.mark.parametrize("make", [os.link, os.symlink, lambda path, other: None])
def test_an_input_is_no_output(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    source, output = tmp_path / "source", tmp_path / "output"
    source.write_text("text")
    make(source, output)
    check_outputs(["/dev/null", "/dev/null"], ["/dev/null"])
    check_outputs([tmp_path / "new"], [source, output])
    if output.exists():
        with pytest.raises(UserError, match="output: is read and would be overwritten"):
            check_outputs([tmp_path / "new", output], [source])
    with pytest.raises(UserError, match=r"new: expected a different file for each output"):
        check_outputs([tmp_path / "new", tmp_path / "x" / ".." / "new"], [])
