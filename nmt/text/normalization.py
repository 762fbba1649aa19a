"""Text normalisation in plain Python.

`nmt.text.graph_normalization` does the same in the TensorFlow graph. This module needs the standard library only.
"""

import re
import unicodedata

from nmt.text.boundaries import WORD_START
from nmt.text.characters import character_class

# All that follows is the inside of classes of characters for both regular expression engines, Python's and RE2.

# What Python's `str.split` takes for white space, and the block by which SentencePiece writes a space. RE2's own class
# of white space has ASCII alone.
SPACES = f"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000{WORD_START}"

# Control characters other than white space, and what Unicode ignores by default where it cannot be displayed: soft
# hyphen, zero width space, directional marks, variation selectors, fillers, annotation marks. Format characters that
# are seen, such as the signs around Arabic numbers, are left out.
INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e001f\U000e0080-\U000e0fff"
)
# Invisible characters by which some scripts spell, and which mean nothing elsewhere: joiners, the selectors and the
# vowel separator of Mongolian, and the tags of flags.
_JOINERS, _MONGOLIAN_SELECTORS, _TAGS = "\u200c\u200d", "\u180b-\u180f", "\U000e0020-\U000e007f"
_MONGOLIAN = "\u1820-\u18aa"
SPELLING = f"{_JOINERS}{_MONGOLIAN_SELECTORS}{_TAGS}"
# Scripts whose letters join or form clusters: Arabic, Syriac, N'Ko, Mandaic, those of India and South East Asia, and
# historic ones of the same kinds.
_JOINING = (
    f"\u0600-\u07ff\u0840-\u0dff\u1000-\u109f\u1780-\u17ff{_MONGOLIAN}\u1a20-\u1c4f\u1cd0-\u1cff\ua800-\ua8ff"
    "\ua930-\ua9df\uaa00-\uaa7f\uabc0-\uabff\ufb50-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010fff\U00011000-\U00011fff\U0001e900-\U0001e95f"
)
EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff"


# Characters that NFC may put in another order; as ranges they keep the class short.
_COMBINING = character_class(code for code in range(0x300, 0x1E94B) if unicodedata.combining(chr(code)))

# What spells is matched as the first group, and anything else of these characters without it. Marks between a letter
# and its joiner do not count, because their order may change.
NEEDLESS = (
    f"([{_JOINING}][{_COMBINING}]*[{_JOINERS}]|[{_MONGOLIAN}][{_COMBINING}]*[{_MONGOLIAN_SELECTORS}]"
    f"|[{EMOJI}](?:\u200d[{EMOJI}])+|\U0001f3f4[{_TAGS}]+)"
    f"|[{SPELLING}]"
)
_INVISIBLE, _NEEDLESS = re.compile(f"[{INVISIBLE}]"), re.compile(NEEDLESS)
_SPELLING = re.compile(f"[{SPELLING}]")


def normalize(text: str) -> str:
    """Normalises a text: Unicode NFC, without invisible characters, each run of white space as one space.

    White space is every character that Unicode defines as white space, among them tabs, line separators and no-break
    spaces, and also U+2581, the block by which SentencePiece writes a space. Invisible are control characters and what
    only affects the layout, such as directional marks and variation selectors; joiners stay where letters or emoji
    join. Normalising twice changes nothing more.

    Args:
        text: any text.

    Returns:
        The normalised text, without white space at its ends.

    Example:

    >>> normalize(" Cafe\\u0301\\x00\\t\\u2028 au  \\u200elait\\n")
    'Café au lait'
    """
    return compose(without_invisible(text))


def without_invisible(text: str) -> str:
    """Removes invisible characters."""
    text = _INVISIBLE.sub("", text)
    return _NEEDLESS.sub(r"\1", text) if _SPELLING.search(text) else text  # the search alone is much faster


def compose(text: str) -> str:
    """Composes characters to Unicode NFC, and reduces white space to single spaces inside the text."""
    return " ".join(unicodedata.normalize("NFC", text.replace(WORD_START, " ")).split())
