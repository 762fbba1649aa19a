"""Units: texts of a file, with their translations, their state, and the edits that put a translation there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

# What is known of a unit's translation. The order is that of reports.
State = Literal["translated", "untranslated", "fuzzy", "machine", "locked", "obsolete"]


class Languages(NamedTuple):
    """Codes of the two languages, and whether texts may be read from the file in the opposite direction too."""

    source: str
    target: str


class Edit(NamedTuple):
    """A change of a file: what stands from `start` to `end` is replaced.

    Attributes:
        start: int, in characters of a text file, in bytes of an XML file or of a member of an archive.
        end: int, as `start`, which it equals where something is inserted.
        text: str, what stands there instead, not encoded yet.
        member: str, the name of the file inside an archive; empty for other files.
    """

    start: int
    end: int
    text: str
    member: str = ""


class Plural(NamedTuple):
    """The form of a plural that a unit is.

    Attributes:
        category: str, the category of CLDR (`one`, `few`, ...) or the number of the form in gettext.
        numbers: tuple of int, a few numbers that take this form; empty if only fractions do.
        ambiguous: bool, whether the source's form stands for several forms of the target, so that it alone does not
            say which one is meant.
    """

    category: str
    numbers: tuple[int, ...]
    ambiguous: bool


@dataclass(frozen=True)
class Unit:
    """A text, its translations, and how to put a translation into the file.

    Attributes:
        id: str, the name by which people know it: its key, its `id`, or the beginning of its text.
        line: int, where it begins in the file.
        source: str, the text, its inline elements as tags such as `<g1>`, `</g1>` and `<x2/>`.
        targets: tuple of str, its translations, their inline elements as the same tags; none if there are none.
        state: see `State`.
        tags: tuple of str, the tags of `source` that stand for inline elements.
        plural: the form of a plural that it is; None if it is none.
        edits: function from a translation to the changes of the file that put it there, or, for None, that leave the
            place of a form that cannot be made; None where nothing can be put.
        accelerators: bool, whether `&` or `_` before a letter of the text stands for a key.
        code: function from one of `tags` to what the file has in its place; None if it is not known.
    """

    id: str
    line: int
    source: str
    targets: tuple[str, ...] = ()
    state: State = "untranslated"
    tags: tuple[str, ...] = ()
    plural: Plural | None = None
    edits: Callable[[str | None], Sequence[Edit]] | None = None
    accelerators: bool = False
    code: Callable[[str], str] | None = None
