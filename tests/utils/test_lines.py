"""Lines are the same whoever reads them, and what cannot be read is named with its line."""

import bz2
import gzip
import io
import lzma
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
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
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
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


UNPACKED = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "nothing": bytes}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
LINE_ENDS = ["\n", "\r\n", "\r"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.text(st.sampled_from("ab \u00fc\u0411\u4e0a\u6c49\u2028\U0001f600"), max_size=8), min_size=1, max_size=3
    ),
    end=st.sampled_from(LINE_ENDS),
    encoding=st.sampled_from(ENCODINGS),
    packing=st.sampled_from([*UNPACKED]),
)
def test_the_same_text_in_any_container(
    tmp_path: Path, lines: list[str], end: str, encoding: str, packing: str
) -> None:
    """Whatever the name says, unless it names a compression."""
    lines = [*(f"x{line}" for line in lines), "last line, long and in ASCII alone"]
    path = tmp_path / "text.txt"
    path.write_bytes(UNPACKED[packing](("".join(line + end for line in lines)).encode(encoding)))
    assert list(read_text_lines(path)) == lines


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz"])
def test_damage_names_the_compression(tmp_path: Path, packing: str) -> None:
    packed = UNPACKED[packing](b"".join(b"line %d\n" % number for number in range(10_000)))
    for damaged in (packed[:-9], packed[: len(packed) // 2] + b"damage" + packed[len(packed) // 2 + 6 :]):
        (tmp_path / "text").write_bytes(damaged)
        with pytest.raises(UserError, match=rf"text:\d+: the {packing} data is damaged or cut off near this line: "):
            list(read_lines(tmp_path / "text"))


def test_damaged_utf16_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("eins\nzwei\n".encode("utf-16")[:-1])
    with pytest.raises(UserError, match=r"text:\d: the UTF-16.* text is damaged or cut off near this line$"):
        list(read_lines(tmp_path / "text"))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"PK\x03\x04", "is a zip archive or an office document; expected text"),
        (b"\x28\xb5\x2f\xfd", "is compressed by Zstandard; .*`zstd -d`"),
        (b"\x04\x22\x4d\x18", "is compressed by LZ4; "),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; "),
        (b"%PDF-1.7\n", "is a PDF document; "),
        (b"x" * 257 + b"ustar\0", "is a tar archive; "),
    ],
)
@pytest.mark.parametrize("packing", ["gzip", "nothing"])
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, head: bytes, message: str, packing: str) -> None:
    (tmp_path / "text").write_bytes(UNPACKED[packing](head + b"\n" * 100))
    with pytest.raises(UserError, match=rf"^\S*text: {message}"):
        list(read_lines(tmp_path / "text"))


def test_older_encodings_are_refused_and_single_damaged_lines_are_not(tmp_path: Path) -> None:
    text = "ein\nfür\ndrei Füße\nüber\n"
    path = tmp_path / "text"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"text:2: is not UTF-8 \(byte 0xfc\), .*`iconv -f WINDOWS-1252 -t UTF-8`$"):
        list(read_lines(path))
    path.write_bytes(text.encode("latin-1") + "größer\n".encode())
    assert len(list(read_lines(path))) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"one\n", mtime=0), "is compressed by gzip; expected text: decompress it first"),
        ("one\n".encode("utf-16"), "is UTF-16; expected UTF-8"),
        (b"PK\x03\x04", "is a zip archive"),
    ],
)
def test_standard_input_is_text(content: bytes, message: str) -> None:
    code = "from nmt.utils.standard_input import StandardInput; print(list(StandardInput()))"
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=False)
    assert f"UserError: standard input {message}" in done.stderr.decode()


def test_reading_fails_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def peek(self, size: int) -> bytes:
            return self.getvalue()[:size]

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
