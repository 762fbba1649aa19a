"""Placeholders of software strings and numbers, which a translation has to repeat, by the standard library alone.

In their place the model sees symbols: U+FDD0 for the first of a source, U+FDD1 for the next different one, and so on.
Unicode sets these characters aside for a program's own use, so no text should have them.
"""

import re
from collections.abc import Sequence

# Expressions that RE2, in the graph, and Python understand alike: no class of characters but those spelled out.
KINDS = {
    # {name}, {0:.2f}, ${name}, %{name}, {{ name }}; but not a text within braces, as ICU's plurals have it
    "braces": r"[$%]?\{\{[^{}]*\}\}|[$%]?\{ ?[^{} ]* ?\}",
    # %s, %(count)d, %1$s, %.2f, %@, %%
    "printf": r"%(?:\([^()]*\))?(?:[0-9]+\$)?[-+#0]*(?:[0-9]+|\*)?(?:\.(?:[0-9]+|\*))?(?:hh|ll|[hljztLq])?"
    r"[@diouxXeEfFgGaAcsp]|%%",
    # <b>, </b>, <br/>, <a href="...">
    "tags": r"</?[A-Za-z][^<>]*>",
    # 1 and 000 of 1,000: what separates them is for the translation to change
    "numbers": r"[0-9]+",
}
SYMBOLS = tuple(chr(0xFDD0 + number) for number in range(10))
CUT = "\ufddf"  # another such character, by which the graph tells where placeholders and symbols begin and end
RESERVED = f"[{SYMBOLS[0]}-{CUT}]"
REPLACEMENT = "\ufffd"  # in place of a character that no text can have
SYMBOL = f" ?[{SYMBOLS[0]}-{SYMBOLS[-1]}]"  # with the space before it, which goes where the symbol has to go


def pattern(kinds: Sequence[str]) -> str:
    """The expression that finds placeholders of some of the `KINDS`.

    Example:

    >>> re.findall(pattern(["braces", "tags"]), "Press <b>{key}</b> 100% or ${time_out}")
    ['<b>', '{key}', '</b>', '${time_out}']
    """
    return "|".join(KINDS[kind] for kind in kinds)


def hide(text: str, kinds: Sequence[str]) -> tuple[str, list[str]]:
    """Puts symbols in place of a source's placeholders, as `nmt.text.masking.hide` does in the graph.

    Args:
        text: any text.
        kinds: some of the `KINDS`.

    Returns:
        The text, and the placeholders by number, "" if there are fewer; of no kinds, none.

    Example:

    >>> hidden, placeholders = hide("{a} or {b}, {a}", ["braces"])
    >>> hidden.replace(SYMBOLS[0], "0").replace(SYMBOLS[1], "1"), placeholders[:3]
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

    hidden = re.sub(pattern(kinds), symbol, re.sub(RESERVED, REPLACEMENT, text))
    return hidden, placeholders + [""] * (len(SYMBOLS) - len(placeholders))


def restore(text: str, placeholders: Sequence[str]) -> str:
    """Puts the source's placeholders in place of a translation's symbols, as `nmt.text.masking.restore` in the graph.

    Args:
        text: a translation.
        placeholders: of its source, see `hide`. A symbol without one goes, and the space before it.

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
