"""How mkdocstrings reads this project's docstrings: their doctests have no fence, and layers have `Call arguments`."""

import re
from typing import Any

import griffe

# An example: its prompts, their continuations and what they print, up to an empty line that no prompt follows.
EXAMPLE = re.compile(r"^>>> .*\n?(?:.+\n?|\n(?=>>> ))*", re.MULTILINE)
CALL_ARGUMENTS = re.compile(r"^Call arguments:\n((?:(?: {4}.*)?\n)*(?: {4}.*)?)", re.MULTILINE)


class Examples(griffe.Extension):
    """Puts a fence around each example, and makes a list of the arguments of `call`.

    Without it, Markdown takes the prompts of an example for quotations.
    """

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Changes a docstring as it is read."""
        if obj.docstring and "```" not in obj.docstring.value:
            fenced = EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value)
            plain = re.sub(r"^Example:\n", "**Example**\n", fenced, flags=re.MULTILINE)
            obj.docstring.value = CALL_ARGUMENTS.sub(_as_list, plain)


def _as_list(found: re.Match[str]) -> str:
    lines = re.sub(r"^ {4}(\w+):", r"- `\1`:", found[1], flags=re.MULTILINE)
    return f"**Call arguments**\n\n{lines}"
