"""Which forms a language's plurals have, and for which numbers each stands."""

import functools
import gettext
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nmt.data.formats.units import Plural
from nmt.text.placeholders import pattern
from nmt.utils.errors import UserError

CATEGORIES = ("zero", "one", "two", "few", "many", "other")
_LARGEST = 1000  # numbers up to it show all forms that software needs
_SAMPLE = 3  # numbers of a form

_NUMBERED = re.compile(pattern(["braces", "printf"]) + "|#")

# Placeholders that are surely numbers, and those that may be one.
_SURELY = re.compile(r"%(?:\(\w+\)|\d+\$)?(?:hh|ll|[hljztq])?[diu]|%L?n\b|#(?!\w)|\{ ?(?:count|n|num\w*|number) ?\}")
_COUNTS = re.compile(rf"{_SURELY.pattern}|%\(\w+\)s|%(?:\d+\$)?[@s]|%L?1(?!\d|\$)|\{{ ?\w* ?\}}")

PluralRule = Callable[[int], int]


def gettext_rule(header: str) -> tuple[int, PluralRule] | None:
    """Reads the line `Plural-Forms` of a gettext catalogue.

    Args:
        header: its value, such as `nplurals=2; plural=(n != 1);`.

    Returns:
        The number of forms, and the function from a number to its form; None if it is not filled in or wrong.

    Example:

    >>> forms, rule = gettext_rule("nplurals=2; plural=(n != 1);")
    >>> forms, rule(1), rule(5)
    (2, 0, 1)
    """
    found = re.search(r"nplurals\s*=\s*(\d+)\s*;\s*plural\s*=\s*([^;]+)", header)
    if found is None or not 0 < int(found[1]) < 20:
        return None
    try:
        rule = gettext.c2py(found[2].strip())
        if all(0 <= rule(number) < int(found[1]) for number in range(_LARGEST)):
            return int(found[1]), rule
    except (ValueError, ZeroDivisionError, RecursionError):
        pass
    return None


def gettext_header(language: str) -> str:
    """Returns the value of `Plural-Forms` for a language.

    Args:
        language: its code.

    Raises:
        UserError: if Babel is not installed, or the language is not known.

    Example:

    >>> gettext_header("de")
    'nplurals=2; plural=(n != 1);'
    """
    _babel()
    from babel.messages.plurals import get_plural

    _locale(language)
    return str(get_plural(language.replace("-", "_")).plural_forms).rstrip(";") + ";"


@functools.lru_cache(maxsize=64)  # a file asks for each of its plurals
def category_numbers(language: str) -> Mapping[str, tuple[int, ...]]:
    """Returns the categories of a language's plurals by CLDR, and a few whole numbers of each.

    Args:
        language: its code.

    Returns:
        The categories in the order of `CATEGORIES`; those that only fractions and huge numbers take have no numbers.

    Raises:
        UserError: if Babel is not installed, or the language is not known.

    Example:

    >>> category_numbers("pl")
    {'one': (1,), 'few': (2, 3, 4), 'many': (5, 6, 7), 'other': ()}
    """
    rule = _locale(language).plural_form
    names = {*rule.rules, "other"}
    return {name: sample(rule, name) for name in CATEGORIES if name in names}


def integer_categories(language: str) -> list[str]:
    """Returns the categories that whole numbers of everyday size take, in the order of `CATEGORIES`.

    Example:

    >>> integer_categories("fr"), integer_categories("pl")
    (['one', 'other'], ['one', 'few', 'many'])
    """
    return [name for name, numbers in category_numbers(language).items() if numbers]


def ordinal_categories(language: str) -> list[str]:
    """Returns the categories of a language's ordinal numbers, in the order of `CATEGORIES`.

    Example:

    >>> ordinal_categories("en"), ordinal_categories("de")
    (['one', 'two', 'few', 'other'], ['other'])
    """
    rules = {*_locale(language).ordinal_form.rules, "other"}
    return [name for name in CATEGORIES if name in rules]


def sample(rule: Callable[[int], Any], form: Any) -> tuple[int, ...]:
    """Returns the first few numbers that take a form; zero comes last, because texts rarely name it as a number.

    Args:
        rule: function from a number to its form.
        form: the form.

    Example:

    >>> sample(lambda number: number % 2, 0)
    (2, 4, 6)
    """
    found = (number for number in [*range(1, _LARGEST), 0] if rule(number) == form)
    return tuple(itertools.islice(found, _SAMPLE))


def plural_forms(names: Sequence[str], numbers: Sequence[tuple[int, ...]]) -> list[Plural]:
    """Describes the forms of a plural whose source has one form for one thing, and one for any other number.

    Args:
        names: their names.
        numbers: for each, a few numbers that take it.

    Example:

    >>> [(form.category, form.ambiguous) for form in plural_forms(["0", "1", "2"], [(1,), (2, 3, 4), (5, 6, 7)])]
    [('0', False), ('1', True), ('2', True)]
    """
    several = sum(bool(of_form) and 1 not in of_form for of_form in numbers) > 1
    return [
        Plural(name, of_form, several and bool(of_form) and 1 not in of_form)
        for name, of_form in zip(names, numbers, strict=True)
    ]


def form_source(form: Plural, singular: str, other: str) -> tuple[str, Plural]:
    """Chooses the source of a form: the text for one thing, or that for any other number.

    A text for one thing that does not name its number, as "a minute", serves only a form that no other number takes:
    in Russian, 21 takes the form of 1.

    Args:
        form: the form.
        singular: the text for one thing.
        other: the text for any other number.

    Returns:
        The text, and the form, ambiguous if that text does not say that this form is meant.

    Example:

    >>> form_source(Plural("one", (1, 21, 31), False), "a minute", "%d minutes")
    ('%d minutes', Plural(category='one', numbers=(1, 21, 31), ambiguous=True))
    """
    if 1 not in form.numbers:
        return other, form
    if form.numbers == (1,) or len(_NUMBERED.findall(singular)) >= len(_NUMBERED.findall(other)):
        return singular, form
    return other, form._replace(ambiguous=True)


def count_place(text: str) -> re.Match[str] | None:
    """Finds the placeholder of the number on which the form of a text depends; None if there is not just one.

    Args:
        text: a form of a plural.

    Example:

    >>> count_place("%(count)d of %(name)s")[0], count_place("none")
    ('%(count)d', None)
    """
    places = list(_SURELY.finditer(text)) or list(_COUNTS.finditer(text))
    return places[0] if len(places) == 1 else None


def _babel() -> Any:
    try:
        import babel
    except ImportError:
        raise UserError("babel, which knows the plurals of languages, is not installed: pip install "
                        "'gru-nmt[documents]'") from None  # fmt: skip
    return babel


def _locale(language: str) -> Any:
    babel = _babel()
    try:
        return babel.Locale.parse(language.replace("_", "-"), sep="-")
    except (ValueError, babel.UnknownLocaleError):
        pass
    try:
        return babel.Locale.parse(language.replace("_", "-").split("-")[0])
    except (ValueError, babel.UnknownLocaleError):
        raise UserError(f"{language}: CLDR knows no such language, nor its plurals") from None
