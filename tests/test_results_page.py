"""The page of results says what its data say, and a benchmark's runs are those that were asked for."""

import json
import re
from pathlib import Path

import pytest
import yaml
from quality import corpus_settings, table, table_of

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
# A comment that names files of results, and the table below it.
TABLES = re.findall(
    r"<!-- (\S+\.json(?: \S+\.json)*) -->\n\n((?:\|.*\|\n)+)", (BENCHMARKS / "quality.md").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("names", "shown"), TABLES, ids=[names for names, _ in TABLES])
def test_a_table_is_that_of_its_data(names, shown):
    assert shown == table_of([BENCHMARKS / "results" / name for name in names.split()]) + "\n"


def test_there_are_tables():
    assert TABLES


def test_a_table_has_means_and_extremes_of_each_row():
    def run(row, seed, value, minutes):
        return {
            "row": row,
            "seed": seed,
            "minutes": minutes,
            "scores": {"validation": [{"name": "BLEU", "value": value}]},
        }

    runs = [run("all", 1, 30.0, 10), run("less", 1, 29.0, 8), run("all", 2, 31.0, 11)]
    assert table({"runs": runs}).splitlines() == [
        "| row | seeds | minutes | validation, BLEU |",
        "| --- | --- | --- | --- |",
        "| all | 2 | 10 | 30.50 (30.00 to 31.00) |",
        "| less | 1 | 8 | 29.00 |",
    ]


def test_a_table_leaves_empty_what_a_row_was_not_scored_on():
    scores = {"validation": [{"name": "BLEU", "value": 30.0}], "test": [{"name": "BLEU", "value": 29.0}]}
    runs = [{"row": row, "seed": 1, "minutes": 1, "scores": dict(scores)} for row in ("without", "with")]
    del runs[0]["scores"]["test"]
    assert table({"runs": runs}).splitlines()[2:] == [
        "| without | 1 | 1 | 30.00 |  |",
        "| with | 1 | 1 | 30.00 | 29.00 |",
    ]


def test_a_table_of_several_results_names_them(tmp_path):
    for name, value in (("base", 30.0), ("best", 31.0)):
        runs = [
            {"row": row, "seed": seed, "minutes": 9, "scores": {"validation": [{"name": "BLEU", "value": value}]}}
            for row, seed in (("all", 1), ("all, ensemble of 1", [1]))
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"runs": runs}), encoding="utf-8")
    assert table_of([tmp_path / "base.json", tmp_path / "best.json"]).splitlines()[2:] == [
        "| base | 1 | 9 | 30.00 |",
        "| base, ensemble of 1 | 1 | 9 | 30.00 |",
        "| best | 1 | 9 | 31.00 |",
        "| best, ensemble of 1 | 1 | 9 | 31.00 |",
    ]


def test_pairs_are_added_to_what_is_trained_on_alone(tmp_path):
    corpora = []
    for added in ([], [tmp_path / "one", tmp_path / "two"]):
        settings = corpus_settings(f"multi30k={tmp_path}", added)
        (corpus,) = (setting for setting in settings if setting.startswith("data.corpus="))
        corpora.append(yaml.safe_load(corpus.removeprefix("data.corpus=")))
    without, with_more = (corpus.pop("train") for corpus in corpora)
    assert corpora[0] == corpora[1]
    assert without == {"source": [f"{tmp_path}/train.en.gz"], "target": [f"{tmp_path}/train.de.gz"]}
    for side in ("source", "target"):
        assert with_more[side] == without[side] + [f"{tmp_path}/{name}/{side}.txt" for name in ("one", "two")]
