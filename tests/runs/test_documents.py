"""Files that are translated in place by a run, from the command line."""

import subprocess
import sys

import pytest

from nmt.cli import main
from nmt.data.formats.registry import check_format
from nmt.data.formats.units import Languages, Unit
from nmt.runs.documents import translate_document
from nmt.utils.errors import UserError

PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "1 2 a <b>3 b</b>"\nmsgstr ""\n'


def run_command(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def test_a_file_is_translated_by_its_run(trained_run, tmp_path, capsys):
    (tmp_path / "a.po").write_text(PO)
    languages = ("--source", "en", "--target", "de")
    output = tmp_path / "de.po"
    assert run_command("translate", trained_run, tmp_path / "a.po", "--output", output, *languages) == 0
    assert "a.po: 1 filled" in capsys.readouterr().err
    text = output.read_text()
    assert "#, fuzzy\nmsgid" in text
    (translation,) = [unit.targets[0] for unit in check_format(output).read(output, Languages("en", "de"))
                      if isinstance(unit, Unit)]  # fmt: skip
    assert translation.index("<b>") < translation.index("</b>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.po"], "a.po: expected --output, and no --input"),
        (["a.po", "--output", "b.po", "--n-best", "2", "--format", "json"], "is translated in place: expected none of"),
        (["a.xyz", "--output", "b"], "cannot be translated in place; expected a file that ends in one of"),
        (["a.po", "--output", "a.po"], "is read and would be overwritten"),
        (["--all", "--output", "b.po"], "expected a file that is translated in place"),
    ],
)
def test_what_does_not_go_together(trained_run, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.po", "a.xyz"):
        (tmp_path / name).write_text(PO)
    assert run_command("translate", trained_run, *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("report", "learnt"),
    [
        ({"placeholders": {"braces": 900, "tags": 51}, "pairs": {"train": 10_000}}, True),
        ({"placeholders": {"braces": 900, "tags": 50}, "pairs": {"train": 10_000}}, False),
        ({"placeholders": {"braces": 900}, "pairs": {"train": 10_000}}, False),
        ({"pairs": {"train": 10_000}}, False),  # prepared before this was counted
        (UserError("report.json: does not exist"), False),
    ],
)
def test_a_run_whose_corpus_had_tags_puts_them_by_its_search(trained_run, tmp_path, monkeypatch, report, learnt):
    def load_report(folder):
        assert folder == trained_run / "data"
        if isinstance(report, UserError):
            raise report
        return report

    calls = []
    monkeypatch.setattr("nmt.runs.documents.load_report", load_report)
    monkeypatch.setattr("nmt.runs.documents.load_translator", lambda *_: None)
    monkeypatch.setattr("nmt.runs.documents.translate_file", lambda *_, **options: calls.append(options))
    (tmp_path / "a.po").write_text(PO)
    translate_document(trained_run, tmp_path / "a.po", tmp_path / "b.po")
    assert [options["tags_learnt"] for options in calls] == [learnt]


def test_a_missing_library_is_one_line(tmp_path):
    (tmp_path / "a.po").write_text(PO + '\nmsgid "a %d"\nmsgid_plural "b %d"\nmsgstr[0] ""\nmsgstr[1] ""\n')
    code = (
        "import sys; sys.modules['babel'] = None; from nmt.documents import translate_file\n"
        "try: translate_file(list, 'a.po', 'b.po', source='en', target='de')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("is not installed: pip install 'gru-nmt[documents]'\n")
