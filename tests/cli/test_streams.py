"""The command with standard streams that are closed, full, gone, or of another encoding never ends in a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.cli.compilation_cache import keep_compiled

# The command with a translator that needs no model, so that these tests are fast.
PROGRAM = """
import sys
from typing import NamedTuple
import nmt.serving.client as client
from nmt.cli import main

class Hypothesis(NamedTuple):
    text: str
    score: float = 0.0

client.translate_lines = lambda server, lines, **_: ([Hypothesis(line.upper())] for line in lines)
main(["client", "server", *sys.argv[1:]])
"""
LINES = "".join(f"größe {number}\n" for number in range(50_000)).encode()


def command(*arguments: str, closed: tuple[int, ...] = (), **settings):
    def close() -> None:
        for number in closed:
            os.close(number)

    whole = [sys.executable, "-c", PROGRAM, *arguments]
    pipes = {"input": b"a\nb\n", "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    return subprocess.run(whole, check=False, preexec_fn=close, **pipes)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    (tmp_path / "lines").write_bytes(LINES)
    whole = [sys.executable, "-c", PROGRAM, "--input", str(tmp_path / "lines")]
    with subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().decode() == "GRÖSSE 0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_full_standard_output_is_one_line():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        done = command(stdout=full)
    assert (done.returncode, done.stderr) == (2, b"nmt: input or output failed: No space left on device\n")


def test_a_closed_standard_output_is_one_line():
    done = command(closed=(1,))
    assert (done.returncode, done.stderr) == (2, b"nmt: standard output: Bad file descriptor\n")


def test_a_closed_standard_error_gets_nothing_and_nothing_else_gets_its_messages(tmp_path):
    done = command("--output", str(tmp_path / "out"), closed=(2,))
    assert (done.returncode, done.stdout, (tmp_path / "out").read_text()) == (0, b"", "A\nB\n")
    assert (command("--input", "none", closed=(2,)).returncode, command(closed=(0, 1, 2)).returncode) == (2, 2)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-16"])
def test_utf_8_goes_in_and_comes_out_whatever_the_locale(encoding):
    text = "größe 日本\n".encode()
    done = command(input=text, env=os.environ | {"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stdout.decode()) == (0, "GRÖSSE 日本\n")


def test_no_home_and_no_entry_in_passwd_keep_nothing(monkeypatch):
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    assert keep_compiled() is None
