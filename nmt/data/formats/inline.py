"""Inline elements of XML as tags that models can keep, and back.

An element that encloses text becomes `<g1>` and `</g1>`, one that stands alone `<x2/>`, numbered by their order in the
source. The elements of a translation get the numbers of the same elements in its source. A tag that a text itself
contains, such as HTML that is escaped, is no inline element, and no inline element gets its number.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nmt.data.formats.xml_elements import Element, Text, xml_text

Range = tuple[int, int]

_TAG = re.compile(r"</?[gx]([0-9]+)/?>")
# Elements of TMX and XLIFF whose own text is code, not text; and those that begin or end a pair.
_CODES = {"bpt", "ept", "ph", "it", "ut", "x", "bx", "ex", "sc", "ec", "sm", "em", "cp"}
_BEGINS, _ENDS = {"bpt", "bx", "sc", "sm"}, {"ept", "ex", "ec", "em"}


@dataclass
class Tags:
    """The inline elements of a source, and the tags that stand for them.

    Attributes:
        ranges: for each tag, the bytes of the file where the code stands that it stands for.
        singles: names of the elements that stand alone whatever they contain, in addition to those of TMX and XLIFF.
    """

    singles: frozenset[str] = frozenset()
    ranges: dict[str, Range] = field(default_factory=dict)
    _numbers: dict[tuple[str, ...], int] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)

    def source(self, element: Element) -> str:
        """Returns the content of an element with tags, and records what they stand for."""
        self._taken = {int(number) for number in _TAG.findall(_own_text(element))}
        return "".join(self._parts(element, self.ranges))

    def target(self, element: Element) -> str:
        """Returns the content of a translation with the tags of its source."""
        return "".join(self._parts(element, {}))

    def _number(self, key: tuple[str, ...]) -> int:
        if key not in self._numbers:
            number = 1
            while number in self._taken:
                number += 1
            self._taken.add(number)
            self._numbers[key] = number
        return self._numbers[key]

    def _parts(self, element: Element, ranges: dict[str, Range]) -> list[str]:
        seen: dict[str, int] = {}  # elements of each name, to tell apart those without an id
        pairs = _paired(element)

        def inside(parent: Element) -> Iterable[str]:
            for child in parent.children or ():
                if isinstance(child, Text):
                    yield child.text
                    continue
                seen[child.name] = seen.get(child.name, 0) + 1
                identity = child.attributes.get("id") or child.attributes.get("x") or f"#{seen[child.name]}"
                if id(child) in pairs:
                    key, begins = pairs[id(child)]
                    tag = ("<g{}>" if begins else "</g{}>").format(self._number(key))
                    ranges[tag] = (child.start, child.end)
                    yield tag
                elif child.name in self.singles or _stands_alone(child):
                    tag = f"<x{self._number((child.name, identity))}/>"
                    ranges[tag] = (child.start, child.end)
                    yield tag
                else:
                    number = self._number((child.name, identity))
                    ranges[f"<g{number}>"] = (child.start, child.content)
                    ranges[f"</g{number}>"] = (child.close, child.end)
                    yield f"<g{number}>"
                    yield from inside(child)
                    yield f"</g{number}>"

        return list(inside(element))


def _stands_alone(element: Element) -> bool:
    """Whether an element is one place of a text: code, an empty one, or text that is not to be translated."""
    protected = element.attributes.get("mtype") == "protected" or element.attributes.get("translate") == "no"
    return element.name in _CODES or element.is_empty_tag or protected


def _own_text(element: Element) -> str:
    """The text of an element without code."""
    return "".join(
        child.text if isinstance(child, Text) else "" if child.name in _CODES else _own_text(child)
        for child in element.children or ()
    )


def xml_with_tags(text: str, raw: Mapping[str, str], written: Callable[[str], str] = xml_text) -> str:
    """Returns a translation as XML: its tags as the code that they stand for, the rest as text.

    Args:
        text: the translation.
        raw: the code of each tag.
        written: function from a text to how it stands in the file.

    Example:

    >>> xml_with_tags("<g1>a</g1> < b", {"<g1>": "<b>", "</g1>": "</b>"})
    '<b>a</b> &lt; b'
    """
    if not raw:
        return written(text)
    parts = re.split("(" + "|".join(map(re.escape, raw)) + ")", text)
    return "".join(raw[part] if place % 2 else written(part) for place, part in enumerate(parts))


def _paired(element: Element) -> dict[int, tuple[tuple[str, ...], bool]]:
    """Finds the elements that begin and end a pair legally: by the object's id, the pair's key and whether it begins.

    A pair that another one begins in, and ends outside, is none: its two elements stand alone.
    """
    pairs: dict[int, tuple[tuple[str, ...], bool]] = {}

    def inside(parent: Element) -> None:
        opened: list[tuple[str, Element]] = []
        for child in parent.elements:
            key = _pair_key(child)
            if child.name in _BEGINS:
                opened.append((key, child))
            elif child.name in _ENDS:
                place = next((i for i in reversed(range(len(opened))) if opened[i][0] == key), None)
                if place is not None:
                    pairs[id(opened[place][1])] = (("pair", key), True)
                    pairs[id(child)] = (("pair", key), False)
                    del opened[place:]
            elif child.name not in _CODES:
                inside(child)

    inside(element)
    return pairs


def _pair_key(element: Element) -> str:
    names: Sequence[str] = ("i", "rid", "startRef", "id")
    return next((element.attributes[name] for name in names if name in element.attributes), "")
