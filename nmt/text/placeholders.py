"""Placeholders of software strings, such as `{name}`, masked and restored in plain Python.

A translation must repeat placeholders exactly. So each is replaced by a symbol before the model sees the text: U+FDD0
for the first placeholder of a source, U+FDD1 for the next different one, and so on. The model learns to repeat the
symbols, and `restore` puts the placeholders back. Unicode reserves these characters for internal use by programs, so
no text should contain them.

`nmt.text.masking` does the same in the TensorFlow graph. This module needs the standard library only.
"""

import re
from collections.abc import Sequence

# Written for both regular expression engines, Python's and RE2 in the graph: their shorthands for classes differ, so
# every class is spelled out.
KINDS = {
    # {name}, {0:.2f}, ${name}, %{name}, {{ name }}; but no text within braces, as in ICU's plurals
    "braces": r"[$%]?\{\{[^{}]*\}\}|[$%]?\{ ?[^{} ]* ?\}",
    # %s, %(count)d, %1$s, %.2f, %@, %%
    "printf": r"%(?:\([^()]*\))?(?:[0-9]+\$)?[-+#0]*(?:[0-9]+|\*)?(?:\.(?:[0-9]+|\*))?(?:hh|ll|[hljztLq])?"
    r"[@diouxXeEfFgGaAcsp]|%%",
    # <b>, </b>, <br/>, <a href="...">
    "tags": r"</?[A-Za-z][^<>]*>",
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
        kinds: keys of `KINDS`.

    Example:

    >>> re.findall(pattern(["braces", "tags"]), "Press <b>{key}</b> 100% or ${time_out}")
    ['<b>', '{key}', '</b>', '${time_out}']
    """
    return "|".join(KINDS[kind] for kind in kinds)


def mask(text: str, kinds: Sequence[str]) -> tuple[str, list[str]]:
    """Replaces the placeholders of a source text by symbols.

    Equal placeholders get the same symbol. Placeholders after the tenth different one stay as they are. Reserved
    characters in the text become U+FFFD.

    Args:
        text: a source text.
        kinds: keys of `KINDS`; if empty, the text is returned unchanged.

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
