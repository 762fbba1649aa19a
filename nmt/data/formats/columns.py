"""Which columns of a table hold the two languages, by the names in its first row."""

from collections.abc import Sequence
from typing import Any

from nmt.data.formats.units import Languages
from nmt.text.languages import is_language, serves
from nmt.utils.errors import UserError

# How tables name their columns, other than by the languages' codes.
LANGUAGE_NAMES = {
    "arabic": "ar", "czech": "cs", "danish": "da", "german": "de", "greek": "el", "english": "en", "spanish": "es",
    "finnish": "fi", "french": "fr", "hebrew": "he", "hindi": "hi", "hungarian": "hu", "italian": "it", "dutch": "nl",
    "norwegian": "no", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "swedish": "sv",
    "turkish": "tr", "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
_BOTH = {"text", "sentence", "phrase"}
SIDE_NAMES = (
    {"source", "src", "source_text", "source sentence", "input", "original", "sentence1", "text1", *_BOTH},
    {"target", "tgt", "trg", "target_text", "target sentence", "output", "translation", "reference", "sentence2",
     "text2", *_BOTH},
)  # fmt: skip
_KEYS = {"id", "key", "keys", "name", "identifier", "string id", "developer_comments", "location"}


class Columns:
    """The columns of a table.

    Args:
        names: the cells of the first row.
        languages: the languages that are wanted.
        place: where the row stands, for errors.

    Attributes:
        source: int, the number of the column with the source language, from 0.
        target: int, that of the target language.
        key: int or None, that of a column which names the rows.

    Raises:
        UserError: if the first row does not name the columns.

    Example:

    >>> columns = Columns(["key", "English", "de-DE"], Languages("en", "de"), "my.csv:1")
    >>> columns.source, columns.target, columns.key
    (1, 2, 0)
    """

    def __init__(self, names: Sequence[str], languages: Languages, place: str) -> None:
        bare = [name.strip().lower() for name in names]
        found: list[Any] = []
        for side, language in enumerate(languages):
            ranks = [serves(code, language) if is_language(code) else 0 for code in map(_code, names)]
            best = max(ranks, default=0)
            columns = [i for i, rank in enumerate(ranks) if best and rank == best]
            columns = columns or [i for i, name in enumerate(bare) if name in SIDE_NAMES[side] and i not in found]
            found.append(columns[0] if columns else None)
        if None in found or found[0] == found[1]:
            shown = ", ".join(names)[:100]
            raise UserError(
                f"{place}: expected a first row that names the columns, such as {languages.source!r} or 'source', and "
                f"{languages.target!r} or 'target', got {shown!r}"
            )
        self.source, self.target = found
        self.key = next((i for i, name in enumerate(bare) if name in _KEYS and i not in found), None)


def _code(name: str) -> str:
    """The code of a language in the name of a column, such as `German (de-DE)`."""
    bare = name.strip()
    inside = bare.rpartition("(")[2].rstrip(")") if bare.endswith(")") else bare
    return LANGUAGE_NAMES.get(inside.lower(), inside)
