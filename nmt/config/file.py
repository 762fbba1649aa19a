"""Reads YAML files and overrides as nested dictionaries, and explains what is wrong with the settings in them."""

import difflib
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError

from nmt.utils.errors import UserError

_LARGEST_FILE = 2**20  # characters
_MOST_NODES = 10_000  # in a file once its aliases are written out


class _Loader(yaml.SafeLoader):
    """YAML whose only booleans are true and false, as in version 1.2: `no` is the code of Norwegian.

    pydantic reads `yes`, `no`, `on` and `off` as booleans where a setting is one. A key may stand once in a mapping.
    """

    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Reads a value, unless there are too many."""
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            raise _too_many(self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def get_single_data(self) -> Any:
        """Reads the file, unless its aliases make too much of it."""
        node = self.get_single_node()
        if node is None:
            return None
        _expanded_size(node, {})
        return self.construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Reads a mapping, after checking that no key stands twice."""
        keys: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    raise ConstructorError(None, None, f"found the key `{key.value}` twice", key.start_mark)
                keys.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


_BOOLEAN = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _expanded_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Returns the number of nodes below a node, each alias counted as what it stands for; raises if it is too large."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise ConstructorError(None, None, "found an alias within what it stands for", node.start_mark)
        return sizes[id(node)]
    sizes[id(node)] = 0  # being counted
    children = node.value if isinstance(node, yaml.CollectionNode) else []
    flat_children = [child for item in children for child in (item if isinstance(item, tuple) else (item,))]
    size = 1 + sum(_expanded_size(child, sizes) for child in flat_children)
    if size > _MOST_NODES:
        raise _too_many(node.start_mark)
    sizes[id(node)] = size
    return size


def _too_many(mark: yaml.Mark) -> ConstructorError:
    return ConstructorError(None, None, f"expected at most {_MOST_NODES:,} values once aliases are written out", mark)


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
        with open(path, encoding="utf-8") as file:
            text = file.read(_LARGEST_FILE + 1)
        if len(text) > _LARGEST_FILE:
            raise UserError(f"{path}: expected settings of at most {_LARGEST_FILE:,} characters, got more")
        tree = yaml.load(text, _Loader)  # nosec B506
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 (byte {error.start})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-45
        raise UserError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected settings as `key: value`, got {type(tree).__name__}")
    apply_overrides(tree, overrides)
    return tree


def apply_overrides(tree: dict[str, Any], overrides: Sequence[str]) -> None:
    """Changes settings; they are not checked yet.

    Args:
        tree: the settings as nested dictionaries, which are changed.
        overrides: settings to change, such as `model.units=512`; the value is read as YAML.

    Raises:
        UserError: if an override is malformed.

    Example:

    >>> tree = {"model": {"units": 8}}
    >>> apply_overrides(tree, ["model.units=16", "seed=2"])
    >>> tree
    {'model': {'units': 16}, 'seed': 2}
    """
    for override in overrides:
        _override(tree, override)


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
        tree[last] = yaml.load(text, _Loader)  # nosec B506
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
