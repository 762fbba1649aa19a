"""Placeholders and numbers, counted by hand, and printed by the command."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from nmt.cli import main
from nmt.evaluation.preservation import (
    Preservation,
    measure_preservation,
    numbers,
    placeholders,
    preservation_as_json,
    print_preservation,
)
from nmt.utils.errors import UserError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,000.5 and 1.000,5 and 1 000,5 and 1\u202f000.5 and 1'000.5", ["10005"] * 5),
        ("12, 3.5; 7.", ["12", "35", "7"]),
        ("version 2026.2.3 of IPv4, at 12:30", ["202623", "4", "12", "30"]),
        ("2024 100, 05", ["2024", "100", "05"]),
        ("{0} of %1$s in <h1> are not 3", ["3"]),
        ("\u0665\u0660", ["50"]),
        ("none", []),
    ],
)
def test_numbers_are_digits_whatever_separates_them(text: str, found: list[str]) -> None:
    assert numbers(text) == Counter(found)


def test_placeholders_of_all_kinds() -> None:
    assert placeholders("<b>{a}</b> %s {a} ${b}") == Counter(["<b>", "{a}", "</b>", "%s", "{a}", "${b}"])


def test_counts_are_clipped_sentence_by_sentence() -> None:
    sources = ["{a} {a} {b} 12", "{c}", "nothing"]
    translations = ["{a} {b} {b} {d} 13", "{a} {c} {c}", "{c} 12"]
    assert measure_preservation(sources, {"translations": translations, "references": sources}) == [
        Preservation("placeholders", "translations", expected=4, preserved=3, added=5),
        Preservation("placeholders", "references", expected=4, preserved=4, added=0),
        Preservation("numbers", "translations", expected=1, preserved=0, added=2),
        Preservation("numbers", "references", expected=1, preserved=1, added=0),
    ]


def test_random_bags_against_plain_counting() -> None:
    draw = random.Random(3)
    bags = [[draw.choices(["{a}", "{b}", "%d"], k=draw.randrange(5)) for _ in range(2)] for _ in range(50)]
    [found] = measure_preservation([" ".join(bag[0]) for bag in bags], {"x": [" ".join(bag[1]) for bag in bags]})
    kept = 0
    for source, translation in bags:
        left = list(translation)
        for name in source:
            if name in left:
                left.remove(name)
                kept += 1
    total = sum(len(translation) for _, translation in bags)
    assert (found.expected, found.preserved, found.added) == (sum(len(b[0]) for b in bags), kept, total - kept)


def test_sources_without_any_give_no_result(capsys: pytest.CaptureFixture) -> None:
    found = measure_preservation(["plain"], {"translations": ["{a} 1"]})
    assert found == []
    assert preservation_as_json(found) == {}
    print_preservation(found)
    assert capsys.readouterr().out == ""


def test_unequal_numbers_of_sources_and_translations_raise() -> None:
    with pytest.raises(UserError, match="expected one source for each of the 2 references, got 1"):
        measure_preservation(["a"], {"translations": ["a"], "references": ["a", "b"]})


def test_the_command_prints_it_where_sources_are_given(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    texts = {"sources": "{a} {b}\n3,5\n", "hypotheses": "{a}\n3.5 7\n", "references": "{b} {a}\n3,5\n"}
    options = []
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        options += [f"--{name}", str(tmp_path / name)]

    def printed(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", "--samples", "0", *arguments])
        assert stop.value.code == 0
        return capsys.readouterr().out

    table = printed(*options, "--baseline", str(tmp_path / "references"), "--samples", "5")
    rows = [line.split() for line in table.splitlines() if line.startswith(("placeholders", "numbers"))]
    assert rows == [
        ["placeholders", "translations", "2", "50.0%", "0"],
        ["placeholders", "references", "2", "100.0%", "0"],
        ["placeholders", "baseline", "2", "100.0%", "0"],
        ["numbers", "translations", "1", "100.0%", "1"],
        ["numbers", "references", "1", "100.0%", "0"],
        ["numbers", "baseline", "1", "100.0%", "0"],
    ]
    found = json.loads(printed(*options, "--json"))
    assert found["placeholders"]["translations"] == {"expected": 2, "preserved": 1, "added": 0}
    assert found["numbers"]["translations"] == {"expected": 1, "preserved": 1, "added": 1}
    assert "BLEU" in found
    without = [option for option in options if "sources" not in option]
    assert "placeholders" not in printed(*without)
    assert set(json.loads(printed(*without, "--json"))) == {"BLEU", "chrF2", "TER"}
