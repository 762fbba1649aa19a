"""How mkdocstrings reads this project's docstrings: their examples are doctests without a fence around them."""

import re
from typing import Any

import griffe

# An example: its prompts, their continuations and what they print, up to an empty line that no prompt follows.
EXAMPLE = re.compile(r"^>>> .*\n?(?:.+\n?|\n(?=>>> ))*", re.MULTILINE)


class Examples(griffe.Extension):
    """Puts a fence around each example, so that Markdown does not take its prompts for quotations."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Changes a docstring as it is read."""
        if obj.docstring and "```" not in obj.docstring.value:
            fenced = EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value)
            obj.docstring.value = re.sub(r"^Example:\n", "**Example**\n", fenced, flags=re.MULTILINE)
