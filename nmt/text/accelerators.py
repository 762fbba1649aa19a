"""Accelerators: the mark before the letter of a key, as in `&File` and `_Open`, taken out and put in again."""

import re
import unicodedata
from typing import NamedTuple

_AMPERSAND = re.compile(r"&(?=[^\W_])(?!\w+;|#\d+;)")
_UNDERLINE = re.compile(r"(?<!\S)_(?=[^\W\d_])|(?<=\()_(?=[^\W\d_]\))")
_CODE = re.compile(r"<[^<>]*>|\{[^{}]*\}|%\(\w+\)\w|%\S*|\w+://\S+")


class Accelerator(NamedTuple):
    """A text without its mark.

    Attributes:
        text: str, the text without the mark.
        mark: str, `&` or `_`; empty if there is none.
        letter: str, the letter after the mark.
    """

    text: str
    mark: str
    letter: str


def find_accelerator(text: str) -> Accelerator:
    """Takes the mark of an accelerator out of a text that has just one.

    Args:
        text: a text of a program.

    Example:

    >>> find_accelerator("Save &As..."), find_accelerator("R&D && more").mark, find_accelerator("snake_case").mark
    (Accelerator(text='Save As...', mark='&', letter='A'), '', '')
    """
    visible = _without_code(text)
    for mark, pattern in (("&", _AMPERSAND), ("_", _UNDERLINE)):
        places = [found.start() for found in pattern.finditer(visible)]
        if len(places) == 1 and visible.count(mark) == 1 and not _inside_word(text, places[0], mark):
            place = places[0]
            return Accelerator(text[:place] + text[place + 1 :], mark, text[place + 1])
    return Accelerator(text, "", "")


def put_accelerator(text: str, accelerator: Accelerator) -> str:
    """Puts a mark into a translation: before the same letter, at the beginning of a word if there is one.

    Where the translation has no letter of that alphabet, as in Chinese, the letter follows in brackets.

    Args:
        text: the translation.
        accelerator: what was found in the source.

    Example:

    >>> found = find_accelerator("&Open")
    >>> put_accelerator("Datei öffnen", found), put_accelerator("Datei", found), put_accelerator("打开...", found)
    ('Datei &öffnen', '&Datei', '打开(&O)...')
    """
    mark, letter = accelerator.mark, accelerator.letter
    if not mark or not text.strip():
        return text
    hidden = _without_code(text)
    hidden = "".join(unicodedata.normalize("NFD", character)[0] for character in hidden)  # Ö counts as O
    tries = (rf"(?<![^\W_]){re.escape(letter)}", re.escape(letter), r"(?<![^\W_])[A-Za-z]", r"[A-Za-z]", r"[^\W\d_]")
    if letter.isascii() and not re.search(r"[A-Za-z]", hidden) and re.search(r"[\u2e80-\uffdc]", hidden):
        end = len(text) - len(re.search(r"[\s.:…。]*$", text)[0])  # type: ignore[index]
        return f"{text[:end]}({mark}{letter.upper()}){text[end:]}"
    for pattern in tries:
        if found := re.search(pattern, hidden, re.IGNORECASE):
            return text[: found.start()] + mark + text[found.start() :]
    return text


def _without_code(text: str) -> str:
    """The text with something else in the place of tags, placeholders and addresses, so that places stay."""
    return _CODE.sub(lambda found: "\0" * len(found[0]), text)


def _inside_word(text: str, place: int, mark: str) -> bool:
    """Whether an ampersand stands in a word of capitals, as in `R&D` or `AT&T`."""
    before, after = text[:place][-1:], text[place + 1 : place + 2]
    return mark == "&" and before.isupper() and after.isupper()
