"""What all rooms agree on: the ids of special tokens, the two sides of a pair, and the splits of a corpus."""

from typing import Literal, get_args

PADDING = 0
UNKNOWN = 1  # SentencePiece insists on such a piece; byte pieces see to it that no text ever needs it
BEGIN = 2
END = 3

Side = Literal["source", "target"]
SIDES: tuple[Side, ...] = get_args(Side)

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
