"""From a unit to the strings that a translator gets, and from their translations back to the unit's."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nmt.data.formats.plurals import category_numbers, count_place, ordinal_categories
from nmt.data.formats.units import Unit
from nmt.documents.protection import has_words
from nmt.text.accelerators import find_accelerator, put_accelerator
from nmt.text.icu import Form, has_choice, read_message
from nmt.text.layout import lay_out

HASH = r"(?<![\w&])#(?!\w)"  # the number in a plural of ICU


class Plan(NamedTuple):
    """What has to be translated for a unit.

    Attributes:
        strings: list of str, the strings to translate.
        build: function from their translations to the unit's; None if it cannot be made of them.
    """

    strings: list[str]
    build: Callable[[Sequence[str]], str | None]


def plan_unit(unit: Unit, language: str, numbers_masked: bool = False) -> Plan:
    """Returns what has to be translated for a unit.

    Args:
        unit: the unit.
        language: code of the target language.
        numbers_masked: bool, whether the translator does not see which number a text contains.

    Example:

    >>> plan = plan_unit(Unit("open", 1, "&Open\\n\\nClose", accelerators=True), "de")
    >>> plan.strings, plan.build(["Öffnen", "Schließen"])
    (['Open', 'Close'], '&Öffnen\\n\\nSchließen')
    """
    if unit.plural is not None and unit.plural.ambiguous:
        return _counted(unit.source, unit.plural.numbers, numbers_masked)
    if has_choice(unit.source):

        def categories(ordinal: bool) -> Sequence[str]:
            return ordinal_categories(language) if ordinal else list(category_numbers(language))

        message = read_message(unit.source, categories)
        if message is None:  # its words cannot be told from those of its choices
            return Plan([], lambda _: None)
        return _message(message.texts, message.forms, message.build, language, numbers_masked)
    accelerator = find_accelerator(unit.source) if unit.accelerators else find_accelerator("")
    text = accelerator.text if accelerator.mark else unit.source
    layout = lay_out(text)

    def whole(translations: Sequence[str]) -> str:
        translation = layout.join(translations)
        return unit.source if translation == text else put_accelerator(translation, accelerator)

    return Plan(layout.texts, whole)


def _message(
    texts: Sequence[str],
    forms: Sequence[Form | None],
    build: Callable[[Sequence[str | None]], str | None],
    language: str,
    numbers_masked: bool,
) -> Plan:
    """The plan of an ICU message: one of each of its texts."""
    numbers = category_numbers(language)
    several = sum(bool(of_form) and 1 not in of_form for of_form in numbers.values()) > 1
    plans = []
    for text, form in zip(texts, forms, strict=True):
        of_form = numbers.get(form[0], ()) if form and not form[1] else ()
        if several and of_form and 1 not in of_form:
            plans.append(_counted(text, of_form, numbers_masked))
        else:
            layout = lay_out(text)
            plans.append(Plan(layout.texts, layout.join))

    def whole(translations: Sequence[str]) -> str | None:
        remaining = iter(translations)
        return build([plan.build([next(remaining) for _ in plan.strings]) for plan in plans])

    return Plan([string for plan in plans for string in plan.strings], whole)


def _counted(text: str, numbers: Sequence[int], numbers_masked: bool) -> Plan:
    """The plan of a form that the source's form does not determine.

    Numbers that take the form are put in the place of the placeholder. If their translations are the same but for the
    number, that is the form. A translator that does not see numbers, and a text without one, cannot say which is meant.
    """
    place = count_place(text)
    if place is None or numbers_masked or not numbers:
        return Plan([], lambda _: None)
    layouts = [lay_out(text[: place.start()] + str(number) + text[place.end() :]) for number in numbers]

    def form(translations: Sequence[str]) -> str | None:
        remaining, made = iter(translations), []
        for number, layout in zip(numbers, layouts, strict=True):
            whole = layout.join([next(remaining) for _ in layout.texts])
            found = list(re.finditer(rf"(?<!\d){number}(?!\d)", whole))
            if len(found) == 1:
                made.append(whole[: found[0].start()] + place[0] + whole[found[0].end() :])
        best = max(made, key=made.count, default=None)
        needed = min(2, len(numbers))
        return best if best is not None and made.count(best) >= needed else None

    return Plan([string for layout in layouts for string in layout.texts], form)


def is_text(string: str) -> bool:
    """Returns whether a string has words; others are the same in every language."""
    return has_words(string, HASH)
