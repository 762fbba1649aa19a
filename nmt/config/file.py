"""Reads YAML files and overrides as nested dictionaries, and explains what is wrong with the settings in them."""

import difflib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from nmt.utils.errors import UserError


def read_tree(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Reads a YAML file and applies overrides; the settings are not checked yet.

    Args:
        path: a YAML file.
        overrides: settings to change, such as `model.units=512`; the value is read as YAML.

    Returns:
        The settings as nested dictionaries.

    Raises:
        UserError: if the file cannot be read or contains no settings, or an override is malformed.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 (byte {error.start})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-45
        raise UserError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected settings as `key: value`, got {type(tree).__name__}")
    for override in overrides:
        _override(tree, override)
    return tree


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Returns in one line what is wrong with settings, as an error of pydantic for the class `root`."""
    # A misspelt key is unknown, and the right one is missing then: the unknown one comes first.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    return "; ".join(_explain(dict(problem), root) for problem in problems)


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the values of nested settings by their full keys.

    Example:

    >>> flat({"model": {"units": 8}, "seed": 1})
    {'model.units': 8, 'seed': 1}
    """
    values: dict[str, Any] = {}
    for key, value in tree.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return values


def _override(tree: dict[str, Any], override: str) -> None:
    """Changes one setting in a tree."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"override {override!r}: expected key=value, such as model.units=512")
    *path, last = key.split(".")
    for name in path:
        if tree.get(name) is None:
            tree[name] = {}
        tree = tree[name]
        if not isinstance(tree, dict):
            raise UserError(f"override {override!r}: {name} is a value, not a group of settings")
    try:
        tree[last] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"override {override!r}: the value is not valid YAML") from error


def _explain(problem: dict[str, Any], root: type[BaseModel]) -> str:
    # pydantic inserts the kind of the corpus after `corpus`, which is no level of the file.
    location = [str(part) for before, part in pairwise(("", *problem["loc"])) if before != "corpus"]
    key = ".".join(location) or "settings"
    if problem["type"] == "extra_forbidden":
        known = _known_names(problem["loc"][:-1], root)
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.0)
        return f"{key}: unknown setting; did you mean `{near[0]}`?" if near else f"{key}: unknown setting"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] == "value_error" and not location:  # groups that do not agree: the message names them
        return message
    came = problem.get("input")
    return f"{key}: {message}" + ("" if isinstance(came, Mapping | BaseModel) else f", got {came!r}")


def _known_names(location: Sequence[Any], root: type[BaseModel]) -> list[str]:
    """Returns the names of the settings in the group at `location`."""
    group, members = root, [root]
    for before, part in pairwise(("", *location)):
        if before == "corpus":  # pydantic inserts the kind of the corpus here
            group = next(model for model in members if part in get_args(model.model_fields["kind"].annotation))
            continue
        if part not in group.model_fields:
            break
        annotation = group.model_fields[part].annotation
        members = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if members:
            group = members[0]
    return list(group.model_fields)
