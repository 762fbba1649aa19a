"""Lines are the same whoever reads them, and what cannot be read is named with its line."""

import gzip
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.utils.errors import UserError
from nmt.utils.lines import read_lines, read_text_lines, without_ends


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"one", ["one"]),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\n\ntwo\n\n", ["one", "", "two", ""]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n", ["one", "\ufefftwo"]),
        ("a\u2028b\x0bc\x85d\x0ce\rf\x1cg\n".encode(), ["a\u2028b\x0bc\x85d\x0ce\rf\x1cg"]),
        ("Grüße 日本\n".encode(), ["Grüße 日本"]),
    ],
)
def test_only_a_line_feed_ends_a_line(tmp_path: Path, content: bytes, lines: list[str], packed: bool) -> None:
    path = tmp_path / ("text.gz" if packed else "text")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert list(read_text_lines(path)) == list(read_text_lines(str(path))) == lines
    assert list(read_lines(path)) == list(without_ends(io.BytesIO(content))) == [line.encode() for line in lines]


@given(data=st.binary())
@example(data=b"\xef\xbb\xbf\r\n\r\r\n\xff\n\r")
def test_any_bytes_are_split_at_line_feeds(data: bytes) -> None:
    expected = [line.removesuffix(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    if data.endswith(b"\n") or not data:
        expected.pop()
    assert list(without_ends(io.BytesIO(data))) == expected


def test_the_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.de"
    path.write_bytes("gut\nGrüße\n".encode() + "Grüße\n".encode("latin-1"))
    lines = read_text_lines(path)
    assert [next(lines), next(lines)] == ["gut", "Grüße"]
    with pytest.raises(UserError, match=r"text\.de:3: is not UTF-8 \(byte 0xfc\)$"):
        next(lines)


@pytest.mark.parametrize("name", ["missing", "missing.gz"])
def test_a_file_that_cannot_be_opened_is_named_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{re.escape(name)}: cannot be read: No such file or directory$"):
        read_lines(tmp_path / name)
    with pytest.raises(UserError, match=r": cannot be read: Is a directory$"):
        read_text_lines(tmp_path)


def test_damaged_gzip_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(b"not packed\n")
    with pytest.raises(UserError, match=r"cut\.gz:1: the gzip data is damaged or cut off near this line: "):
        list(read_lines(path))
    packed = gzip.compress(b"".join(b"line %d\n" % number for number in range(100_000)))
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match=r"cut\.gz:\d{5}: the gzip data is damaged or cut off near this line: "):
        list(read_lines(path))


def test_reading_fails_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def __next__(self) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().__next__()

    (tmp_path / "text").write_bytes(b"")
    monkeypatch.setattr("nmt.utils.lines._open", lambda path: Broken(b"one\ntwo\n"))
    with pytest.raises(UserError, match=r"text:2: cannot be read: Input/output error$"):
        list(read_lines(tmp_path / "text"))


def test_a_pipe_is_read_as_it_comes() -> None:
    code = (
        "import sys; from nmt.utils.lines import without_ends\n"
        "for line in without_ends(sys.stdin.buffer): print(line, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for text in (b"one\r\n", b"two\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline() == repr(text.rstrip()).encode() + b"\n"
        process.stdin.close()
