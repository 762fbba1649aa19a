"""JSON as its standard has it: NaN and infinity, which it lacks, become null."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

# What some programs take for the end of a line, and JSON allows in a string.
_LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}


def json_text(value: Any, indent: int | None = None) -> str:
    """Writes plain values as JSON.

    Args:
        value: nested dictionaries and lists of strings, numbers, booleans and None.
        indent: int or None; if given, the spaces of each level, on lines of their own.

    Example:

    >>> json_text({"perplexity": math.inf, "text": "Grüße"})
    '{"perplexity": null, "text": "Grüße"}'
    """
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.translate(_LINE_ENDS)  # these are only in strings, where an escape means the same


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
