"""What counts as a placeholder, by hand, and how they are numbered."""

import re

import pytest

from nmt.config import parse_config
from nmt.config.data import PLACEHOLDER_KINDS
from nmt.text.placeholders import CUT, KINDS, REPLACEMENT, SYMBOLS, mask, pattern, restore
from nmt.utils.errors import UserError

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
        ("Value %(value)r: %r, %q, %v; %Y-%m", ["%(value)r", "%r", "%q", "%v", "%Y", "%m"]),
        ("%#@files@ in %1$#@all folders@, %#x, %#@ %d", ["%#@files@", "%1$#@all folders@", "%#x", "%#@", "%d"]),
        ("100% sure, 5% discount, 3 %, %L1.", []),
        ("%\u200bs %1\u200b0\u2060$\u200ds %\ufeff%", ["%\u200bs", "%1\u200b0\u2060$\u200ds", "%\ufeff%"]),
    ],
    "tags": [
        ('Press <b>OK</b><br/> <a href="{url}">', ["<b>", "</b>", "<br/>", '<a href="{url}">']),
        ("1 < 2 and 3 > 2, <3, a<-b->c", []),
        ("<\u200bb>x<\u200b/b>", ["<\u200bb>", "<\u200b/b>"]),
    ],
    "urls": [
        (
            "See https://x.org/a?b=c&d=E.F#g. (http://y.de/\u00e4/b_(z)!)",
            ["https://x.org/a?b=c&d=E.F#g", "http://y.de/\u00e4/b_(z"],
        ),
        ("www.a.b/c, HTTP://Q.W/; 请看https://x.org。谢", ["www.a.b/c", "HTTP://Q.W/", "https://x.org"]),
        ("https://x.org/{id}/ <ftp://a/b> 'https://c'", ["https://x.org/{id}/", "ftp://a/b", "https://c"]),
        ("http:// example.org ://x www. x", []),
    ],
    "emails": [
        ("Ask me@x.org. <a.b+c@d-e.co.uk>, .z_@y.de", ["me@x.org", "a.b+c@d-e.co.uk", "z_@y.de"]),
        ("@name, a@b, 3 @ 4.00, a@.com", []),
    ],
    "identifiers": [
        ("Set object_id, MAX_SIZE__1 or Button_2 of a_b.c_d", ["object_id", "MAX_SIZE__1", "Button_2", "a_b", "c_d"]),
        ("_so_ __bold__ x_ ____ snake case", []),
    ],
    "emoji": [
        (
            "Hi 😀! 👩\u200d💻👍🏽 🇩🇪 3\ufe0f\u20e3🎉 ⭐\ufe0f",
            ["😀", "👩\u200d💻👍🏽", "🇩🇪", "3\ufe0f\u20e3🎉", "⭐\ufe0f"],
        ),
        ("3 # * ™ → :-)", []),
    ],
    r"/[A-Z]{2,}-\d+|§ ?(a|b)?/": [("AB-12, C-3, § a and §c", ["AB-12", "§ a", "§"])],
    "numbers": [
        ("1,000.5 of IPv6, 10%", ["1", "000", "5", "6", "10"]),
        ("no one, \u0663 or \u00bd", []),
    ],
}


@pytest.mark.parametrize(("kind", "text", "found"), [(kind, *row) for kind, rows in FOUND.items() for row in rows])
def test_each_kind_by_hand(kind: str, text: str, found: list[str]) -> None:
    assert re.findall(pattern([kind]), text) == found


def test_the_kinds_are_those_of_the_setting() -> None:
    assert list(PLACEHOLDER_KINDS) == list(KINDS)


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


@pytest.mark.parametrize("kind", ["brackets", "/^a/", "/a*/", "/(/", "//", "/" + "a" * 201 + "/"])
def test_what_is_no_kind_is_named_in_one_line(kind: str) -> None:
    corpus = {"kind": "tsv", "train": ["x"]}
    data = {"source_language": "en", "target_language": "de", "corpus": corpus}
    with pytest.raises(UserError, match=r"^x: tokenizer\.placeholders\.0: .*, got '.*'$"):
        parse_config({"data": data, "tokenizer": {"placeholders": [kind]}}, "x")
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        pattern([kind])
