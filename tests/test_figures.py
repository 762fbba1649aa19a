"""The figures of README.md and other pages are those of the results, and none stands there without a result."""

import re

import cells
import crash_campaign
import figures
import pytest

PHRASES = figures.load_phrases()
MADE = {"docs/licenses.md", "docs/settings.md"}  # by scripts, from what is installed and from the settings
PAGES = {"README.md", *PHRASES, *(f"docs/{page.name}" for page in (figures.ROOT / "docs").glob("*.md"))} - MADE
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


@pytest.mark.parametrize("page", sorted(PAGES))
def test_no_other_figure_is_there(page):
    text = (figures.ROOT / page).read_text(encoding="utf-8")
    for phrase in (one for phrases in PHRASES.get(page, {}).values() for one in phrases):
        text, places = figures.pattern_of(phrase).subn("", text)
        assert places, f"is not there: {phrase}"
    for row in printed_rows(page):
        text = text.replace(row, "")
    rest = CODE_AND_LINKS.sub("", text)
    assert [found[0] for found in (*FIGURE.finditer(rest), *CELL.finditer(rest))] == []


def test_the_tables_of_cells_are_those_of_their_results():
    page = (figures.ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    assert [row for row in rows_of_cells() if row not in page] == []


def printed_rows(page):
    """The rows of a page's tables that scripts print from results, and that a test of their own holds."""
    if page == "docs/cells.md":
        yield from rows_of_cells()
    if page == "docs/robustness.md":  # held by tests/test_crash_campaign.py
        results = crash_campaign.read_results(figures.RESULTS / "crash-campaign.json.gz")
        yield from crash_campaign.table(results).splitlines()


def rows_of_cells():
    """What the page of cells shows of the tables that `cells.py` prints, with its names of the cells."""
    names = {"rnn": "traditional RNN", "lstm": "LSTM", "gru": "GRU", "min_gru": "minimal GRU", "ssru": "SSRU"}
    for printed in cells.table(figures.RESULTS).split("\n\n"):
        heads, _, *rows = ([cell.strip() for cell in row.strip("|").split("|")] for row in printed.splitlines())
        for row in rows:
            values = dict(zip(heads, row, strict=True))
            shown = [value for head, value in values.items() if head.startswith(SHOWN)]
            shown = [f"{value} GiB" if value == values.get("peak memory, GiB") else value for value in shown]
            yield f"| {names[row[0]]} | {' | '.join(shown)} |"


def test_a_figure_follows_its_result(monkeypatch):
    found = {"runs": [{"seed": seed, "bleu": 30.04 + seed, "share": 0.5} for seed in (1, 2)]}
    monkeypatch.setattr(figures, "_load", {"made": found}.__getitem__)
    template = "{made/runs/seed=2/bleu:.1f} BLEU (mean {made/runs/*/bleu|mean:.1f}), {made/runs/0/share|percent:.0f}%"
    assert figures.with_figures("It had 1.0 BLEU\n(mean 2), 3%.", template) == "It had 32.0 BLEU\n(mean 31.5), 50%."
    with pytest.raises(ValueError, match="expected one value or mean, median, min, max, sum, count, got 2 values"):
        figures.with_figures("9", "{made/runs/*/bleu:.1f}")
    with pytest.raises(ValueError, match="found 2 times"):
        figures.with_figures("9 or 9", "{made/runs/0/bleu:.1f}")


def test_a_figure_follows_several_results(monkeypatch):
    times = {"4": {"ours": 2.0, "theirs": 3.0}, "8": {"ours": 2.0, "theirs": 5.0}, "shape": [1, 2]}
    kinds = {"open: same": 4, "open: not tried": 900, "verify: refused for a": 1, "verify: refused for b": 2}
    runs = [{"cell": cell, "speed": speed} for cell, speed in (("lstm", 10), ("gru", 11), ("gru", 12), ("lstm", 10))]
    monkeypatch.setattr(figures, "_load", {"made": {"times": times, "kinds": kinds, "runs": runs}}.__getitem__)
    for text, template in {
        "1.5 to 2.5": "{made/times/4;8/theirs;ours|ratio min:.1f} to {made/times/4;8/theirs;ours|ratio max:.1f}",
        "3 refused, 4 opened": "{made/kinds/verify: refused for *|sum:d} refused, {made/kinds/open: same:,} opened",
        "904 in 2 kinds": "{made/kinds/open: same;open: not tried|sum:d} in {made/kinds/open: *|count:d} kinds",
        "up to 20%, at least 1": "up to {made/runs/cell=gru;cell=lstm/speed|ratio more max percent:.0f}%, at least "
        "{made/runs/cell=gru;cell=lstm/speed|difference min:d}",
        "0.0011 of 900": "{made/kinds/open: not tried|inverse two_digits:g} of {made/kinds/open: not tried:d}",
    }.items():
        assert figures.with_figures(re.sub(r"[\d.]+", "7", text), template) == text
    with pytest.raises(ValueError, match="zip"):
        figures.with_figures("7", "{made/runs/0;1;2/speed|ratio max:d}")
