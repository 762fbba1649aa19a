"""Text normalisation in plain Python.

`nmt.text.graph_normalization` does the same in the TensorFlow graph. This module needs the standard library only.
"""

import re
import unicodedata

from nmt.text.boundaries import WORD_START

# The inside of a class of characters, for both regular expression engines, Python's and RE2: control characters other
# than white space, and invisible characters that only control the layout (soft hyphen, zero width space, word joiner,
# byte order mark, bidirectional embeddings and isolates, annotation marks). Every character that changes how a word
# reads is left out: the zero width joiner and non-joiner of Persian, Indic scripts and emoji, the left-to-right and
# right-to-left marks, variation selectors, and the tag characters of flags.
INVISIBLE = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb"
_INVISIBLE = re.compile(f"[{INVISIBLE}]")


def normalize(text: str) -> str:
    """Normalises a text: Unicode NFC, without invisible control characters, each run of white space as one space.

    White space is every character that Unicode defines as white space, among them tabs, line separators and no-break
    spaces, and also U+2581, the block by which SentencePiece writes a space. Normalising twice changes nothing more.

    Args:
        text: any text.

    Returns:
        The normalised text, without white space at its ends.

    Example:

    >>> normalize(" Cafe\\u0301\\x00\\t\\u2028 au  lait\\n")
    'Café au lait'
    """
    return compose(without_invisible(text))


def without_invisible(text: str) -> str:
    """Removes invisible control characters."""
    return _INVISIBLE.sub("", text)


def compose(text: str) -> str:
    """Composes characters to Unicode NFC, and reduces white space to single spaces inside the text."""
    return " ".join(unicodedata.normalize("NFC", text.replace(WORD_START, " ")).split())
