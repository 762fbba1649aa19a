"""The tables of the demo's page."""

import re
from html.parser import HTMLParser

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmt.inference.translator import Hypothesis
from nmt.serving.heat_map_page import MAX_PIECES, heat_map_table, translations_table


class Outline(HTMLParser):
    """The elements of some HTML: their names, attributes, and the text directly or deeper inside each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes), []))
        if tag != "input":
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.elements[index][2].append(data)

    def find(self, tag: str, **attributes: str) -> list[str]:
        """The texts of the elements of a name that have these attributes."""
        return ["".join(text) for name, has, text in self.elements if name == tag and attributes.items() <= has.items()]


def hypothesis(text: str = "ein Haus", source: tuple[str, ...] = ("▁a", "</s>")) -> Hypothesis:
    return Hypothesis(text, -0.25, -1.5, list(source), ["▁ein", "</s>"], np.eye(2, len(source)))


def test_heat_map_has_a_cell_for_each_pair_of_pieces() -> None:
    outline = Outline(
        heat_map_table([[0.9, 0.1, 0.0], [0.02, 0.345, 0.635]], ["▁a", "▁house", "</s>"], ["▁Haus", "</s>"])
    )

    assert outline.find("th", scope="col") == ["▁a", "▁house", "</s>"]
    assert outline.find("th", scope="row") == ["▁Haus", "</s>"]
    cells = [(has["style"], text[0]) for name, has, text in outline.elements if name == "td" and "style" in has]
    assert cells == [
        ("--weight:90%", "0.90"), ("--weight:10%", "0.10"), ("--weight:0%", "0.00"),
        ("--weight:2%", "0.02"), ("--weight:34%", "0.34"), ("--weight:64%", "0.64"),
    ]  # fmt: skip
    assert len(outline.find("td", tabindex="0")) == 1  # one stop for the tab key, not six
    assert outline.find("td", **{"class": "faint"}) == ["0.00", "0.02"]


def test_heat_map_of_a_long_sentence_is_cut_and_says_so() -> None:
    pieces = [f"▁{number}" for number in range(MAX_PIECES + 1)]
    outline = Outline(heat_map_table(np.eye(MAX_PIECES + 1), pieces, pieces))

    assert outline.find("th", scope="col") == outline.find("th", scope="row") == pieces[:MAX_PIECES]
    assert len([text for text in outline.find("td") if text]) == MAX_PIECES**2
    assert f"first {MAX_PIECES}" in outline.find("p")[0]


def test_translations_of_several_lines_are_grouped_and_the_first_is_chosen() -> None:
    html = translations_table(
        ["one", "", "two"], [[hypothesis("eins"), hypothesis("1")], [], [hypothesis("zwei")]], "x"
    )
    outline = Outline(html)

    assert outline.find("th", scope="rowgroup") == ["one", "two"]
    assert outline.find("label") == ["eins", "1", "zwei"]
    inputs = [has for name, has, _ in outline.elements if name == "input"]
    assert [has["value"] for has in inputs] == ["0,0", "0,1", "2,0"]
    assert ["checked" in has for has in inputs] == [True, False, False]
    assert outline.find("td")[1:3] == ["-0.250", "-1.500"]


def test_a_line_that_was_cut_has_a_note() -> None:
    cut = hypothesis(source=("▁a", "</s>", "▁b", "</s>", "▁c", "</s>"))
    note = Outline(translations_table(["a b c"], [[cut]], "x")).find("p", role="status")[0]
    assert "The text was translated in 3 parts" in note
    outline = Outline(translations_table(["a", "a b c"], [[hypothesis()], [cut]], "x"))
    assert re.match("Line 2 was translated in 3 parts", outline.find("p", role="status")[0])
    assert not Outline(translations_table(["a"], [[hypothesis()]], "x")).find("p", role="status")


@given(st.text())
def test_any_text_stays_text(text: str) -> None:
    plain = Outline(translations_table(["a", "b"], [[hypothesis("c")]] * 2, "x")).elements
    outline = Outline(translations_table([text, "b"], [[hypothesis(text)]] * 2, "x"))
    assert [(name, has) for name, has, _ in outline.elements] == [(name, has) for name, has, _ in plain]
    assert outline.find("th", scope="rowgroup")[0] == outline.find("label")[0] == text

    outline = Outline(heat_map_table([[1.0]], [text], [text]))
    assert outline.find("th", scope="col") == outline.find("th", scope="row") == [text]
    assert {name for name, _, _ in outline.elements} == {
        "h2", "p", "output", "div", "table", "thead", "tbody", "tr", "th", "td", "bdi"
    }  # fmt: skip
