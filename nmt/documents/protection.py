"""What a translation must have as its source has it: tags, placeholders, addresses, emoji."""

import html
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nmt.text.placeholders import KINDS, pattern

_TAG = KINDS["tags"]
_URL = r"(?:https?|ftp|file|mailto|tel):(?://)?[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}*_]|www\.[^\s<>\"']*[^\s<>\"'.,;:!?)]"
_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_EMOJI = (
    "(?:[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
    "[\ufe0f\U0001f3fb-\U0001f3ff]*(?:\u200d[\u2600-\u27bf\U0001f000-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*)*)"
    "[\U000e0020-\U000e007f]*"
)
_QT, _ENTITY, _VARIABLE = r"%L?[0-9]{1,2}|%n\b", r"&(?:\w+|#\d+|#x[0-9A-Fa-f]+);", r"\$\w+|\$\([\w.]+\)"
_QUOTED = r"'[{}][^']*'"  # in ICU's messages
KEPT = "|".join((_URL, _EMAIL, _TAG, _QUOTED, KINDS["braces"], KINDS["printf"], _QT, _ENTITY, _VARIABLE, _EMOJI))
# What a model may have learnt from its corpus to write, and what breaks a file or a program where it does not belong.
_CODE = re.compile(rf"</?\w[^<>]*>|{_ENTITY}|{KINDS['braces']}")
_LETTER = re.compile(r"[^\W\d_]")
PAIRED = re.compile(r"<(/?)([A-Za-z][\w:.-]*)[^<>]*?(/?)>")


class Protected(NamedTuple):
    """A text that is ready to be translated.

    Attributes:
        text: str, what the translator gets.
        kept: list of str, what the translation has to have, in the order of the source.
        stands_for: dict, what stands in `text` in the place of some of it, and for what.
    """

    text: str
    kept: list[str]
    stands_for: dict[str, str]


def protect(text: str, masked: Sequence[str], also: str = "", tags: bool = True) -> Protected:
    """Finds what a translation has to keep, and puts placeholders that the translator keeps in its place.

    Args:
        text: the source.
        masked: the kinds of placeholders, of `nmt.text.placeholders.KINDS`, that the translator is sure to keep.
        also: a regular expression of more that has to be kept; empty for nothing.
        tags: bool, whether tags get placeholders too; False if the translator puts them where they belong.

    Example:

    >>> protect("Write to a@b.de, {name}", ["braces"])
    Protected(text='Write to {x1}, {name}', kept=['a@b.de', '{name}'], stands_for={'{x1}': 'a@b.de'})
    """
    own = re.compile(pattern([kind for kind in masked if kind != "numbers"]) or "$^")
    form = "<{}{}/>" if "tags" in masked else "{{{}{}}}" if "braces" in masked else ""
    kept: list[str] = []
    stands_for: dict[str, str] = {}
    by_text: dict[str, str] = {}
    opened: dict[str, str] = {}  # what the tag that opens an element is called, by the element's name

    def replaced(found: re.Match[str]) -> str:
        part = found[0]
        kept.append(part)
        if not form or own.fullmatch(part) or (not tags and re.fullmatch(_TAG, part)):
            return part
        if part not in by_text:
            number = len(by_text) + 1
            while f"x{number}" in text:
                number += 100
            tag = PAIRED.fullmatch(part)
            closes = tag is not None and tag[1] == "/" and tag[2] in opened
            # The search nests {x1} and {/x1} as it does tags: see `nmt.text.masking.closers`.
            by_text[part] = form.format("/" if closes else "", opened[tag[2]] if closes and tag else f"x{number}")
            if tag is not None and not tag[1]:
                opened.setdefault(tag[2], f"x{number}")
            stands_for[by_text[part]] = part
        return by_text[part]

    return Protected(_pattern(also).sub(replaced, text), kept, stands_for)


def restored(translation: str, protected: Protected) -> str | None:
    """Puts back what placeholders stand for; returns None if the translation has not just what it has to keep.

    An entity that the source does not have, such as `&nbsp;`, becomes its character. Nor may the translation have more
    tags, of any script, or placeholders in braces than the source.

    Args:
        translation: what the translator has made of `protected.text`.
        protected: what `protect` returned.

    Example:

    >>> restored("{name}: {x1}", protect("Write to a@b.de, {name}", ["braces"]))
    '{name}: a@b.de'
    >>> restored("Schreiben", protect("Write to a@b.de", ["braces"])) is None
    True
    >>> restored("<Datei> schreiben", protect("Write", ["braces"])) is None
    True
    """
    if protected.stands_for:
        forms = "|".join(map(re.escape, protected.stands_for))
        translation = re.sub(forms, lambda found: protected.stands_for[found[0]], translation)
    translation = re.sub(_ENTITY, lambda found: _character(found[0], protected.kept), translation)
    translation = _spaced(translation, protected)
    ours, theirs = (len(_CODE.findall(_without(text, protected.kept))) for text in (translation, _original(protected)))
    return translation if keeps(translation, protected.kept) and ours <= theirs else None


def keeps(translation: str, kept: Sequence[str]) -> bool:
    """Returns whether a translation has each of some strings as often as it should, no other tag, and nests tags.

    Args:
        translation: str.
        kept: the strings, in the order of the source.

    Example:

    >>> keeps("<b>{n}</b>", ["<b>", "{n}", "</b>"]), keeps("</b>{n}<b>", ["<b>", "{n}", "</b>"])
    (True, False)
    """
    rest = translation
    for part, count in sorted(Counter(kept).items(), key=lambda one: -len(one[0])):
        if rest.count(part) != count:
            return False
        rest = rest.replace(part, "\0")
    if re.search(_TAG, rest):
        return False
    return nests(re.findall(_TAG, translation)) or not nests([part for part in kept if re.fullmatch(_TAG, part)])


def nests(tags: Sequence[str]) -> bool:
    """Returns whether tags that open and close elements are nested; of a tag without its other half it says nothing.

    Example:

    >>> nests(["<b>", "<i>", "</i>", "</b>", "<br>"]), nests(["<b>", "<i>", "</b>", "</i>"]), nests(["</b>", "<b>"])
    (True, False, False)
    """
    found = [PAIRED.fullmatch(tag) for tag in tags]
    names = [(one[2], bool(one[1])) for one in found if one and not one[3]]
    opened: list[str] = []
    both = {name for name, closes in names if closes} & {name for name, closes in names if not closes}
    for name, closes in names:
        if name not in both:
            continue
        if not closes:
            opened.append(name)
        elif not opened or opened.pop() != name:
            return False
    return not opened


def split_at_kept(text: str, also: str = "") -> list[str]:
    """Cuts a text at all that has to be kept; every other part is such, and is never translated.

    Args:
        text: the source.
        also: as for `protect`.

    Example:

    >>> split_at_kept("Press <b>F1</b>.")
    ['Press ', '<b>', 'F1', '</b>', '.']
    """
    parts, place = [], 0
    for found in _pattern(also).finditer(text):
        parts += [text[place : found.start()], found[0]]
        place = found.end()
    return [*parts, text[place:]]


def has_words(text: str, also: str = "") -> bool:
    """Returns whether a text has letters outside what has to be kept.

    Example:

    >>> has_words("{a} - 12"), has_words("{a} or 12")
    (False, True)
    """
    return bool(_LETTER.search(_pattern(also).sub("", text)))


def _pattern(also: str) -> re.Pattern[str]:
    return re.compile(f"{also}|{KEPT}" if also else KEPT)


def _spaced(translation: str, protected: Protected) -> str:
    """Moves spaces that are inside a pair of tags, and are not there in the source, outside of it."""
    source = _original(protected)
    for tag in dict.fromkeys(part for part in protected.kept if PAIRED.fullmatch(part)):
        if tag.startswith("</") and f" {tag}" in translation and f" {tag}" not in source:
            translation = re.sub(rf" ({re.escape(tag)})(\w)?", lambda found: _apart(found[1], found[2]), translation)
        elif tag[1] != "/" and not tag.endswith("/>") and f"{tag} " in translation and f"{tag} " not in source:
            translation = re.sub(rf"(\w)?({re.escape(tag)}) ", lambda found: _apart(found[1], found[2]), translation)
    return translation


def _original(protected: Protected) -> str:
    """The text before anything took the place of what it keeps."""
    text = protected.text
    for stands, part in protected.stands_for.items():
        text = text.replace(stands, part)
    return text


def _without(text: str, kept: Sequence[str]) -> str:
    """A text without what is kept."""
    for part in sorted(set(kept), key=len, reverse=True):
        text = text.replace(part, "\0")
    return text


def _character(entity: str, kept: Sequence[str]) -> str:
    """The character of an entity that is not kept, unless it is part of how XML is written."""
    character = html.unescape(entity)
    return entity if entity in kept or character in "<>&\"'" else character


def _apart(first: str | None, second: str | None) -> str:
    """Two parts with a space between them, if there are two."""
    return " ".join(filter(None, (first, second)))
