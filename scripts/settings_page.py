#!/usr/bin/env python3
"""Prints docs/settings.md, every setting with its type, bounds, default and reason, from the settings themselves:

python scripts/settings_page.py > docs/settings.md
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nmt.config import Config

INTRODUCTION = """# Settings

Every setting, made from [`nmt/config/`](../nmt/config) by `python scripts/settings_page.py`. A configuration is YAML
with these groups; what it leaves out has its default. `--set model.units=512` changes one setting of a command.
[`configs/`](../configs) has configurations to start from, and a run's `config.yaml` has all settings that it was
trained with. `nmt train FILES` chooses them for the corpus, the time and the machine.

A setting that does not exist, and a value out of its bounds, are errors that name what was expected.
"""
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
LARGE = 10_000_000  # bounds against slips of the keyboard are of no interest


def groups(annotation: Any) -> list[type[BaseModel]]:
    """Returns the groups of settings that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return [group for part in get_args(annotation) for group in groups(part)]
    return []


def type_of(annotation: Any) -> str:
    """Describes an annotation in a table."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is Annotated:
        return with_bounds(type_of(parts[0]), parts[1:])
    if origin is list:
        return f"list: {type_of(parts[0])}"
    if origin in (Union, UnionType):
        return " or ".join(type_of(part) for part in parts if part is not NoneType)
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def with_bounds(name: str, metadata: Any) -> str:
    """Adds the bounds of a number to its type."""
    bounds = [
        f"{sign} {value:,}"
        for one in metadata
        for key, sign in SIGNS.items()
        if (value := getattr(one, key, None)) is not None and value < LARGE
    ]
    inner = [with_bounds("", getattr(one, "metadata", ())) for one in metadata if isinstance(one, FieldInfo)]
    text = ", ".join([*bounds, *filter(None, inner)])
    return f"{name} {text}".strip()


def default_of(field: FieldInfo) -> str:
    """A setting's default as YAML has it."""
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def row(name: str, field: FieldInfo, shown: dict[Any, str]) -> str:
    """A line of a table; a group that the page has already is named by its place."""
    inside = groups(field.annotation)
    value = f"as `{shown[inside[0]]}`" if inside else with_bounds(type_of(field.annotation), field.metadata)
    reason = (field.description or "").replace("<", "&lt;")
    return f"| `{name}` | {value} | {default_of(field)} | {reason} |\n"


def sections(group: type[BaseModel], key: str, title: str, shown: dict[Any, str]) -> Iterator[str]:
    """Yields the section of a group, and then those of the groups in it.

    Args:
        group: the group.
        key: its place, such as `data.cleaning`.
        title: the heading.
        shown: the place of each group that the page has already; this one is added.
    """
    shown[group] = key
    first: dict[type[BaseModel], str] = {}
    for name, field in group.model_fields.items():
        for one in groups(field.annotation):
            if one not in shown:
                first.setdefault(one, name)
    yield f"\n{'##' if key.count('.') < 1 else '###'} {title}\n\n{inspect.getdoc(group)}\n"
    rows = [
        (name, field) for name, field in group.model_fields.items() if name != "kind" and name not in first.values()
    ]
    places = shown | {one: f"{key}.{name}".strip(".") for one, name in first.items()}
    if rows:
        yield "\n| setting | value | default | what it does |\n| --- | --- | --- | --- |\n"
    yield from (row(name, field, places) for name, field in rows)
    for one, name in first.items():
        below = f"{key}.{name}".strip(".")
        kind = one.model_fields.get("kind")
        of_kind = f" of kind `{get_args(kind.annotation)[0]}`" if kind else ""
        yield from sections(one, below, f"`{below}`{of_kind}", shown)


def page() -> str:
    """Returns the page."""
    lines = "".join([INTRODUCTION, *sections(Config, "", "The whole run", {})]).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
