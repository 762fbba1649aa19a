"""What counts as a placeholder, by hand, and how they are numbered."""

import re
from typing import get_args

import pytest

from nmt.config import TokenizerSettings
from nmt.text.placeholders import CUT, KINDS, REPLACEMENT, SYMBOLS, mask, pattern, restore

FOUND = {
    "braces": [
        ("Add {name} to {0:.2f}{}", ["{name}", "{0:.2f}", "{}"]),
        ("${time} or %{count} or { $user }", ["${time}", "%{count}", "{ $user }"]),
        ("{{ states('a b') }} and {{value}}", ["{{ states('a b') }}", "{{value}}"]),
        ("{count, plural, one {# day} other {# days}}", []),
        ("{ open or close }, 100%", []),
    ],
    "printf": [
        ("%s is %(count)d of %1$s, %.2f%%", ["%s", "%(count)d", "%1$s", "%.2f", "%%"]),
        ("%-5ld %@ %*d %dh", ["%-5ld", "%@", "%*d", "%d"]),
        ("100% sure, 5% discount, 3 %.", []),
    ],
    "tags": [
        ('Press <b>OK</b><br/> <a href="{url}">', ["<b>", "</b>", "<br/>", '<a href="{url}">']),
        ("1 < 2 and 3 > 2, <3, a<-b->c", []),
    ],
    "numbers": [
        ("1,000.5 of IPv6, 10%", ["1", "000", "5", "6", "10"]),
        ("no one, \u0663 or \u00bd", []),
    ],
}


@pytest.mark.parametrize(("kind", "text", "found"), [(kind, *row) for kind, rows in FOUND.items() for row in rows])
def test_each_kind_by_hand(kind: str, text: str, found: list[str]) -> None:
    assert re.findall(pattern([kind]), text) == found


def test_the_kinds_are_those_of_the_setting() -> None:
    of_setting = TokenizerSettings.model_fields["placeholders"].annotation
    assert list(get_args(get_args(of_setting)[0])) == list(KINDS)


def test_no_kind_matches_nothing() -> None:
    assert re.search(pattern(list(KINDS)), "") is None


def test_beyond_the_tenth_they_stay() -> None:
    names = [f"{{n{number}}}" for number in range(12)]
    masked, placeholders = mask(" ".join([*names, *names]), ["braces"])
    assert masked == " ".join([*SYMBOLS, *names[10:]] * 2)
    assert placeholders == names[:10]
    assert restore(masked, placeholders) == " ".join([*names, *names])


def test_the_symbols_own_characters_are_no_text() -> None:
    masked, placeholders = mask(f"a{SYMBOLS[0]}{CUT}{{b}}", ["braces"])
    assert masked == f"a{REPLACEMENT * 2}{SYMBOLS[0]}"
    assert placeholders[:2] == ["{b}", ""]
    assert restore(f"{CUT} x {SYMBOLS[1]}{SYMBOLS[0]}", placeholders) == f"{REPLACEMENT} x{{b}}"


def test_of_no_kinds_nothing_happens() -> None:
    text = f"{{a}} %s <b> {SYMBOLS[0]}{CUT}"
    assert mask(text, []) == (text, [])
    assert restore(text, []) == text
