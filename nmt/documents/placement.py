"""Tags put into a translation by the decoder's attention: around the words that translate what they enclose.

The text is translated without its tags, as well as any other. Each pair of tags then gets the words of the translation
whose attention went mostly to the words that it encloses in the source, inside the words of the pair around it. So tags
are nested as in the source, whatever the attention is.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.documents.protection import KEPT, PAIRED
from nmt.text.boundaries import WORD_START
from nmt.text.placeholders import KINDS

_TAG = re.compile(KINDS["tags"])
# What tags never divide: placeholders, words, characters of scripts without spaces.
_UNIT = re.compile(rf"{KEPT}|[\u2e80-\u9fff\uf900-\ufaff]|[^\W\u2e80-\u9fff\uf900-\ufaff]+")
# A word belongs to a pair of tags if it gives this share of its attention to the words that the pair encloses. Chosen
# by benchmarks/tags.py on a run of software strings; on three other corpora together, 0.5 to 0.65 are within 1% of it.
_SHARE = 0.55

Span = tuple[int, int]
Weights = NDArray[np.floating[Any]]


class Aligned(NamedTuple):
    """A translation, and which of its words translate which of the source.

    Attributes:
        text: str, the translation.
        source: list of the places in the source of its words, placeholders included.
        target: the same for the translation.
        weights: `[target words, source words]`, each row a distribution.
    """

    text: str
    source: list[Span]
    target: list[Span]
    weights: Weights


@dataclass
class _Node:
    """A pair of tags or a single one, and what it encloses: places in the text without tags."""

    begin: str
    end: str = ""
    start: int = 0
    stop: int = 0
    spaces: tuple[bool, bool] = (False, False)  # around a single tag
    children: list["_Node"] = field(default_factory=list)


def translate_with_tags(translator: Any, texts: Sequence[str]) -> list[str]:
    """Translates texts without their tags, and puts the tags where the attention says.

    Args:
        translator: an `nmt.Translator`.
        texts: the texts.

    Returns:
        The translations. One that has no words for some pair of tags lacks these tags.
    """
    taken = [take_tags(text) for text in texts]
    plain = iter(translator.translate([text for text, root in taken if not root.children]))
    tagged = [text for text, root in taken if root.children]
    with _attending(translator):
        aligned = iter(
            [_aligned(text, found) for text, found in zip(tagged, translator.hypotheses(tagged), strict=True)]
        )
    return [put_tags(text, root, next(aligned)) if root.children else next(plain) for text, root in taken]


def take_tags(text: str) -> tuple[str, _Node]:
    """Takes the tags out of a text.

    Args:
        text: str.

    Returns:
        The text without tags, and the tags as a tree.

    Example:

    >>> text, root = take_tags("Press <b>the <i>big</i> key</b> <br/> now")
    >>> text, [(one.begin, one.start, one.stop) for one in root.children]
    ('Press the big key now', [('<b>', 6, 17), ('<br/>', 18, 18)])
    """
    found = list(_TAG.finditer(text))
    ends = _pairs([tag[0] for tag in found])
    root = _Node("")
    opened, plain, place = [root], "", 0
    for number, tag in enumerate(found):
        plain += text[place : tag.start()]
        place = tag.end()
        if number in ends.values():
            opened.pop().stop = len(plain)
            continue
        node = _Node(tag[0], start=len(plain), stop=len(plain))
        opened[-1].children.append(node)
        if number in ends:
            node.end = found[ends[number]][0]
            opened.append(node)
        else:
            node.spaces = (plain[-1:].isspace(), text[place : place + 1].isspace())
            if all(node.spaces) or (not plain and node.spaces[1]):
                place += 1  # one of two spaces
            elif re.fullmatch(r"\w\w", plain[-1:] + text[place : place + 1]):
                plain += " "  # a line break, for example, divides words
    root.stop = len(plain + text[place:])
    return plain + text[place:], root


def put_tags(source: str, root: _Node, aligned: Aligned | None) -> str:
    """Puts tags into a translation.

    Args:
        source: the source without tags.
        root: its tags; see `take_tags`.
        aligned: the translation; None if there is none.

    Example:

    >>> source, root = take_tags("the <b>red</b> house")
    >>> places = [(0, 3), (4, 7), (8, 13)], [(0, 2), (3, 9), (10, 15)]
    >>> put_tags(source, root, Aligned("la maison rouge", *places, np.eye(3)[[0, 2, 1]]))
    'la maison <b>rouge</b>'
    """
    if aligned is None:
        return ""
    return _render(source, root, aligned, (0, len(aligned.target)), (0, len(aligned.text)))


def _render(source: str, node: _Node, aligned: Aligned, words: Span, place: Span) -> str:
    """What a pair of tags encloses in the translation, with all tags inside it."""
    pairs = [child for child in node.children if child.stop > child.start]
    spans = _divide(node, pairs, aligned, words)
    parts: list[tuple[int, int, str]] = []
    for child, span in zip(pairs, spans, strict=True):
        if span is None:
            continue
        inside = _extent(source, node, child, aligned, span, words, place)
        parts.append((*inside, child.begin + _render(source, child, aligned, span, inside) + child.end))
    taken = [part[:2] for part in parts]
    for child in node.children:
        if child.stop == child.start:
            parts.append(_single(node, child, aligned, words, place, taken))
    written, last = [], place[0]
    for start, stop, text in sorted(parts, key=lambda part: part[:2]):
        written += [aligned.text[last:start], text]
        last = stop
    return "".join([*written, aligned.text[last : place[1]]])


def _divide(node: _Node, pairs: Sequence[_Node], aligned: Aligned, words: Span) -> list[Span | None]:
    """The words of the translation that each pair of tags encloses, the surest first."""
    inside = _inside(node, aligned)
    gains = []
    for child in pairs:
        own = _inside(child, aligned)
        gain = aligned.weights[:, own].sum(1) - _SHARE if own != inside else np.ones(len(aligned.target))
        gains.append(gain if own else None)
    found: list[Span | None] = [None] * len(pairs)
    free = [words]
    remaining = [number for number, gain in enumerate(gains) if gain is not None]
    needed = [_needed(child) for child in pairs]
    while possible := [
        (*_best(gain, span, needed[number]), number)
        for number in remaining
        for span in free
        if span[1] - span[0] >= needed[number] and (gain := gains[number]) is not None
    ]:
        _, start, stop, number = max(possible)
        found[number] = (start, stop)
        remaining.remove(number)
        free = [part for span in free for part in _without(span, (start, stop))]
    return found


def _needed(node: _Node) -> int:
    """How many words a pair of tags needs, so that each pair inside it can have its own."""
    return max(1, sum(_needed(child) for child in node.children if child.end))


def _best(gain: Weights, span: Span, needed: int) -> tuple[float, int, int]:
    """The words one after the other that gain most, at least as many as are needed."""
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    choices = [(start, stop) for start in range(*span) for stop in range(start + needed, span[1] + 1)]
    start, stop = max(choices, key=lambda one: float(sums[one[1]] - sums[one[0]]))
    return float(sums[stop] - sums[start]), start, stop


def _without(span: Span, taken: Span) -> list[Span]:
    if taken[1] <= span[0] or taken[0] >= span[1]:
        return [span]
    return [(span[0], taken[0]), (taken[1], span[1])]


def _inside(node: _Node, aligned: Aligned) -> list[int]:
    """The words of the source that a pair of tags encloses, wholly or partly."""
    return [number for number, (start, stop) in enumerate(aligned.source) if start < node.stop and stop > node.start]


def _extent(source: str, parent: _Node, child: _Node, aligned: Aligned, span: Span, words: Span, place: Span) -> Span:
    """The characters that a pair of tags encloses: its words, and the punctuation that it has in the source."""
    own = _inside(child, aligned)
    start, stop = aligned.target[span[0]][0], aligned.target[span[1] - 1][1]
    before, after = source[child.start : aligned.source[own[0]][0]], source[aligned.source[own[-1]][1] : child.stop]
    whole = own == _inside(parent, aligned)
    if (before or whole) and (child.start, span[0]) == (parent.start, words[0]):
        start = place[0]
    elif before.strip() and aligned.text[place[0] : start].endswith(before):
        start -= len(before)
    if (after or whole) and (child.stop, span[1]) == (parent.stop, words[1]):
        stop = place[1]
    elif after.strip() and aligned.text[stop : place[1]].startswith(after):
        stop += len(after)
    return start, stop


def _single(
    parent: _Node, child: _Node, aligned: Aligned, words: Span, place: Span, taken: Sequence[Span]
) -> tuple[int, int, str]:
    """Where a single tag stands: next to the word that translates its neighbour in the source."""
    text, inside = child.begin + child.end, _inside(parent, aligned)
    before = [number for number in inside if aligned.source[number][1] <= child.start]
    after = [number for number in inside if aligned.source[number][0] >= child.start]
    if not before or words[0] == words[1]:
        return place[0], place[0], text + " " * child.spaces[1]
    if not after:
        return place[1], place[1], " " * child.spaces[0] + text
    follows = not child.spaces[0]
    column = aligned.weights[words[0] : words[1], before[-1] if follows else after[0]]
    at = aligned.target[words[0] + int(column.argmax())][1 if follows else 0]
    for start, stop in taken:
        if start < at < stop:
            at = stop if follows else start
    return at, at, text if follows else text + " " * child.spaces[1]


def _aligned(source: str, hypotheses: Sequence[Any]) -> Aligned | None:
    """The words of a text and its translation, and how the attention of the best hypothesis joins them."""
    if not hypotheses:
        return None
    found = hypotheses[0]
    sides = [_spans(source), _spans(found.text)]
    pieces = [
        _belongings(text, words, of_pieces, numbers)
        for text, words, of_pieces, numbers in (
            (source, sides[0], found.source_pieces, found.source_words),
            (found.text, sides[1], found.target_pieces, found.target_words),
        )
    ]
    weights = pieces[1].T @ found.attention @ pieces[0]
    by_row, by_column = _normalised(weights, 1), _normalised(weights, 0)
    return Aligned(found.text, sides[0], sides[1], _normalised(by_row * by_column, 1))


def _belongings(text: str, words: Sequence[Span], pieces: Sequence[str], numbers: Sequence[Sequence[int]]) -> Weights:
    """Which share of each subword piece belongs to each word: `[pieces, words]`."""
    shares = np.zeros((len(pieces), len(words)))
    spaced = [found.span() for found in re.finditer(r"\S+", text)]
    places: dict[int, int] = {}  # where the next piece of a word begins
    for row, (piece, own) in enumerate(zip(pieces, numbers, strict=True)):
        body = piece.lstrip(WORD_START)
        if not own or not body or own[-1] >= len(spaced):
            continue
        start, stop = spaced[own[0]][0], spaced[own[-1]][1]
        at = text.find(body, places.get(own[0], start), stop)
        if at >= 0:  # else the text was normalised, and the piece is somewhere in the word
            start, stop = at, at + len(body)
            places[own[0]] = stop
        columns = [column for column, word in enumerate(words) if word[0] < stop and word[1] > start]
        shares[row, columns] = 1 / max(1, len(columns))
    return shares


def _normalised(weights: Weights, axis: int) -> Weights:
    total: Weights = weights / np.maximum(weights.sum(axis, keepdims=True), 1e-9)
    return total


def _spans(text: str) -> list[Span]:
    return [found.span() for found in _UNIT.finditer(text)]


def _pairs(tags: Sequence[str]) -> dict[int, int]:
    """Which tag closes which, for those that are nested; others stand alone."""
    opened: list[tuple[str, int]] = []
    ends: dict[int, int] = {}
    for number, tag in enumerate(tags):
        found = PAIRED.fullmatch(tag)
        if found is None or found[3]:
            continue
        if not found[1]:
            opened.append((found[2], number))
            continue
        place = next((at for at in reversed(range(len(opened))) if opened[at][0] == found[2]), None)
        if place is not None:
            ends[opened[place][1]] = number
            del opened[place:]
    return ends


@contextmanager
def _attending(translator: Any) -> Iterator[None]:
    """Has a translator's hypotheses hold their attention for a while."""
    before, translator.attention = translator.attention, True
    try:
        yield
    finally:
        translator.attention = before
