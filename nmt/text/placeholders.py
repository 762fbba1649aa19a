"""Placeholders of software strings, such as `{name}`, masked and restored in plain Python.

A translation must repeat placeholders exactly. So each is replaced by a symbol before the model sees the text: U+FDD0
for the first placeholder of a source, U+FDD1 for the next different one, and so on. The model learns to repeat the
symbols, and `restore` puts the placeholders back. Unicode reserves these characters for internal use by programs, so
no text should contain them.

`nmt.text.masking` does the same in the TensorFlow graph. This module needs the standard library only.
"""

import re
from collections.abc import Sequence

from nmt.text.normalization import INVISIBLE, SPELLING
from nmt.utils.expressions import expand

# Between the parts of a placeholder there may be characters that nobody sees; it is repeated with them.
_I = f"[{INVISIBLE}{SPELLING}]*"
_DIGITS = f"(?:[0-9]{_I})+"
# An address goes on in ASCII and in alphabets with spaces between words, and does not end with punctuation.
_IN_URL = "!#-;=?-_a-z{}~\u00c0-\u024f\u0370-\u052f\u0531-\u0587\u05d0-\u05ea\u0620-\u06ff"
_URL_END = "#$%&*+/-9=@-Z_a-z~\u00c0-\u024f\u0370-\u052f\u0531-\u0587\u05d0-\u05ea\u0620-\u06d3"
_EMOJI = (
    "\u203c\u2049\u231a\u231b\u23e9-\u23fa\u25fb-\u25fe\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\U0001f000-\U0001faff"
)
_KEYCAP = "[0-9#*]\ufe0f?\u20e3"
_EMOJI_PARTS = f"{_EMOJI}\u200d\u20e3\ufe0e\ufe0f\U000e0020-\U000e007f"  # joiners, selectors, tags of flags

# Written for both regular expression engines, Python's and RE2 in the graph: their shorthands for classes differ, so
# every class is spelled out.
KINDS = {
    # {name}, {0:.2f}, ${name}, %{name}, {{ name }}; but no text within braces, as in ICU's plurals
    "braces": rf"(?:[$%]{_I})?\{{\{{[^{{}}]*\}}\}}|(?:[$%]{_I})?\{{ ?[^{{}} ]* ?\}}",
    # %s, %(count)d, %1$s, %.2f, %@, %%; languages have further conversions, as Python's %r or Go's %v. %L1 is Qt's.
    # %#@files@ and %1$#@files@ are Apple's, with the name of a plural.
    "printf": rf"%{_I}(?:{_DIGITS}\${_I})?#@[^@%]{{1,64}}@|"
    rf"%{_I}(?:\([^()]*\){_I})?(?:{_DIGITS}\${_I})?[-+#0]*{_I}(?:{_DIGITS}|\*{_I})?"
    rf"(?:\.{_I}(?:{_DIGITS}|\*{_I}))?(?:hh|ll|[hljztLq])?{_I}[@A-KM-Za-z]|%{_I}%",
    # <b>, </b>, <br/>, <a href="...">
    "tags": rf"<{_I}/?{_I}[A-Za-z][^<>]*>",
    # https://example.org/a?b=c, www.example.org
    "urls": rf"(?:[hH][tT][tT][pP][sS]?|[fF][tT][pP])://[{_IN_URL}]*[{_URL_END}]|[wW][wW][wW]\.[{_IN_URL}]*[{_URL_END}]",
    # someone@example.org
    "emails": r"[0-9A-Za-z_](?:[0-9A-Za-z._%+-]{0,62}[0-9A-Za-z_%+-])?@(?:[0-9A-Za-z-]{1,63}\.)+[A-Za-z]{2,24}",
    # object_id, MAX_SIZE, Button_2
    "identifiers": r"[0-9A-Za-z]+(?:_+[0-9A-Za-z]+)+",
    # 😀, 👩‍💻👍🏽, 🇩🇪, 3️⃣: as many as follow one another
    "emoji": f"(?:[{_EMOJI}]|{_KEYCAP})(?:[{_EMOJI_PARTS}]|{_KEYCAP})*",
    # The groups of digits: 1 and 000 of 1,000, because a translation may separate them differently.
    "numbers": r"[0-9]+",
}
SYMBOLS = tuple(chr(0xFDD0 + number) for number in range(10))
CUT = "\ufddf"  # marks in the graph where placeholders and symbols begin and end
RESERVED = f"[{SYMBOLS[0]}-{CUT}]"
REPLACEMENT = "\ufffd"  # replaces reserved characters in texts
SYMBOL = f" ?[{SYMBOLS[0]}-{SYMBOLS[-1]}]"  # with the space before it, which is removed together with the symbol


def pattern(kinds: Sequence[str]) -> str:
    """Returns the regular expression that matches placeholders of the given kinds.

    Args:
        kinds: keys of `KINDS`, and regular expressions between slashes; see `nmt.utils.expressions`.

    Raises:
        ValueError: if one of `kinds` is something else.

    Example:

    >>> re.findall(pattern(["braces", "tags", r"/[A-Z]{2}-\\d+/"]), "Press <b>{key}</b> 100% or ${time_out} AB-12")
    ['<b>', '{key}', '</b>', '${time_out}', 'AB-12']
    """
    return "|".join(map(_expression, kinds))


def _expression(kind: str) -> str:
    if kind in KINDS:
        return KINDS[kind]
    if len(kind) > 1 and kind[0] == kind[-1] == "/":
        return f"(?:{expand(kind[1:-1])})"
    raise ValueError(f"expected a kind of placeholders, got {kind!r}")


def mask(text: str, kinds: Sequence[str]) -> tuple[str, list[str]]:
    """Replaces the placeholders of a source text by symbols.

    Equal placeholders get the same symbol. Placeholders after the tenth different one stay as they are. Reserved
    characters in the text become U+FFFD.

    Args:
        text: a source text.
        kinds: see `pattern`; if empty, the text is returned unchanged.

    Returns:
        The masked text, and a list of 10 strings, the placeholder for each symbol (`""` for an unused symbol). The
        list is empty if `kinds` is.

    Example:

    >>> masked, placeholders = mask("{a} or {b}, {a}", ["braces"])
    >>> masked.replace(SYMBOLS[0], "0").replace(SYMBOLS[1], "1"), placeholders[:3]
    ('0 or 1, 0', ['{a}', '{b}', ''])
    """
    if not kinds:
        return text, []
    placeholders: list[str] = []

    def symbol(match: re.Match[str]) -> str:
        if match[0] not in placeholders:
            if len(placeholders) == len(SYMBOLS):
                return match[0]
            placeholders.append(match[0])
        return SYMBOLS[placeholders.index(match[0])]

    masked = re.sub(pattern(kinds), symbol, re.sub(RESERVED, REPLACEMENT, text))
    return masked, placeholders + [""] * (len(SYMBOLS) - len(placeholders))


def restore(text: str, placeholders: Sequence[str]) -> str:
    """Replaces the symbols in a translation by the placeholders of its source.

    A symbol that stands for no placeholder is removed, with the space before it.

    Args:
        text: a translation.
        placeholders: the list that `mask` returned for the source.

    Returns:
        The text with placeholders.

    Example:

    >>> restore(f"Oder {SYMBOLS[1]}, {SYMBOLS[0]} {SYMBOLS[7]}.", ["{a}", "{b}"] + [""] * 8)
    'Oder {b}, {a}.'
    """
    if not placeholders:
        return text

    def placeholder(match: re.Match[str]) -> str:
        known = placeholders[SYMBOLS.index(match[0][-1])]
        return known and match[0][:-1] + known

    return re.sub(SYMBOL, placeholder, text.replace(CUT, REPLACEMENT))
