"""The figures of README.md and docs/benchmarks.md are those of the results, and none stands there without a result."""

import re

import cells
import figures
import pytest

PHRASES = figures.load_phrases()
CODE_AND_LINKS = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
UNITS = (
    "%|(?:target )?tokens\\b|BLEU|chrF|TER|times|minutes?|seconds?|milliseconds|ms|[KMG]i?B|pairs|sentences?|strings|"
    "translations|million"
).replace(" ", r"\s+")
FIGURE = re.compile(rf"(?<![\w.])(?:\d[\d,]*(?:\.\d+)?\s*(?:{UNITS})|\d[\d,]*\.\d+|\d+,\d{{3}})")
SHOWN = ("parameters", "of the model", "target tokens", "peak memory", "BLEU", "perplexity", "longest delay")
CELL = re.compile(r"(?<=\|)[ *]*\d[\d.,]*%?[ *]*(?=\|)")


@pytest.mark.parametrize("page", PHRASES)
def test_a_page_has_the_figures_of_the_results(page):
    text = written = (figures.ROOT / page).read_text(encoding="utf-8")
    for template in PHRASES[page]["figures"]:
        written = figures.with_figures(written, template)
    assert text == written, "python benchmarks/figures.py writes them"


@pytest.mark.parametrize("page", [page for page in PHRASES if "given" in PHRASES[page]])
def test_no_other_figure_is_there(page):
    text = (figures.ROOT / page).read_text(encoding="utf-8")
    for phrase in (*PHRASES[page]["figures"], *PHRASES[page]["given"]):
        text, places = figures.pattern_of(phrase).subn("", text)
        assert places, f"is not there: {phrase}"
    rest = CODE_AND_LINKS.sub("", text)
    assert [found[0] for found in (*FIGURE.finditer(rest), *CELL.finditer(rest))] == []


def test_the_tables_of_cells_are_those_of_their_results():
    page = (figures.ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    names = {"rnn": "traditional RNN", "lstm": "LSTM", "gru": "GRU", "min_gru": "minimal GRU", "ssru": "SSRU"}
    for printed in cells.table(figures.RESULTS).split("\n\n"):
        heads, _, *rows = ([cell.strip() for cell in row.strip("|").split("|")] for row in printed.splitlines())
        for row in rows:
            values = dict(zip(heads, row, strict=True))
            shown = [value for head, value in values.items() if head.startswith(SHOWN)]
            shown = [f"{value} GiB" if value == values.get("peak memory, GiB") else value for value in shown]
            assert f"| {names[row[0]]} | {' | '.join(shown)} |" in page


def test_a_figure_follows_its_result(monkeypatch):
    found = {"runs": [{"seed": seed, "bleu": 30.04 + seed, "share": 0.5} for seed in (1, 2)]}
    monkeypatch.setattr(figures, "_load", {"made": found}.__getitem__)
    template = "{made/runs/seed=2/bleu:.1f} BLEU (mean {made/runs/*/bleu|mean:.1f}), {made/runs/0/share|percent:.0f}%"
    assert figures.with_figures("It had 1.0 BLEU\n(mean 2), 3%.", template) == "It had 32.0 BLEU\n(mean 31.5), 50%."
    with pytest.raises(ValueError, match="expected one value or mean, median, min, max, sum, got 2 values"):
        figures.with_figures("9", "{made/runs/*/bleu:.1f}")
    with pytest.raises(ValueError, match="found 2 times"):
        figures.with_figures("9 or 9", "{made/runs/0/bleu:.1f}")
