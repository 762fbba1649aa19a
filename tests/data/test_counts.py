"""A corpus is counted by reading it once."""

import pytest

from nmt.config import DataSettings
from nmt.data.counts import count_corpus, count_tokens


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "pairs.tsv"
    rows = [(f"number {n} of {{name}}", f"Zahl {n} von {{name}}") for n in range(300)]
    path.write_text("".join(f"{source}\t{target}\n" for source, target in [*rows, rows[0], ("same", "same")]))
    corpus = {"kind": "tsv", "train": [path]}
    return count_corpus(DataSettings(source_language="en", target_language="de", corpus=corpus))


def test_what_cleaning_keeps_is_counted(counts):
    assert (counts.pairs, counts.different, len(counts.sample)) == (300, 300, 300)
    assert counts.characters == tuple(sum(len(pair[side]) for pair in counts.sample) for side in (0, 1))
    assert counts.alphabet == len({sign for pair in counts.sample for text in pair for sign in text})
    assert counts.placeholders == ("braces",)


def test_tokens_of_a_vocabulary(counts):
    few, many = count_tokens(counts, 300), count_tokens(counts, 320)
    assert many.source < few.source
    assert few.longest >= few.target > 3
