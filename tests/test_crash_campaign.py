"""The campaign of kills and failing file operations: what it draws, and that the page has its results."""

import re
from pathlib import Path

import crash_faults as faults
from crash_campaign import failures, kills, read_results, sites, table

CHECKOUT = Path(__file__).parent.parent
TRACE = [
    faults.Traced(faults.CREATE, "open", "", "/w/run/.nmt-host-1-a.part"),
    faults.Traced(faults.WRITE, "write", "", "/w/run/.nmt-host-1-a.part"),
    faults.Traced(faults.NAME, "rename", "/w/run/.nmt-host-1-a.part", "/w/run/step-00000004.npz"),
    faults.Traced(faults.WRITE, "write", "", "/w/run/#17 (deleted)"),
    faults.Traced(faults.NAME, "linkat", "/w/run/#17 (deleted)", "/w/run/.nmt-host-1-b.part"),
    faults.Traced(faults.NAME, "rename", "/w/run/.nmt-host-1-b.part", "/w/run/step-00000008.npz"),
]


def test_operations_have_the_name_that_the_file_gets_in_the_end():
    names = [name for _, name in sites(TRACE, Path("/w"))]
    assert names == [f"{one.name} run/step-N.npz" for one in TRACE]


def test_every_operation_on_every_file_fails_in_each_way_that_is_possible():
    operations = sites(TRACE, Path("/w"))
    reference = {"operations": {"nameless": operations, "named": operations}, "seconds": 1.0}
    trials = list(failures("average", reference, seed=1))
    found = {(trial["error"], operations[trial["plan"]["at"] - 1][1].split()[0]) for trial in trials}
    assert {error for error, name in found if name == "write"} == {"ENOSPC", "EIO", "EROFS", "short"}
    assert {name for _, name in found} == {"open", "write", "rename", "linkat"}
    assert [trial["key"] for trial in kills("average", reference, 1)] == [
        trial["key"] for trial in kills("average", reference, 1)
    ]


def test_the_page_has_the_results():
    page = (CHECKOUT / "docs" / "robustness.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- crash-campaign\.json\.gz -->\n\n((?:\|.*\|\n)+)", page)
    assert shown == table(read_results(CHECKOUT / "benchmarks" / "results" / "crash-campaign.json.gz")) + "\n"
