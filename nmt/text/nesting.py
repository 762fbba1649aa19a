"""Which tags may come next in a translation so that all are nested, in plain Python.

`nmt.decoding.tags.TagConstraint` has the same rules in the graph, and explains them. This module needs the standard
library only.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

DEEPEST_NESTING = 16  # tags that are open at the same time
_OPENS = re.compile(r"(?:<([A-Za-z][^ \t\r\n/<>]*)(?:[^<>]*[^<>/])?>|\{([A-Za-z][^ \t\r\n/{}]*)[^{}]*\})")
_CLOSES = re.compile(r"(?:</([A-Za-z][^ \t\r\n/<>]*)[^<>]*>|\{/([A-Za-z][^ \t\r\n/{}]*)[^{}]*\})")


class _Tags(NamedTuple):
    """What the tags of a source are."""

    closers: dict[int, int]  # for each symbol that opens an element, the one that closes it
    singles: list[int]  # the tags without their other half, in the order of the source


class TagNesting:
    """The tags of a translation, one symbol after the other.

    Args:
        placeholders: the placeholder that each symbol stands for, see `nmt.text.placeholders.mask`.
        source: the numbers of the symbols of the source, in their order.

    Example:

    >>> nesting = TagNesting(["<b>", "</b>", "{n}"], [0, 2, 1])
    >>> sorted(nesting.forbidden())
    [1]
    >>> nesting.advance(0)
    >>> sorted(nesting.forbidden())
    []
    """

    def __init__(self, placeholders: Sequence[str], source: Sequence[int]) -> None:
        self._tags = _pairs(find_closers(placeholders), source)
        self._open: list[int] = []  # the symbols that close what is open
        self._singles = 0  # how many single tags have come

    def forbidden(self) -> set[int]:
        """Returns the symbols that may not come next."""
        closers, singles = self._tags
        found = set(closers.values()) - set(self._open[-1:])
        if len(self._open) >= DEEPEST_NESTING:
            found |= set(closers)
        following = singles[self._singles : self._singles + 1] if not self._open else []
        return found | (set(singles) - set(following))

    def advance(self, symbol: int) -> None:
        """Notes that a symbol has come."""
        closers, singles = self._tags
        if symbol in closers:
            self._open.append(closers[symbol])
        elif symbol in self._open[-1:]:
            self._open.pop()
        elif symbol in singles:
            self._singles += 1


def find_closers(placeholders: Sequence[str]) -> dict[int, int]:
    """Finds which symbols stand for tags that open and close the same element; see `nmt.text.masking.closers`.

    Example:

    >>> find_closers(["<a href='x'>", "{n}", "</a>", "<br/>", "{x1}", "{/x1}"])
    {0: 2, 4: 5}
    """
    closes: dict[str, int] = {}
    for number, text in enumerate(placeholders):
        if found := _CLOSES.fullmatch(text):
            closes.setdefault(_name(found), number)
    opens = ((number, _OPENS.fullmatch(text)) for number, text in enumerate(placeholders))
    return {number: closes[_name(found)] for number, found in opens if found and _name(found) in closes}


def _name(found: re.Match[str]) -> str:
    return found[1] or found[2]


def _pairs(closers: dict[int, int], source: Sequence[int]) -> _Tags:
    """The tags that the source opens and closes equally often, if it nests them; and all others."""
    balanced = {
        closer
        for closer in closers.values()
        if sum(closers.get(symbol) == closer for symbol in source) == source.count(closer) > 0
    }
    kept = {opener: closer for opener, closer in closers.items() if closer in balanced}
    opened: list[int] = []
    for symbol in source:
        if symbol in kept:
            opened.append(kept[symbol])
        elif symbol in balanced and (not opened or opened.pop() != symbol):
            kept = {}
            break
        if len(opened) > DEEPEST_NESTING:
            kept = {}
            break
    tags = closers.keys() | set(closers.values())
    return _Tags(kept, [symbol for symbol in source if symbol in tags - kept.keys() - set(kept.values())])
