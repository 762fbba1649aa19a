"""The report about a run: what its page says, that all of it is escaped, and how a browser shows it.

`NMT_REPORT=report.html NMT_REPORT_SCREENSHOT=docs/report.png pytest -k 'in_a_browser and 1'` renews two
screenshots of docs/your-text.md, one in dark colours; 'in_a_browser and 2' those of docs/comparison.png, for a report
about two runs.
"""

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.evaluation.by_length import score_by_length
from nmt.serving.report_page import line_chart, mark_differences, report_page
from nmt.serving.run_report import describe_run, write_report
from nmt.utils.errors import UserError
from tests.helpers import refused, run_command

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
needs_chromium = pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="chromium and chromedriver are not installed")
HOSTILE = """<script>document.title="broken"</script><img src=x onerror='1'>"&lt;"""


class Reader(HTMLParser):
    """Reads a page: its elements, its text, and the addresses that it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def described(name: str = "mine", text: str = "a word") -> dict:
    """A run with every section, each text of which is `text`."""
    sentence = {"source": text, "reference": text, "translation": text, "chrf": 12.0}
    score = {"value": 30.0, "margin": 1.5, "signature": text}
    return {
        "name": name,
        "languages": text,
        "split": "test",
        "sentences": 60,
        "scores": {"BLEU": score},
        "by_length": {"short": {"sentences": 20, "source_characters": [3, 9], "scores": {"BLEU": score}}},
        "validations": [{"step": 10 * n, "training_loss": 3 / n, "validation_loss": 4 / n, "bleu": n} for n in (1, 2)],
        "repetition": {text: {"sentences": 60, "loops": 2, "too_long": 1}},
        "preservation": {"numbers": {text: {"expected": 8, "preserved": 6, "added": 1}}},
        "worst": [sentence],
        "examples": [sentence],
        "attention": [{"source": [text], "target": [text], "weights": [[1.0]]}],
        "cleaning": {"train": {"read": 10, "kept": 9, "dropped": {"copy": 1}, "examples": {"copy": [text]}}},
        "choices": [text],
        "tuning": {
            "goal": f"Goal {text}",
            "tried": [{"beam_size": 5, "length_penalty": 1.0, "coverage_penalty": 0.0, "score": 43.21}],
        },
        "settings": {"model.units": 512, "model.cell": text},
        "defaults": {"model.units": 256, "model.cell": text},
        "reasons": {"model.units": text},
        "versions": {"keras": text},
    }


def test_a_page_says_what_the_run_says():
    text = Reader(report_page([described()])).text
    for said in (
        "30.0 ± 1.5",
        "3 to 9",
        "75.0%",
        "copy of the source",
        "10.0%",
        "Goal ",
        "43.21",
        "chrF 12",
        "512",
        "keras",
    ):
        assert said in text
    assert "model.cell" not in text  # it has its default


def test_two_runs_are_compared():
    other = described("other") | {"settings": {"model.units": 64, "model.cell": "gru"}}
    compared = {"name": "BLEU", "value": 31.0, "baseline": 30.0, "p_value": 0.0123}
    text = Reader(report_page([described(), other], [compared])).text
    for said in ("mine and other", "+1.0", "0.0123", "Settings that differ", "model.cell"):
        assert said in text
    assert "do not compare" in Reader(report_page([described(), other])).text


@pytest.mark.parametrize("runs", [1, 2])
def test_every_text_of_a_run_is_escaped(runs):
    plain, hostile = (Reader(report_page([described(text, text) for _ in range(runs)])) for text in ("word", HOSTILE))
    assert hostile.elements == plain.elements
    assert HOSTILE in hostile.text
    assert not {"script", "link", "iframe", "object", "img"} & set(hostile.elements)
    assert not hostile.addresses


@given(st.text(max_size=30), st.text(max_size=30))
def test_marked_texts_keep_every_character(text, other):
    for marked, wanted in zip(mark_differences(text, other), (text, other), strict=True):
        assert "".join(re.split(r"</?(?:del|ins)>", marked)).count("<") == 0
        assert Reader(marked.replace("\r", "&#13;")).text == wanted


def test_only_what_differs_is_marked():
    assert mark_differences("a b", "a b") == ("a b", "a b")
    assert mark_differences("", "a") == ("", "<ins>a</ins>")
    assert mark_differences("\u732b\u304c", "\u72ac\u304c") == ("<del>\u732b</del>\u304c", "<ins>\u72ac</ins>\u304c")


def test_a_chart_stays_within_its_box():
    chart = line_chart("loss", "step", [("a", [(0, -5.0), (1e6, 3.0)]), ("b", [(10, 0.0)])])
    places = [
        tuple(map(float, place.split(","))) for line in re.findall(r'points="(.*?)"', chart) for place in line.split()
    ]
    assert len(places) == 3
    assert all(50 <= x <= 430 and 30 <= y <= 180 for x, y in places)
    assert line_chart("loss", "step", [("a", []), ("b", [])]) == ""
    assert "nan" not in line_chart("loss", "step", [("a", [(5, 2.0)])])


def test_groups_by_length_have_intervals():
    texts = [f"the number {number} of them" for number in range(40)]
    turned = [text[::-1] if number % 3 else text for number, text in enumerate(texts)]
    (first, *_) = score_by_length(texts, turned, texts, samples=10)
    assert first.scores[0].margin > 0


@pytest.fixture(scope="module")
def of_a_run(trained_run):
    return describe_run(trained_run, "validation", sentences=40, samples=5)


def test_a_report_of_a_run(of_a_run):
    description, tested = of_a_run
    assert len(tested.translations) == description["sentences"] == 40
    worst = [one["chrf"] for one in description["worst"]]
    assert worst == sorted(worst)
    assert len(description["validations"]) == 2
    assert description["versions"]["keras"]
    assert description["settings"]["model.units"] == 16
    assert all(abs(sum(row) - 1) < 0.1 for one in description["attention"] for row in one["weights"])
    assert Reader(report_page([description])).elements.count("svg") == 3


def test_the_command_compares_two_runs(of_a_run, tmp_path, capsys, monkeypatch):
    description, tested = of_a_run
    worse = tested._replace(translations=[text[::-1] for text in tested.translations])
    answers = iter([(description, worse), (description, tested)])
    monkeypatch.setattr("nmt.serving.run_report.describe_run", lambda *_: next(answers))
    output = tmp_path / "report.html"
    run_command("report", "runs/a", "runs/b", "--output", output, "--samples", 5)
    text = Reader(output.read_text(encoding="utf-8")).text
    assert "Compared" in text
    assert "runs/a and runs/b" in text  # their folders have the same name
    assert refused(capsys, "report", *["run"] * 3) == "nmt: RUN: expected one or two, got 3"
    with pytest.raises(UserError, match="expected at least 1, got 0"):
        write_report(["run"], output, sentences=0)


@needs_chromium
@pytest.mark.parametrize("runs", [1, 2])
def test_a_report_in_a_browser(runs, tmp_path):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    page = tmp_path / "report.html"
    others = [described("other", HOSTILE)] if runs == 2 else []
    compared = [{"name": "BLEU", "value": 31.0, "baseline": 30.0, "p_value": 0.0123}]
    page.write_text(
        report_page([described("<b>mine</b>", HOSTILE), *others], compared if others else []), encoding="utf-8"
    )
    page = Path(os.environ.get("NMT_REPORT", page)).resolve()
    options = webdriver.ChromeOptions()
    switches = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars")
    for argument in (*switches, f"user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(f"--{argument}")
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        for width in (400, 1100):
            driver.set_window_size(width, 1200)
            driver.get(page.as_uri())
            assert driver.title != "broken"
            inside = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            assert driver.execute_script(inside)
        assert not driver.get_log("browser")  # nothing is blocked, because nothing is loaded
        assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
        assert len(set(computed(driver, ".attention td", "backgroundColor"))) > 1
        assert len(set(computed(driver, "polyline", "stroke"))) == runs
        assert driver.print_page()  # a PDF
        for scheme, side in (("dark", 1), ("light", -1)):
            paper, ink = colours(driver, scheme)
            assert side * (ink - paper) > 128
    finally:
        driver.quit()


def computed(driver, selector: str, name: str) -> list[str]:
    """A style of all elements that a selector finds."""
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => getComputedStyle(one)[arguments[1]])"
    return driver.execute_script(script, selector, name)


def colours(driver, scheme: str) -> list[float]:
    """How bright the page and its text are, 0 to 255, for a reader who prefers a dark or a light scheme."""
    preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)
    if screenshot := os.environ.get("NMT_REPORT_SCREENSHOT"):
        path = Path(screenshot)
        path = path.with_stem(f"{path.stem}-dark") if scheme == "dark" else path
        driver.set_window_size(1100, 1500)
        path.write_bytes(driver.get_screenshot_as_png())
    found = (computed(driver, "body", name)[0] for name in ("backgroundColor", "color"))
    return [sum(map(float, re.findall(r"[\d.]+", one)[:3])) / 3 for one in found]
