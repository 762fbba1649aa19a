"""What coverage-guided fuzzing has found is read again: one line of error at most, whatever it is."""

import tarfile
from pathlib import Path

import pytest
from fuzz_readers import READERS

CORPORA = Path(__file__).parents[1] / "benchmarks" / "results" / "fuzz-corpora.tar.xz"
MOST = 150  # of a reader's, so that this takes a few seconds


@pytest.mark.parametrize("name", READERS)
def test_what_was_found_is_read_or_refused(name: str) -> None:
    with tarfile.open(CORPORA) as archive:
        members = [member for member in archive.getmembers() if member.name.startswith(f"{name}/")]
        contents = [archive.extractfile(member).read() for member in members[:: max(1, len(members) // MOST)]]  # type: ignore
    assert contents
    for content in contents:
        READERS[name](content)
