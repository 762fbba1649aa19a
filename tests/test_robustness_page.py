"""docs/robustness.md names a test for every kind of fault, and each is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-E]\d?) \| [^|]+ \| `([^`|]+)` \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
KINDS = {"A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "C1", "C2", "C3", "C4", "D", "E"}


def test_every_kind_has_a_row() -> None:
    assert {kind for kind, *_ in ROWS} == KINDS
    assert len(ROWS) == len(re.findall(r"^\| [A-E]\d? \|", PAGE, re.MULTILINE))


@pytest.mark.parametrize("test", sorted({test for _, test, *_ in ROWS}))
def test_a_test_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_a_commit_that_fixes_follows_the_one_on_which_the_test_fails() -> None:
    assert all(len(commit) >= 7 for _, _, *commits in ROWS for commit in commits)
    assert all(fails != fixed for _, _, fails, fixed in ROWS)
