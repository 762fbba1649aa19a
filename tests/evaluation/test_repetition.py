"""Loops and lengths of translations, and scores by the length of the source."""

import pytest

from nmt.evaluation.by_length import score_by_length
from nmt.evaluation.repetition import Repetition, has_loop, measure_repetition
from nmt.utils.errors import UserError


@pytest.mark.parametrize(
    ("source", "translation", "loop"),
    [
        ("The state is on.", "Der Zustand ist an.", False),
        ("The state is on.", "Der Zustand der Zustand der Zustand", True),
        ("very very good", "sehr sehr gut", False),
        ("it is good", "sehr, sehr, sehr gut", True),
        ("no, no, no", "nein, nein, nein", False),
        ("状态", "状态状态状态", True),
        ("Update it on the app, then start the app", "Auf der App ist es, auf der App ist sie, dann", False),
        (
            "Update it on the app, then open it",
            "Auf der App ist es nun, auf der App ist es nun",
            True,
        ),  # six words twice
        # As people translate: four characters are two words, which a translation may well say three times.
        ("Two modes: the preset one must match a mode", "プリセットモード、プリセットがプリセットと", False),
        ("If the source is defined", "如果已定义的来源是、如果已定义的来源有、如果已定义的来源在", True),
        ("Subscribe to topic {topic}", "Topic-Topic {topic} <topic>", False),  # a placeholder is no word said again
        ("Subscribe to topic {topic}", "Topic {topic} {topic} {Topic}", True),
        ("", "", False),
    ],
)
def test_loops(source, translation, loop):
    assert has_loop(source, translation) == loop


def test_too_long_is_more_than_twice_what_the_corpus_leads_to_expect():
    sources, references = ["a" * 50] * 2, ["b" * 100] * 2
    found = measure_repetition(sources, references, {"translations": ["c" * 220, "c" * 221], "references": references})
    assert found == [Repetition("translations", 2, 0, 1), Repetition("references", 2, 0, 0)]
    with pytest.raises(UserError, match="expected one source for each of the 1 translations, got 2"):
        measure_repetition(sources, references, {"translations": ["c"]})


def test_sources_of_one_length_are_one_group():
    (group,) = score_by_length(["a b"] * 40, ["a"] * 40, ["a"] * 40)
    assert group[:3] == ("short", 40, (3, 3))
    assert score_by_length(["a b"] * 29, ["a"] * 29, ["a"] * 29) == []
