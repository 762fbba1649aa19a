"""Arguments that are texts: a single string is no list of its letters."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Text = TypeVar("Text", str, bytes)


def check_texts(texts: Iterable[Text], name: str, kind: type[Text]) -> Iterator[Text]:
    """Makes sure that an argument is an iterable of texts.

    Args:
        texts: the argument; whether it is an iterable of anything else is found out at once.
        name: the argument's name.
        kind: `str` or `bytes`, the type of each text.

    Returns:
        An iterator over the texts, which checks each when it comes to it.

    Raises:
        TypeError: naming the argument and, for a text, its number.

    Example:

    >>> list(check_texts(["one", "two"], "lines", str))
    ['one', 'two']
    >>> check_texts("one", "lines", str)
    Traceback (most recent call last):
    TypeError: `lines`: expected an iterable of str, got str
    """
    if isinstance(texts, str | bytes | bytearray) or not isinstance(texts, Iterable):
        raise TypeError(f"`{name}`: expected an iterable of {kind.__name__}, got {type(texts).__name__}")
    return _checked(texts, name, kind)


def _checked(texts: Iterable[Text], name: str, kind: type[Text]) -> Iterator[Text]:
    for index, text in enumerate(texts):
        if not isinstance(text, kind):
            raise TypeError(f"`{name}`: expected {kind.__name__}, got {type(text).__name__} for text {index}")
        yield text
