"""All measures of a system's translations together, from strings and from files."""

import json

import pytest

from nmt.evaluation.report import evaluate_files, evaluate_translations, evaluation_as_json, print_evaluation
from nmt.utils.errors import UserError

SOURCES = [f"{{name}} {number}" for number in range(10)]
REFERENCES = [f"{{name}} Nummer {number}" for number in range(10)]
TRANSLATIONS = [*REFERENCES[:9], "Nummer"]


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_files_give_what_their_lines_give(kind, tmp_path):
    files = {"sources": SOURCES, "references": REFERENCES, "translations": TRANSLATIONS, "baseline": REFERENCES[::-1]}
    for name, lines in files.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
    paths = {name: kind(tmp_path / name) for name in files}
    of_files = evaluate_files(**paths, samples=10, examples=2)
    assert of_files == evaluate_translations(**files, samples=10, examples=2)
    assert {"BLEU", "chrF2", "TER", "placeholders", "numbers", "repetition"} == evaluation_as_json(of_files).keys()
    assert {result.system for result in of_files.preservation} == {"translations", "references", "baseline"}


def test_examples_are_spread_and_need_sources():
    assert evaluate_translations(TRANSLATIONS, REFERENCES, samples=0, examples=3).examples == []
    result = evaluate_translations(TRANSLATIONS, REFERENCES, sources=SOURCES, samples=0, examples=3)
    assert [example.source for example in result.examples] == [SOURCES[0], SOURCES[3], SOURCES[6]]
    whole = evaluate_translations(TRANSLATIONS, REFERENCES, sources=SOURCES, samples=0, examples=99)
    assert [example.translation for example in whole.examples] == TRANSLATIONS


def test_printed_as_tables_and_as_json(capsys):
    result = evaluate_translations(TRANSLATIONS, REFERENCES, sources=SOURCES, samples=0, examples=1)
    print_evaluation(result)
    printed = capsys.readouterr().out
    assert "BLEU|nrefs:1" in printed
    assert printed.endswith(f"source      {SOURCES[0]}\nreference   {REFERENCES[0]}\ntranslation {TRANSLATIONS[0]}\n")
    print_evaluation(result._replace(examples=[]), as_json=True)
    assert json.loads(capsys.readouterr().out) == evaluation_as_json(result)


def test_numbers_of_sentences_that_differ_are_refused():
    with pytest.raises(UserError, match="expected one source for each of the 10 translations, got 9"):
        evaluate_translations(TRANSLATIONS, REFERENCES, sources=SOURCES[1:], samples=0)
