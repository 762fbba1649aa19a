"""Marks of keys in the texts of programs."""

import pytest

from nmt.text.accelerators import find_accelerator, put_accelerator


@pytest.mark.parametrize(
    ("text", "without", "mark"),
    [
        ("&File", "File", "&"),
        ("Save _As", "Save As", "_"),
        ("打开(_O)", "打开(O)", "_"),
        ("AT&T", "AT&T", ""),
        ("a && b", "a && b", ""),
        ("&amp; &nbsp;", "&amp; &nbsp;", ""),
        ("&One &Two", "&One &Two", ""),
        ("some_name _x", "some_name _x", ""),
        ('<a target="_blank">x</a>', '<a target="_blank">x</a>', ""),
        ("https://a.b/?a=1&b=2", "https://a.b/?a=1&b=2", ""),
        ("%(a)s&lt; __init__", "%(a)s&lt; __init__", ""),
    ],
)
def test_what_is_an_accelerator(text, without, mark):
    found = find_accelerator(text)
    assert (found.text, found.mark) == (without, mark)


@pytest.mark.parametrize(
    ("source", "translation", "expected"),
    [
        ("&File", "Datei", "&Datei"),
        ("_Open %s", "<b>%s</b> öffnen", "<b>%s</b> _öffnen"),
        ("&Print...", "打印...", "打印(&P)..."),
        ("&X", "123", "123"),
        ("Save &As", "Speichern", "&Speichern"),
        ("&Quit", "", ""),
    ],
)
def test_where_it_is_put(source, translation, expected):
    assert put_accelerator(translation, find_accelerator(source)) == expected
