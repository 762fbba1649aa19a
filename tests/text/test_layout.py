"""Texts of several lines, taken apart and joined again."""

from hypothesis import given
from hypothesis import strategies as st

from nmt.text.layout import lay_out


@given(st.lists(st.sampled_from(["a word", "<b\nx>", "\n", " ", "\n\n", "x" * 50, "- item", "\t", "."])).map("".join))
def test_a_text_whose_parts_stay_the_same_stays_as_it_is_written(text):
    layout = lay_out(text)
    assert layout.join(layout.texts) == text


def test_a_line_end_inside_a_tag_ends_no_line():
    layout = lay_out('<span style="\n  color: red">One</span>\nTwo')
    assert layout.texts == ['<span style="\n  color: red">One</span>', "Two"]
    assert layout.join(['<span style="\n  color: red">Eins</span>', "Zwei"]) == (
        '<span style="\n  color: red">Eins</span>\nZwei'
    )
