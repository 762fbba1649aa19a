"""Writes the figures of README.md and other pages from the results.

    python benchmarks/figures.py

`figures.yaml` has the phrases of each page that hold figures, with what stands in their place: in braces, a file under
`results/` and the way to a value in it, what is done with the value, and its format. A part of the way such as
`seed=1` keeps the elements of a list that have this value; the values of all that are kept become one figure by `mean`,
`median`, `min`, `max` or `sum`. `given` lists what is no result, such as sizes of data, settings, and versions of other
systems; a page that has it has no other figures.
"""

import json
import re
import statistics
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PHRASES = ROOT / "benchmarks" / "figures.yaml"
FIELD = re.compile(r"\{([^{}|:]+)(?:\|([^{}:]+))?:([^{}]+)\}")
FIGURE = r"\d[\d,]*(?:\.\d+)?(?:e-\d+)?"
REDUCERS: dict[str, Callable[[list[float]], float]] = {
    "mean": statistics.mean,
    "median": statistics.median,
    "min": min,
    "max": max,
    "sum": sum,
}
CHANGES: dict[str, Callable[[float], float]] = {
    "gib": lambda mib: mib / 1024,
    "millions": lambda value: value / 1e6,
    "milliseconds": lambda seconds: 1000 * seconds,
    "minutes": lambda seconds: seconds / 60,
    "percent": lambda share: 100 * share,
    "hundreds": lambda value: round(value, -2),
    "cost": lambda speed: 1 / speed,
}


def main() -> None:
    """Runs the script."""
    for page, phrases in load_phrases().items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        for template in phrases["figures"]:
            text = with_figures(text, template)
        path.write_text(text, encoding="utf-8")


def load_phrases() -> dict[str, dict[str, list[str]]]:
    """Reads the phrases of each page: those with `figures`, and what is `given`."""
    return yaml.safe_load(PHRASES.read_text(encoding="utf-8"))


def with_figures(text: str, template: str) -> str:
    """Writes the figures of a phrase into the one place of a page where the phrase stands.

    Args:
        text: the page.
        template: the phrase, with fields in the places of the figures.

    Raises:
        ValueError: if the page has no such phrase, or several.
    """
    places = list(pattern_of(template).finditer(text))
    if len(places) != 1:
        raise ValueError(f"expected once, found {len(places)} times: {template}")
    for index, field in reversed(list(enumerate(FIELD.finditer(template), 1))):
        begin, end = places[0].span(index)
        text = text[:begin] + figure(*field.groups()) + text[end:]
    return text


def pattern_of(phrase: str) -> re.Pattern[str]:
    """Finds a phrase whatever its figures are, and wherever its lines break."""
    pieces = re.split(r"(\s+)", FIELD.sub("\0", phrase.strip()))
    pattern = "".join(r"\s+" if piece.isspace() else re.escape(piece) for piece in pieces)
    return re.compile(r"(?<![\w.,])" + pattern.replace(re.escape("\0"), f"({FIGURE})") + r"(?![\d])")


def figure(way: str, change: str | None, form: str) -> str:
    """Reads a figure from the results, and writes it as the page does."""
    values = list(values_at(way))
    steps = change.split() if change else []
    reducer = next((REDUCERS[step] for step in steps if step in REDUCERS), None)
    if reducer is None and len(values) != 1:
        raise ValueError(f"{way}: expected one value or {', '.join(REDUCERS)}, got {len(values)} values")
    value = reducer(values) if reducer else values[0]
    for step in steps:
        value = CHANGES[step](value) if step in CHANGES else value
    return format(value, form).replace("e-0", "e-")


def values_at(way: str) -> Iterator[Any]:
    """Yields the values to which a way through a file of results leads."""
    name, *parts = way.split("/")
    found: list[Any] = [_load(name)]
    for part in parts:
        key, equals, wanted = part.partition("=")
        if equals and all(isinstance(each, list) for each in found):
            found = [one for each in found for one in each if str(one[key]) == wanted]
        elif part == "*":
            found = [one for each in found for one in (each.values() if isinstance(each, dict) else each)]
        else:
            found = [each[int(part) if isinstance(each, list) else part] for each in found]
    yield from found


@cache
def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
