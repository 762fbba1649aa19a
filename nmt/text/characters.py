"""Classes of characters by what Unicode says of each, for both regular expression engines, Python's and RE2.

The engines know different versions of Unicode, and Python's has no names for its categories. So classes are spelled out
as ranges, by Python's version. This module needs the standard library only.
"""

import itertools
import unicodedata
from collections.abc import Iterable
from functools import cache

_LAST = 0x323AF  # the last letter


def character_class(codes: Iterable[int]) -> str:
    """Returns the inside of a class of characters, as ranges.

    Args:
        codes: the code points in ascending order. None of the characters may have a meaning inside classes.

    Example:

    >>> character_class([97, 98, 99, 101])
    'a-ce'
    """
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(chr(first) if first == last else f"{chr(first)}-{chr(last)}" for first, last in ranges)


@cache
def category_class(*categories: str) -> str:
    """Returns the inside of a class of the letters and digits of some categories of Unicode, such as `Lu`.

    Example:

    >>> category_class("Nd")[:4]
    '0-9\u0660'
    """
    ranges = (codes for category, codes in _ranges() if category in categories)
    return character_class(itertools.chain.from_iterable(ranges))


@cache
def _ranges() -> list[tuple[str, range]]:
    """The code points in a row that have the same category, with it."""
    found, first = [], 0
    for category, run in itertools.groupby(map(unicodedata.category, map(chr, range(_LAST + 1)))):
        last = first + sum(1 for _ in run)
        found.append((category, range(first, last)))
        first = last
    return found
