"""Lines to translate: what is read ahead, and what reaches files and terminals."""

import io
import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt.documents.lines import translate_text_file


class Hypothesis(NamedTuple):
    text: str
    score: float = -1.0


HOSTILE = "a\x1b[31mb\x9b2J\x7f c\r\nd\te"


def answer_with(text):
    return lambda lines, _: ([Hypothesis(text)] for _ in lines)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.txt"
    path.write_text("one\ntwo\n")
    return path


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_translations_without_control_characters(source, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    translate_text_file(answer_with(HOSTILE), source, None)
    assert sys.stdout.getvalue() == "a�[31mb�2J� c d\te\n" * 2


def test_a_pipe_gets_translations_unchanged_but_one_a_line(source, capsys):
    translate_text_file(answer_with(HOSTILE), source, None)
    assert capsys.readouterr().out == "a\x1b[31mb\x9b2J\x7f c d\te\n" * 2


def test_a_file_gets_each_translation_in_one_line(source, tmp_path):
    output = tmp_path / "out.txt"
    translate_text_file(answer_with(HOSTILE), source, output)
    assert output.read_bytes().decode() == "a\x1b[31mb\x9b2J\x7f c d\te\n" * 2


def test_json_keeps_every_character(source, tmp_path):
    output = tmp_path / "out.jsonl"
    translate_text_file(answer_with(HOSTILE), source, output, as_json=True)
    rows = [json.loads(row) for row in output.read_text().split("\n")[:-1]]
    assert [row["hypotheses"][0]["text"] for row in rows] == [HOSTILE] * 2


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("ab \t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")), as_json=st.booleans())
def test_one_line_in_is_one_line_out_whoever_counts_them(source, tmp_path, text, as_json):
    output = tmp_path / "out"
    translate_text_file(answer_with(text), source, output, as_json=as_json)
    content = output.read_bytes().decode()
    assert len(content.splitlines()) == content.count("\n") == 2


ECHO = """
import sys
from typing import NamedTuple
from nmt.documents.lines import translate_text_file
from nmt.utils.lines import read_ahead

class Hypothesis(NamedTuple):
    text: str
    score: float = 0.0

def translate(lines, is_ready):
    while chunk := read_ahead(lines, 2048, is_ready):
        print(len(chunk), file=sys.stderr)
        yield from ([Hypothesis(line.upper())] for line in chunk)

translate_text_file(translate, None, None)
"""


def test_a_program_that_writes_a_line_and_waits_gets_its_answer():
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ECHO], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        for line in (b"one\n", b"two\n", b"\n", "drei f\u00fcr\n".encode()):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().decode() == line.decode().upper()
        process.stdin.write(b"last, without its end")
        process.stdin.close()
        assert process.stdout.read() == b"LAST, WITHOUT ITS END\n"


def test_plentiful_lines_are_read_in_whole_windows():
    text = b"".join(b"line %d\n" % number for number in range(20_000))
    done = subprocess.run([sys.executable, "-c", ECHO], input=text, capture_output=True, check=True)
    assert done.stdout == text.upper()
    assert len(done.stderr.split()) < 60  # windows, of which 10 would do on a machine that does nothing else


def test_closed_standard_input_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "client", "localhost:1", "--rest"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, preexec_fn=lambda: os.close(0),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "nmt: standard input is closed; expected lines\n")
