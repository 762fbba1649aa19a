"""A pair as a reader gives it, before cleaning."""

from typing import NamedTuple


class RawPair(NamedTuple):
    """A sentence and its translation as bytes, and where they stand: `train.en:17` or `name/split:16`.

    `left_out` is the reason for which a reader leaves it out, which cleaning counts; empty if it does not.
    """

    source: bytes
    target: bytes
    origin: str
    left_out: str = ""
