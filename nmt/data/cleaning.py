"""Cleans a corpus: normalises every pair, and removes pairs that would harm training, counted by reason."""

import hashlib
import logging
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nmt.config import CleaningSettings
from nmt.data.memories import UNIT_REASONS
from nmt.data.raw_pair import RawPair
from nmt.text.normalization import compose, without_invisible

_LOG = logging.getLogger(__name__)

# The reasons to remove a pair, in the order of the checks, and their names in reports.
REASONS = {
    "invalid_utf8": "not valid UTF-8",
    "empty": "an empty side",
    "too_long": "too long",
    "length_ratio": "lengths too different",
    "copy": "copy of the source",
    "duplicate": "seen before",
}
# Those of a reader come to a report only when there are some.
_NAMES = REASONS | UNIT_REASONS
CHANGES = {"control_characters": "invisible characters removed", "not_nfc": "composed to Unicode NFC"}
EXAMPLES = 5


class Pair(NamedTuple):
    """A cleaned sentence and its translation."""

    source: str
    target: str


@dataclass
class CleaningReport:
    """How many pairs were read, kept, changed and removed, and where some of the removed ones stand.

    Attributes:
        read: the number of pairs that were read.
        kept: the number of pairs that were kept.
        dropped: the number of pairs removed for each of `REASONS`.
        changed: the number of pairs with each of `CHANGES`.
        examples: for each of `REASONS` the origins of the first few removed pairs.

    Example:

    >>> report = CleaningReport()
    >>> raw = [RawPair(b"Hello", b"Hallo", "train.tsv:1"), RawPair(b"", b"Leer", "train.tsv:2")]
    >>> list(clean(raw, CleaningSettings(), report, training=True))
    [Pair(source='Hello', target='Hallo')]
    >>> print("\\n".join(report.lines()))
    read                                    2
    kept                                    1    50.0%
    left out: an empty side                 1    50.0%  train.tsv:2
    """

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    changed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHANGES, 0))
    examples: dict[str, list[str]] = field(default_factory=lambda: {reason: [] for reason in REASONS})

    def drop(self, reason: str, origin: str) -> None:
        """Counts a pair that is removed, and records its origin if it is among the first few.

        Args:
            reason: one of `REASONS`, or of `nmt.data.memories.UNIT_REASONS`.
            origin: where the pair stands.
        """
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(origin)

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as plain values for JSON."""
        return {
            "read": self.read,
            "kept": self.kept,
            "dropped": dict(self.dropped),
            "changed": dict(self.changed),
            "examples": {reason: list(origins) for reason, origins in self.examples.items()},
        }

    def summary(self) -> str:
        """Returns the figures in one line, without those that are zero.

        Example:

        >>> CleaningReport(read=3, kept=2, dropped={"empty": 1}, examples={"empty": ["a.tsv:2"]}).summary()
        '3 pairs read, 2 kept; left out: 1 an empty side (a.tsv:2)'
        """
        reasons = [f"{n:,} {_NAMES[key]} ({self.examples[key][0]})" for key, n in self.dropped.items() if n]
        left_out = f"; left out: {', '.join(reasons)}" if reasons else ""
        return f"{self.read:,} pairs read, {self.kept:,} kept{left_out}"

    def log(self, name: str) -> None:
        """Logs the summary, as a warning if a tenth or more of the pairs are left out.

        Args:
            name: what was cleaned.
        """
        alarming = self.read and 10 * (self.read - self.kept) >= self.read
        _LOG.log(logging.WARNING if alarming else logging.INFO, "%s: %s", name, self.summary())

    def lines(self) -> list[str]:
        """Returns the report as lines of a table, without the figures that are zero."""
        rows = [("kept", self.kept, "")]
        rows += [(f"left out: {_NAMES[key]}", n, ", ".join(self.examples[key])) for key, n in self.dropped.items() if n]
        rows += [(f"changed: {CHANGES[key]}", n, "") for key, n in self.changed.items() if n]
        shares = [f"{name:<32} {n:>8} {n / max(self.read, 1):>8.1%}  {note}".rstrip() for name, n, note in rows]
        return [f"{'read':<32} {self.read:>8}", *shares]


def clean(
    pairs: Iterable[RawPair],
    settings: CleaningSettings,
    report: CleaningReport,
    *,
    training: bool,
    target_only: bool = False,
) -> Iterator[Pair]:
    """Normalises pairs, and removes those that would harm training.

    Pairs are read and yielded one by one. To find duplicates, 60 to 110 bytes stay in memory for each different pair.

    Args:
        pairs: the pairs, as `nmt.data.readers.read_split` reads them.
        settings: the limits.
        report: the report to update; it is complete when the iterator ends.
        training: bool. True applies every filter. False, for validation and test, removes only pairs that cannot be
            used, with an empty side or invalid UTF-8, so that scores stay comparable with published ones.
        target_only: bool, whether the target alone matters, as for a language model. The source becomes empty.

    Yields:
        The remaining pairs, in their order.
    """
    seen: set[int] = set()
    for raw in pairs:
        report.read += 1
        if raw.left_out:
            report.drop(raw.left_out, raw.origin)
            continue
        try:
            given = "" if target_only else raw.source.decode(), raw.target.decode()
        except UnicodeDecodeError:
            report.drop("invalid_utf8", raw.origin)
            continue
        pair = _normalize_pair(*given, report)
        reason = "" if (pair.source or target_only) and pair.target else "empty"
        if training and not reason:
            reason = _unfit(pair, settings, seen, target_only)
        if reason:
            report.drop(reason, raw.origin)
            continue
        report.kept += 1
        yield pair


def _normalize_pair(source: str, target: str, report: CleaningReport) -> Pair:
    """Normalises both sides as `nmt.text.normalization.normalize` does, and counts the changes."""
    visible = without_invisible(source), without_invisible(target)
    report.changed["control_characters"] += visible != (source, target)
    report.changed["not_nfc"] += not all(unicodedata.is_normalized("NFC", side) for side in visible)
    return Pair(compose(visible[0]), compose(visible[1]))


def _unfit(pair: Pair, settings: CleaningSettings, seen: set[int], target_only: bool) -> str:
    """Returns the reason to remove a pair from training, or `""`. Pairs that are kept are added to `seen`."""
    shorter, longer = sorted((len(pair.source), len(pair.target)))
    if longer > settings.max_characters:
        return "too_long"
    # The additional 20 characters allow for short pairs, such as "OK" and "Einverstanden".
    if not target_only and longer > settings.max_length_ratio * shorter + 20:
        return "length_ratio"
    if settings.drop_copies and pair.source == pair.target:
        return "copy"
    if settings.drop_duplicates:
        # Hashes save memory. Among 5 million pairs, two get the same hash by accident with a probability of about
        # 1 in 100,000. Python's `hash` differs from process to process. An integer of 60 bits takes 32 bytes, one of
        # 64 bits would take 48. Normalised text has no line feed, so it keeps ("a b", "c") and ("a", "b c") apart.
        digest = hashlib.blake2b(f"{pair.source}\n{pair.target}".encode(), digest_size=8).digest()
        key = int.from_bytes(digest, "big") >> 4
        if key in seen:
            return "duplicate"
        seen.add(key)
    return ""
