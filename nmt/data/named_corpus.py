"""The settings of a corpus that is given by names alone: files, or a dataset of TensorFlow Datasets."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.data.memories import is_memory
from nmt.data.readers import dataset_splits
from nmt.text.languages import is_language
from nmt.utils.errors import UserError

_TABLE = re.compile(r"\.tsv(\.gz)?$", re.IGNORECASE)
_FILE = re.compile(r"\.\w{1,8}$|/")


def corpus_settings(names: Sequence[str], source: str | None = None, target: str | None = None) -> dict[str, Any]:
    """Finds out what corpus is meant by some names.

    Args:
        names: two text files whose lines translate each other, or several such pairs, each source file followed by its
            target file; or tab-separated files; or files of translators, see `nmt.data.memories`; or the name of one
            dataset.
        source: code of the source language; None to take it from the names.
        target: code of the target language; None to take it from the names.

    Returns:
        The settings of the group `data`.

    Raises:
        UserError: if the names are no corpus, or the languages are not in them.

    Example:

    >>> corpus_settings(["my.en.gz", "my.de.gz"])["source_language"]
    'en'
    >>> corpus_settings(["news.pt-en.tsv"])["target_language"]
    'en'
    """
    names = [str(name) for name in names]
    corpus: dict[str, Any]
    if all(_TABLE.search(name) for name in names):
        corpus = {"kind": "tsv", "train": [_absolute(name) for name in names]}
        found = _two_languages(names[0])
    elif all(map(is_memory, names)):
        corpus = {"kind": "memory", "train": [*map(_absolute, names)]}
        found = _two_languages(names[0]) or (_differing_languages(*names) if len(names) == 2 else None)
    elif len(names) == 1 and not Path(names[0]).exists() and not _FILE.search(names[0].partition("/")[0]):
        corpus = {"kind": "tfds", "name": names[0]}
        found = _two_languages(names[0])
    elif len(names) % 2 == 0:
        corpus = {"kind": "text", "train": {"source": [*map(_absolute, names[::2])]}}
        corpus["train"]["target"] = [*map(_absolute, names[1::2])]
        pairs = {_differing_languages(*pair) for pair in zip(names[::2], names[1::2], strict=True)}
        found = pairs.pop() if len(pairs) == 1 else None
    else:
        raise UserError(
            f"{', '.join(names)}: expected two files whose lines translate each other, or one file source, tab, target "
            "whose name ends in .tsv, or a translator's file such as .tmx, .xliff or .po, or the name of a dataset"
        )
    languages = (source or (found or (None, None))[0], target or (found or (None, None))[1])
    if not all(languages):
        sides = zip(("`source`", "`target`"), languages, strict=True)
        missing = " and ".join(side for side, code in sides if not code)
        raise UserError(f"{names[0]}: its name does not say which languages these are: expected {missing} as well")
    if corpus["kind"] == "tfds":
        corpus |= _named_splits(names[0], str(languages[0]), str(languages[1]))
    return {"source_language": languages[0], "target_language": languages[1], "corpus": corpus}


def _absolute(name: str) -> str:
    return str(Path(name).resolve())


def _two_languages(name: str) -> tuple[str, str] | None:
    """The two languages in a name such as `pairs.en-de.tsv` or `wmt14_translate/de-en`; None if there are not two."""
    parts = [part for part in re.split(r"[^A-Za-z]+", name.rpartition("/")[2]) if is_language(part)]
    parts = [part for part in parts if part not in ("to", "tsv")]  # of `pt_to_en`
    return (parts[0], parts[1]) if len(parts) == 2 else None


def _differing_languages(source: str, target: str) -> tuple[str, str] | None:
    """The languages of two files, from the one part in which their names differ."""
    for separator in (r"\.", r"[._-]"):
        sides = [re.split(separator, Path(name).name) for name in (source, target)]
        if len(sides[0]) != len(sides[1]):
            continue
        differing = [pair for pair in zip(*sides, strict=True) if pair[0] != pair[1]]
        if len(differing) == 1 and all(map(is_language, differing[0])):
            return differing[0]
    return None


def _named_splits(name: str, source: str, target: str) -> dict[str, str]:
    """The splits of a dataset by what they are for."""
    splits = dataset_splits(name, source, target)
    wanted = {"validation": ("validation", "dev", "valid"), "test": ("test",)}
    found = {split: [known for known in known_as if known in splits] for split, known_as in wanted.items()}
    return {split: known[0] for split, known in found.items() if known}
