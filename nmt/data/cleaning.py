"""What comes between the corpus and the tokenizer: every pair made uniform, the harmful ones left out and counted."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nmt.config import CleaningSettings
from nmt.data.readers import RawPair
from nmt.text.normalization import compose, without_invisible

# Why a pair was left out, in the order of the checks, and how a person reads it.
REASONS = {
    "invalid_utf8": "not valid UTF-8",
    "empty": "an empty side",
    "too_long": "too long",
    "length_ratio": "lengths too different",
    "copy": "copy of the source",
    "duplicate": "seen before",
}
CHANGES = {"control_characters": "invisible characters removed", "not_nfc": "composed to Unicode NFC"}
EXAMPLES = 5


class Pair(NamedTuple):
    """A cleaned sentence and its translation."""

    source: str
    target: str


@dataclass
class CleaningReport:
    """How many pairs were read, kept, changed and left out, and where to find some of those left out.

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
        """Counts a pair that is left out for one of `REASONS` and remembers the origins of the first few."""
        self.dropped[reason] += 1
        if len(self.examples[reason]) < EXAMPLES:
            self.examples[reason].append(origin)

    def as_dict(self) -> dict[str, Any]:
        """Returns all figures as plain values for JSON."""
        return {
            "read": self.read,
            "kept": self.kept,
            "dropped": dict(self.dropped),
            "changed": dict(self.changed),
            "examples": {reason: list(origins) for reason, origins in self.examples.items()},
        }

    def lines(self) -> list[str]:
        """Returns a table for people: figures that are zero are not shown."""
        rows = [("kept", self.kept, "")]
        rows += [
            (f"left out: {REASONS[key]}", n, ", ".join(self.examples[key])) for key, n in self.dropped.items() if n
        ]
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
    """Normalises pairs and leaves out those that would teach nothing or harm.

    Streams: pairs are taken and given one by one. To know duplicates it keeps 60 to 110 bytes for each distinct pair.

    Args:
        pairs: from `nmt.data.readers.read_split`.
        settings: the limits.
        report: is counted up while the pairs go through; complete when they are exhausted.
        training: True applies every filter. False, for validation and test, leaves out only what cannot be used at
            all, an empty side or invalid UTF-8, so that scores stay comparable with other people's.
        target_only: whether the target is all that counts, as for a language model; the source becomes empty.

    Yields:
        The pairs that stay, in their order.
    """
    seen: set[int] = set()
    for raw in pairs:
        report.read += 1
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
    """As `nmt.text.normalization.normalize` for both sides, but counts what had to be changed."""
    visible = without_invisible(source), without_invisible(target)
    report.changed["control_characters"] += visible != (source, target)
    report.changed["not_nfc"] += not all(unicodedata.is_normalized("NFC", side) for side in visible)
    return Pair(compose(visible[0]), compose(visible[1]))


def _unfit(pair: Pair, settings: CleaningSettings, seen: set[int], target_only: bool) -> str:
    """Returns why a pair is not for training, or an empty string; only a pair that is fit joins `seen`."""
    shorter, longer = sorted((len(pair.source), len(pair.target)))
    if longer > settings.max_characters:
        return "too_long"
    # The 20 characters on top let short pairs differ freely: "OK" may well become "Einverstanden".
    if not target_only and longer > settings.max_length_ratio * shorter + 20:
        return "length_ratio"
    if settings.drop_copies and pair.source == pair.target:
        return "copy"
    if settings.drop_duplicates:
        # A hash, for memory: 5 million pairs share one by accident with a probability of about 1 in 100,000. Python's
        # own hash would differ in every process. 60 of its 64 bits, because such an integer takes 32 bytes instead
        # of 48. A line end, which no normalised text has, keeps ("a b", "c") and ("a", "b c") apart.
        digest = hashlib.blake2b(f"{pair.source}\n{pair.target}".encode(), digest_size=8).digest()
        key = int.from_bytes(digest, "big") >> 4
        if key in seen:
            return "duplicate"
        seen.add(key)
    return ""
