"""Sentences in capitals: which they are, and letters made small and large, in plain Python.

`nmt.text.graph_capitals` does the same in the TensorFlow graph. This module needs the standard library only.
"""

# ruff: noqa: RUF001, RUF002, RUF003 (the dotless i)

import re
from functools import cache

from nmt.text.characters import category_class
from nmt.text.languages import base_language

_WITHOUT_FIRST_CAPITALS = ("ka",)  # Georgian has capitals for whole words only
_DOTLESS = ("tr", "az", "crh")  # languages that write I for a capital ı, and İ for a capital i
TO_SMALL, TO_LARGE = (("İ", "i"), ("I", "ı")), (("i", "İ"),)


@cache
def small_letters() -> str:
    """Returns the regular expression that matches a small letter."""
    return f"[{category_class('Ll')}]"


@cache
def two_capitals() -> str:
    """Returns the regular expression that matches two capitals in a row, such as those of `USB` but not of `Usb`."""
    return f"[{category_class('Lu')}]{{2}}"


def is_in_capitals(text: str) -> bool:
    """Returns whether a text is written in capitals: no small letter, and more than one word of two or more of them.

    A single word may be an abbreviation.

    Args:
        text: a normalised text; see `nmt.text.normalization.normalize`.

    Example:

    >>> [is_in_capitals(text) for text in ("PLEASE STOP!", "USB 3", "Stop USB NOW")]
    [True, False, False]
    """
    if re.search(small_letters(), text):
        return False
    return sum(bool(re.search(two_capitals(), word)) for word in text.split(" ")) > 1


def has_first_capitals(language: str) -> bool:
    """Returns whether a sentence of a language begins with a capital, if its script has any.

    Args:
        language: its code.
    """
    return base_language(language) not in _WITHOUT_FIRST_CAPITALS


def exchanged(language: str, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Returns those of `TO_SMALL` or `TO_LARGE` that a language needs in addition to Unicode's rules.

    Args:
        language: its code.
        pairs: `TO_SMALL` or `TO_LARGE`.
    """
    return pairs if base_language(language) in _DOTLESS else ()


def lower(text: str, language: str = "") -> str:
    """Makes letters small.

    Args:
        text: any text.
        language: its code.

    Example:

    >>> lower("KIZ", "tr"), lower("KIZ")
    ('kız', 'kiz')
    """
    for old, new in exchanged(language, TO_SMALL):
        text = text.replace(old, new)
    return text.lower()


def upper(text: str, language: str = "") -> str:
    """Puts letters in capitals.

    Args:
        text: any text.
        language: its code.

    Example:

    >>> upper("diş", "tr"), upper("weiß")
    ('DİŞ', 'WEISS')
    """
    for old, new in exchanged(language, TO_LARGE):
        text = text.replace(old, new)
    return text.upper()
