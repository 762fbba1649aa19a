"""Lines to translate: what is read ahead, and what reaches files and terminals."""

import io
import json
import sys
from typing import NamedTuple

import pytest

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
