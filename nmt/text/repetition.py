"""What a translation may repeat, given what its source repeats, in plain Python.

`nmt.decoding.constraints.RepetitionConstraint` has the same rules in the graph, and explains them. This module needs
the standard library only.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

NGRAM_SIZE, LONGEST_BLOCK, WINDOW = 4, 16, 128


class RepetitionLimit:
    """Says which tokens would make a translation repeat what its source does not.

    Args:
        source: tokens or words of the source, without an end token.

    Example:

    >>> RepetitionLimit([7, 8]).forbidden([5, 6, 5, 6])
    {5}
    >>> RepetitionLimit([7, 8, 7, 8, 7]).forbidden([5, 6, 5, 6])
    set()
    """

    def __init__(self, source: Sequence[Hashable]) -> None:
        longest = [(_longest_run(source, block) + block - 1) // block for block in range(1, LONGEST_BLOCK + 1)]
        self.times = max(2, max(longest) + 1)
        self.count = max([1, *Counter(source).values()])

    def forbidden(self, done: Sequence[Any]) -> set[Any]:
        """Returns the tokens that may not come next.

        Args:
            done: tokens or words of the translation so far.
        """
        done = list(done)
        found = set()
        for block in range(1, min(LONGEST_BLOCK, len(done)) + 1):
            if _last_run(done, block) >= block * (self.times - 1):
                found.add(done[-block])
        recent, n = done[-WINDOW:], NGRAM_SIZE
        if len(recent) >= n:
            ends = [recent[i + n - 1] for i in range(len(recent) - n + 1) if recent[i : i + n - 1] == recent[1 - n :]]
            found |= {token for token, times in Counter(ends).items() if times > self.count}
        return found


def _last_run(tokens: Sequence[Hashable], block: int) -> int:
    """How many of the last tokens in a row equal the one `block` before them."""
    run = 0
    while run + block < len(tokens) and tokens[-1 - run] == tokens[-1 - run - block]:
        run += 1
    return run


def _longest_run(tokens: Sequence[Hashable], block: int) -> int:
    return max((_last_run(tokens[:end], block) for end in range(1, len(tokens) + 1)), default=0)
