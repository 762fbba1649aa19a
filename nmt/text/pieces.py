"""The pieces of a SentencePiece model's file, read without SentencePiece.

SentencePiece ends the process where a piece is empty or begins with a zero byte, so a damaged file has to be refused
before it is loaded. This module needs the standard library only.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # types of a field, in the wire format of protocol buffers
_PIECES = 1  # the number of the field of a piece in a model
_TEXT = 1  # ... and of the text in a piece


def read_pieces(model: bytes) -> list[str]:
    """Reads the texts of all pieces, in the order of their ids.

    Args:
        model: a serialized model.

    Raises:
        ValueError: if it is none, or a piece is empty, has a zero byte, or is not UTF-8.

    Example:

    >>> read_pieces(bytes([10, 3, 10, 1, 97, 10, 3, 10, 1, 98]))
    ['a', 'b']
    """
    pieces = []
    for number, piece in _fields(model):
        if number == _PIECES:
            text = b"".join(value for inner, value in _fields(piece) if inner == _TEXT)
            if not text or b"\0" in text:
                raise ValueError("a piece is empty, or has a zero byte, which ends it for SentencePiece")
            pieces.append(text.decode())
    return pieces


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each field of a message; no bytes if its value is a number."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind, size = key & 7, 0
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field has the type {kind}")
        if place + size > len(message):
            raise ValueError("the last field is cut off")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and the place after it."""
    value = 0
    for index in range(10):
        if place + index >= len(message):
            raise ValueError("the last number is cut off")
        value |= (message[place + index] & 127) << 7 * index
        if message[place + index] < 128:
            return value, place + index + 1
    raise ValueError("a number is longer than ten bytes")
