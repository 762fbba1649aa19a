"""Writes the figures of README.md and other pages from the results.

    python benchmarks/figures.py

`figures.yaml` has the phrases of each page that hold figures, with what stands in their place: in braces, a file under
`results/` and the way to values in it, what is done with the values, and the format of the figure.

A part of the way is a key or a number; or `seed=1`, or `arm=plan&seed=1`, for the elements of a list that have these
values; or a pattern such as `*`, for all that have such keys; or several of these, with semicolons between them.
`ratio` divides the first half of the values by the second half, one by one, and `difference` subtracts it. The values
become one figure by `mean`, `median`, `min`, `max`, `sum` or `count`.

`given` lists what is no result, such as sizes of data, settings, and versions of other systems. A page has no other
figures.
"""

import json
import operator
import re
import statistics
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PHRASES = ROOT / "benchmarks" / "figures.yaml"
FIELD = re.compile(r"\{([^{}|]+)(?:\|([^{}|:]+))?:([^{}|:]+)\}")
FIGURE = r"\d[\d,]*(?:\.\d+)?(?:e-\d+)?"
REDUCERS: dict[str, Callable[[list[float]], float]] = {
    "mean": statistics.mean,
    "median": statistics.median,
    "min": min,
    "max": max,
    "sum": sum,
    "count": len,
}
PAIRS: dict[str, Callable[[float, float], float]] = {"ratio": operator.truediv, "difference": operator.sub}
CHANGES: dict[str, Callable[[float], float]] = {
    "gib": lambda mib: mib / 1024,
    "thousands": lambda value: value / 1e3,
    "millions": lambda value: value / 1e6,
    "billions": lambda value: value / 1e9,
    "milliseconds": lambda seconds: 1000 * seconds,
    "minutes": lambda seconds: seconds / 60,
    "percent": lambda share: 100 * share,
    "hundreds": lambda value: round(value, -2),
    "two_digits": lambda value: float(f"{value:.2g}"),
    "inverse": lambda value: 1 / value,
    "more": lambda times: times - 1,
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
    pages = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    return {page: {"figures": [], "given": [], **phrases} for page, phrases in pages.items()}


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
    values = values_at(way)
    for step in change.split() if change else []:
        values = changed(values, step)
    if len(values) != 1:
        raise ValueError(f"{way}: expected one value or {', '.join(REDUCERS)}, got {len(values)} values")
    return format(values[0], form).replace("e-0", "e-")


def changed(values: list[Any], step: str) -> list[Any]:
    """Makes one step of what is done with values."""
    if step in REDUCERS:
        return [REDUCERS[step](values)]
    if step in PAIRS:
        half = len(values) // 2
        return [PAIRS[step](one, other) for one, other in zip(values[:half], values[half:], strict=True)]
    return [CHANGES[step](value) for value in values]


def values_at(way: str) -> list[Any]:
    """Reads the values to which a way through a file of results leads."""
    name, *parts = way.split("/")
    found = [_load(name)]
    for part in parts:
        found = [one for key in part.split(";") for each in found for one in _inside(each, key)]
    return found


def _inside(found: Any, part: str) -> list[Any]:
    if "=" in part and isinstance(found, list):
        wanted = [one.split("=", 1) for one in part.split("&")]
        return [one for one in found if all(str(one[key]) == value for key, value in wanted)]
    if "*" in part:
        items = found.items() if isinstance(found, dict) else enumerate(found)
        return [one for name, one in items if fnmatchcase(str(name), part)]
    return [found[int(part) if isinstance(found, list) else part]]


@cache
def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
