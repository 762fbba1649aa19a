import json

from hypothesis import given
from hypothesis import strategies as st

from nmt.config import CleaningSettings
from nmt.data.cleaning import EXAMPLES, REASONS, CleaningReport, Pair, clean
from nmt.data.raw_pair import RawPair


def run(pairs, training=True, **limits):
    report = CleaningReport()
    raw = [
        RawPair(*(side if isinstance(side, bytes) else side.encode() for side in pair), f"x:{number}")
        for number, pair in enumerate(pairs, start=1)
    ]
    return list(clean(raw, CleaningSettings(**limits), report, training=training)), report


def dropped(report):
    return {reason: number for reason, number in report.dropped.items() if number}


def test_every_reason_is_counted_and_its_pairs_are_found():
    kept, report = run(
        [
            ("Good morning", "Guten Morgen"),
            (b"\xff", "kaputt"),
            ("surrogate", b"\xed\xa0\x80"),
            ("", "leer"),
            ("blank", " \t\u200b"),
            ("x" * 1001, "y" * 1001),
            ("short", "z" * 41),
            ("Hotel ", "Hotel"),
            ("Good  morning", "Guten\tMorgen"),
            ("Good morning", "Schönen guten Morgen"),
        ]
    )
    assert kept == [Pair("Good morning", "Guten Morgen"), Pair("Good morning", "Schönen guten Morgen")]
    assert report.read == 10
    assert report.kept == 2
    expected = {"invalid_utf8": 2, "empty": 2, "too_long": 1, "length_ratio": 1, "copy": 1, "duplicate": 1}
    assert dropped(report) == expected
    assert report.examples["invalid_utf8"] == ["x:2", "x:3"]
    assert report.examples["duplicate"] == ["x:9"]


def test_limits_are_where_they_are_said_to_be():
    assert dropped(run([("abcd", "x" * 36)])[1]) == {}
    assert dropped(run([("abcd", "x" * 37)])[1]) == {"length_ratio": 1}
    assert dropped(run([("x" * 37, "abcd")])[1]) == {"length_ratio": 1}
    assert dropped(run([("x" * 10, "y" * 9)], max_characters=9)[1]) == {"too_long": 1}
    assert dropped(run([("x" * 9, "y" * 9)], max_characters=9)[1]) == {}


def test_filters_can_be_switched_off():
    pairs = [("a", "a"), ("b", "c"), ("b", "c")]
    assert len(run(pairs, drop_copies=False, drop_duplicates=False)[0]) == 3
    assert len(run(pairs)[0]) == 1


def test_a_duplicate_needs_both_sides_alike():
    assert len(run([("ab", "c"), ("a", "bc"), ("c", "ab"), ("ab", "d")])[0]) == 4


def test_a_pair_that_was_dropped_is_no_duplicate_of_itself():
    assert dropped(run([("a", "a"), ("a", "a")])[1]) == {"copy": 2}


def test_evaluation_pairs_are_kept_unless_they_cannot_be_used():
    pairs = [("a", "a"), ("a", "a"), ("x" * 2000, "y"), ("", "b"), (b"\xff", "c"), ("e\u0301", "e")]
    kept, report = run(pairs, training=False)
    assert [pair.source[:3] for pair in kept] == ["a", "a", "xxx", "é"]
    assert dropped(report) == {"empty": 1, "invalid_utf8": 1}


def test_changes_are_counted_by_pair():
    _, report = run([("e\u0301", "e\u0301x"), ("a\u200b", "b\u00ad"), ("plain", "text"), ("a  b", "c\n d")])
    assert report.changed == {"control_characters": 1, "not_nfc": 1}


def test_only_the_first_few_origins_are_kept():
    _, report = run([("", "x")] * 20)
    assert report.examples["empty"] == [f"x:{number}" for number in range(1, EXAMPLES + 1)]
    assert report.dropped["empty"] == 20


def test_pairs_stream():
    def endless():
        number = 0
        while True:
            number += 1
            yield RawPair(b"source %d" % number, b"target %d" % number, f"x:{number}")

    report = CleaningReport()
    cleaned = clean(endless(), CleaningSettings(), report, training=True)
    assert [next(cleaned).source for _ in range(3)] == ["source 1", "source 2", "source 3"]
    assert report.read == 3


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "a\u200b"]), st.sampled_from(["", "a", "b c", b"\xff"]))))
def test_the_figures_add_up(pairs):
    kept, report = run(pairs)
    assert report.kept == len(kept)
    assert report.read == len(pairs) == report.kept + sum(report.dropped.values())


def test_the_report_as_json_and_for_people():
    _, report = run([("a", "b"), ("a", "b"), ("", "c")])
    figures = json.loads(json.dumps(report.as_dict()))
    assert figures["read"] == 3
    assert set(figures["dropped"]) == set(figures["examples"]) == set(REASONS)
    table = "\n".join(report.lines())
    assert "seen before" in table
    assert "x:2" in table
    assert "too long" not in table
    assert CleaningReport().lines()  # nothing read: no division by zero
