"""The page of results says what its data say."""

import json
import re
from pathlib import Path

import pytest
from quality import table

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
# A comment that names a file of results, and the table below it.
TABLES = re.findall(r"<!-- (\S+\.json) -->\n\n((?:\|.*\|\n)+)", (BENCHMARKS / "quality.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "shown"), TABLES, ids=[name for name, _ in TABLES])
def test_a_table_is_that_of_its_data(name, shown):
    assert shown == table(json.loads((BENCHMARKS / "results" / name).read_text(encoding="utf-8"))) + "\n"


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
