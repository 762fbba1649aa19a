"""Regular expressions that a user gives, in the syntax that Python's engine and RE2, TensorFlow's, read alike.

That is: characters, `.`, classes such as `[A-Z_]` and `[^ ]`, `\\d` and `\\w` (of ASCII alone), escaped punctuation,
groups, alternatives, and the quantifiers `*`, `+`, `?`, `{2}`, `{2,}`, `{2,5}`, lazy with a `?` after them. There are
no anchors, references, flags or lookaround.
"""

import re

LONGEST = 200
_MOST_REPEATED = 100  # whatever is repeated then fits into the memory that RE2 may use
_SHORTHANDS = {r"\d": "0-9", r"\w": "0-9A-Za-z_"}
_PUNCTUATION = r"\\[!-/:-@\[-`{-~]"
# Not the beginnings of operations with sets, which Python may read one day; nor ranges with a shorthand.
_CLASS = re.compile(rf"\[\^?(?:(?!--|&&|~~|.-\\[dw]|\|\|)(?:\\[dw](?!-[^\]])|{_PUNCTUATION}|[^\\\[\]]))+\]")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{[0-9]{1,4}(?:,[0-9]{0,4})?\})\??")
_ATOM = re.compile(rf"\\[dw]|{_PUNCTUATION}|[^\\^$|?*+()\[\]{{}}]")
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufddf]")


def expand(expression: str) -> str:
    """Checks a regular expression, and spells its classes out so that both engines read it alike.

    Args:
        expression: the regular expression, of at most 200 characters.

    Returns:
        An expression without capturing groups.

    Raises:
        ValueError: if it is something else, or can match nothing at all.

    Example:

    >>> expand(r"[A-Z]{2,3}-(\\d+|x)")
    '[A-Z]{2,3}-(?:[0-9]+|x)'
    >>> expand("^a")
    Traceback (most recent call last):
    ValueError: cannot be read at character 1: '^a'
    """
    if not 0 < len(expression) <= LONGEST:
        raise ValueError(f"expected 1 to {LONGEST} characters, got {len(expression)}")
    if _UNFIT.search(expression):
        raise ValueError("expected no control characters and no reserved ones")
    expanded, atom = "", ""  # what was read, and what a quantifier would repeat, at its end
    groups: list[int] = []  # where each open group begins
    place, repeated, is_empty = 0, 1, True  # whether the group or alternative has nothing yet
    while place < len(expression):
        rest = expression[place:]
        if match := _QUANTIFIER.match(rest):
            repeated *= _check_quantifier(match[0], atom, place)
            part, atom = match[0], ""
        elif match := _CLASS.match(rest):
            part = atom = re.sub(r"\\[dw]", lambda shorthand: _SHORTHANDS[shorthand[0]], match[0])
        elif match := re.match(r"\((?:\?:)?", rest):
            groups.append(len(expanded))
            part, atom, is_empty = "(?:", "", True
        elif match := re.match(r"[|)]", rest):
            if is_empty or (match[0] == ")" and not groups):
                raise _unreadable(expression, place)
            part, is_empty = match[0], match[0] == "|"
            atom = "" if is_empty else expanded[groups.pop() :] + part
        elif match := _ATOM.match(rest):
            part = atom = f"[{_SHORTHANDS[match[0]]}]" if match[0] in _SHORTHANDS else match[0]
        else:
            raise _unreadable(expression, place)
        is_empty = is_empty and not atom
        expanded += part
        place += match.end()
    if groups or is_empty:
        raise ValueError("ends before its last group or alternative does")
    if repeated > _MOST_REPEATED:
        raise ValueError(f"expected at most {_MOST_REPEATED} repetitions, all multiplied")
    return _compiled(expanded)


def _compiled(expanded: str) -> str:
    try:
        compiled = re.compile(expanded)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    if compiled.match(""):
        raise ValueError("expected one that does not match nothing")
    return expanded


def _check_quantifier(quantifier: str, atom: str, place: int) -> int:
    """Returns the largest number in a quantifier, or 1."""
    if not atom:
        raise ValueError(f"has nothing to repeat at character {place + 1}")
    if re.compile(atom).match(""):
        raise ValueError(f"repeats what may be empty at character {place + 1}")  # the engines differ there
    numbers = [int(number) for number in re.findall("[0-9]+", quantifier)]
    if sorted(numbers) != numbers:
        raise ValueError(f"has a quantifier that ends before it begins at character {place + 1}")
    return max([1, *numbers])


def _unreadable(expression: str, place: int) -> ValueError:
    return ValueError(f"cannot be read at character {place + 1}: {expression[place : place + 10]!r}")
