"""Text made uniform, by the standard library alone: what runs on a small device has no other."""

import re
import unicodedata

# Control characters that are not white space, and invisible characters that only steer the layout: soft hyphen, zero
# width space, word joiner, byte order mark, bidirectional embeddings and isolates, annotation marks. Everything that
# changes how a word reads stays: the zero width (non-)joiners of Persian, Indic scripts and emoji, the left-to-right
# and right-to-left marks, variation selectors, and the tag characters of flags.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]"
)


def normalize(text: str) -> str:
    """Makes a text uniform: Unicode NFC, no invisible control characters, one space for any run of white space.

    Normalising twice changes nothing more. White space is whatever Unicode calls so: tabs, line and paragraph
    separators and no-break spaces too.

    Args:
        text: any text.

    Returns:
        The text, without white space at its ends.

    Example:

    >>> normalize(" Cafe\\u0301\\x00\\t\\u2028 au  lait\\n")
    'Café au lait'
    """
    return compose(without_invisible(text))


def without_invisible(text: str) -> str:
    """Leaves out invisible control characters."""
    return _INVISIBLE.sub("", text)


def compose(text: str) -> str:
    """Composes to Unicode NFC, with one space for any run of white space and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())
