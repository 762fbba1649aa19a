"""Sentence pairs from a corpus: plain text, tab-separated files, translation memories and other files of translators,
or a dataset of TensorFlow Datasets.

Lines in one language, for a language model, are read as pairs with an empty source.

Everything is streamed, so a corpus may be larger than the memory. Texts are passed on as bytes, valid UTF-8 or not;
`nmt.data.cleaning` decides about them and counts.
"""

import contextlib
import difflib
import io
import itertools
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

from nmt.config import DataSettings, MemoryCorpus, SideFiles, TfdsCorpus
from nmt.constants import Split
from nmt.data.formats.columns import LANGUAGE_NAMES, SIDE_NAMES
from nmt.data.formats.units import Languages
from nmt.data.memories import read_memories
from nmt.data.raw_pair import RawPair
from nmt.text.languages import base_language
from nmt.utils.errors import UserError
from nmt.utils.lines import read_lines

_LOG = logging.getLogger(__name__)

_ROWS_TO_JUDGE, _ROWS_THAT_SHOW = 100, 10  # of a table: how many are read to find its kind, and how few show nothing
_QUOTED = "expected text without the quotes of CSV; write the table as tab-separated text without quoting"


def read_split(data: DataSettings, split: Split) -> Iterator[RawPair] | None:
    """Reads one split of the corpus, pair by pair.

    Missing files are reported, and a dataset of TensorFlow Datasets is prepared, before this returns. What is wrong
    inside a file is reported when the reading comes to it.

    Args:
        data: the settings of the corpus.
        split: `"train"`, `"validation"` or `"test"`.

    Returns:
        An iterator over the pairs, or None if the configuration names no such split. Lines are those of
        `nmt.utils.lines.read_lines`.

    Raises:
        UserError: if a file is missing, cannot be read or is damaged, two files differ in length, a table is
            none of source, tab, target, or the dataset lacks a language or the split. The message names the file, and
            the line, or the dataset.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.tsv"
    >>> _ = path.write_text("Good morning\\tGuten Morgen\\n", encoding="utf-8")
    >>> corpus = {"kind": "tsv", "train": [path]}
    >>> data = DataSettings(source_language="en", target_language="de", corpus=corpus)
    >>> next(read_split(data, "train"))[:2]
    (b'Good morning', b'Guten Morgen')
    >>> print(read_split(data, "test"))
    None
    """
    place: SideFiles | list[Path] | str | None = getattr(data.corpus, split)
    if place is None:
        return None
    if isinstance(data.corpus, TfdsCorpus):
        return _read_dataset(data.corpus, str(place), str(data.source_language), data.target_language)
    if isinstance(place, SideFiles):
        return read_sides(place)
    paths = [Path(path) for path in place]
    if data.corpus.kind == "lines":
        return read_texts(paths)
    _check_files(paths)
    if isinstance(data.corpus, MemoryCorpus):
        return read_memories(paths, Languages(str(data.source_language), data.target_language), data.corpus)
    return _read_tables(paths, (str(data.source_language), data.target_language))


def read_texts(paths: Sequence[str | Path]) -> Iterator[RawPair]:
    """Reads files in one language, line by line, as pairs with an empty source.

    Args:
        paths: the files, read one after the other.

    Raises:
        UserError: as for `read_split`.
    """
    _check_files(paths)
    return (RawPair(b"", line, f"{path}:{number}") for path in paths for number, line in enumerate(read_lines(path), 1))


def read_sides(files: SideFiles) -> Iterator[RawPair]:
    """Reads files whose lines translate each other, pair by pair.

    Args:
        files: the files of both sides.

    Raises:
        UserError: as for `read_split`.
    """
    _check_files([*files.source, *files.target])
    return _read_sides(files)


def dataset_splits(name: str, source: str, target: str) -> list[str]:
    """Returns the names of a dataset's splits, after preparing it.

    Args:
        name: the dataset's name; see `nmt.config.TfdsCorpus`.
        source: code of the source language.
        target: code of the target language.

    Raises:
        UserError: if there is no such dataset, or it cannot be prepared.
    """
    builder = _find_builder(TfdsCorpus(kind="tfds", name=name), source, target)
    _prepare(builder, name)
    return list(builder.info.splits)


def _check_files(paths: Sequence[str | Path]) -> None:
    """Reports a file that cannot be read before hours go into the files ahead of it.

    It opens none of them, because a file may be a pipe.
    """
    for path in map(Path, paths):
        if path.is_dir():
            raise UserError(f"{path}: is a folder, expected a file")
        if not path.exists():
            raise UserError(f"{path}: no such file")
        if not os.access(path, os.R_OK):
            raise UserError(f"{path}: cannot be read: permission denied")


def _read_sides(files: SideFiles) -> Iterator[RawPair]:
    for source_path, target_path in zip(files.source, files.target, strict=True):
        sources, targets = read_lines(source_path), read_lines(target_path)
        for number, (source, target) in enumerate(zip_longest(sources, targets), start=1):
            if source is None or target is None:
                # One side has ended at the line before; the other one has this line and those that follow.
                more = number + sum(1 for _ in (sources if target is None else targets))
                lengths = (number - 1, more) if source is None else (more, number - 1)
                raise UserError(
                    f"{source_path} has {lengths[0]} lines, {target_path} has {lengths[1]}: "
                    "expected the same number, each line the translation of the other file's line"
                )
            yield RawPair(source, target, f"{source_path}:{number}")


def _read_tables(paths: Sequence[Path], languages: tuple[str, str]) -> Iterator[RawPair]:
    for path in paths:
        rows = enumerate(read_lines(path), start=1)
        first = [(number, line.split(b"\t")) for number, line in itertools.islice(rows, _ROWS_TO_JUDGE)]
        if not first:
            continue
        _check_kind(path, first)
        if _is_header(first[0][1], languages, path):
            _LOG.info("%s:1: left out, as a header: %s", path, b", ".join(first[0][1][:2]).decode("utf-8", "replace"))
            del first[0]
        yield from _read_rows(path, itertools.chain(first, ((number, line.split(b"\t")) for number, line in rows)))


def _read_rows(path: Path, rows: Iterator[tuple[int, list[bytes]]]) -> Iterator[RawPair]:
    columns = 0
    for number, row in rows:
        if len(row) < 2:
            raise UserError(f"{path}:{number}: expected source, tab, target; there is no tab")
        if len(row) != (columns := columns or len(row)):
            others = 1 + sum(len(cells) != columns for _, cells in rows)
            raise UserError(
                f"{path}:{number}: expected {columns} columns, as in the lines before, got {len(row)} (lines like it: "
                f"{others}): a tab inside a text, or a text that is missing"
            )
        if any(map(_is_quoted, row[:2])):
            raise UserError(f"{path}:{number}: {_QUOTED}")
        yield RawPair(row[0], row[1], f"{path}:{number}")


def _check_kind(path: Path, rows: Sequence[tuple[int, list[bytes]]]) -> None:
    """Raises an error if the first rows are not source, tab, target."""
    if len(rows) < _ROWS_THAT_SHOW:
        return
    later = [row for _, row in rows[1:]]  # without a header
    if all(cell[:1] == cell[-1:] == b'"' and len(cell) > 1 for row in later for cell in row[:2]):
        raise UserError(f"{path}:1: {_QUOTED}")
    if all(len(row) > 2 and row[0].isdigit() for row in later):
        raise UserError(f"{path}:1: expected source, tab, target; the first column has numbers: leave it out")


def _is_quoted(cell: bytes) -> bool:
    """Returns whether a cell is written as in CSV: in quotes, with those inside it doubled."""
    inside = cell[1:-1]
    return cell[:1] == cell[-1:] == b'"' and b'""' in inside and b'"' not in inside.replace(b'""', b"")


def _is_header(row: Sequence[bytes], languages: tuple[str, str], path: Path) -> bool:
    """Returns whether a row names the columns; raises an error if it names them the other way round."""
    names = [cell.decode("utf-8", "replace").strip().strip('"').lower() for cell in row[:2]]
    if len(names) < 2:
        return False
    sides = zip(languages, SIDE_NAMES, strict=True)
    expected = [{base_language(language), language.lower()} | names for language, names in sides]
    found = [{name, base_language(LANGUAGE_NAMES.get(name, name))} if name else set() for name in names]

    def are(first: int, second: int) -> bool:
        return bool(found[0] & expected[first]) and bool(found[1] & expected[second])

    if are(1, 0) and not are(0, 1):
        raise UserError(
            f"{path}:1: the columns are {names[0]} and {names[1]}, expected {languages[0]} and {languages[1]}: "
            "exchange the columns, or the languages"
        )
    return are(0, 1)


def _read_dataset(corpus: TfdsCorpus, split: str, source: str, target: str) -> Iterator[RawPair]:
    builder = _find_builder(corpus, source, target)
    path, per_example = _find_languages(builder, corpus.name, source, target)
    _prepare(builder, corpus.name)
    # Loaded here, because it takes seconds, and plain text is read without it.
    import tensorflow_datasets as tfds

    # Records come in the order of the files, so that an index names a place, and no copy of them stays in memory.
    read_config = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
    try:
        dataset = builder.as_dataset(split=split, read_config=read_config)
    except (ValueError, AssertionError) as error:
        known = ", ".join(builder.info.splits) or "none"
        raise UserError(f"{corpus.name}: cannot take the split {split!r}: the dataset has {known}") from error

    def select(example: Any) -> Any:
        for name in path:
            example = example[name]
        return tuple(example[key] for key in (("language", "translation") if per_example else (source, target)))

    return _read_records(dataset.map(select), f"{corpus.name}/{split}", (source, target) if per_example else None)


def _read_records(dataset: Any, name: str, languages: tuple[str, str] | None) -> Iterator[RawPair]:
    """Reads pairs from records (source, target), or with `languages` from records (languages, translations)."""
    import tensorflow as tf

    try:
        if languages is None:
            numbers = count()
            for sources, targets in dataset.batch(
                1024
            ).as_numpy_iterator():  # in batches, because each step of the iterator costs 30 µs
                for source, target in zip(sources, targets, strict=True):
                    yield RawPair(source, target, f"{name}:{next(numbers)}")
            return
        for number, record in enumerate(dataset.as_numpy_iterator()):
            texts: dict[str, bytes] = {}
            for language, text in zip(*record, strict=True):
                texts.setdefault(language.decode(), text)
            if all(language in texts for language in languages):
                yield RawPair(texts[languages[0]], texts[languages[1]], f"{name}:{number}")
    except tf.errors.OpError as error:
        raise UserError(f"{name}: cannot be read: {_one_line(error)}") from error


def _find_builder(corpus: TfdsCorpus, source: str, target: str) -> Any:
    """Returns the builder of the dataset, or raises an error with the nearest known name."""
    import tensorflow_datasets as tfds

    name, _, config = corpus.name.partition("/")
    if name == "ui_strings":
        from nmt.data.datasets.ui_strings import UiStrings, language_pair

        if not config:
            return UiStrings(config=language_pair(source, target), data_dir=corpus.folder)
    try:
        return tfds.builder(corpus.name, data_dir=corpus.folder)
    except tfds.core.registered.DatasetNotFoundError as error:
        known = [*tfds.list_builders(with_community_datasets=False), "ui_strings"]
        raise UserError(f"{name}: TensorFlow Datasets has no such dataset{_nearest(name, known)}") from error
    except UserError:
        raise
    except Exception as error:  # a builder's own code may raise anything
        known = _configurations(name)
        if config and config not in known:
            raise UserError(f"{name}: has no configuration {config!r}{_nearest(config, known)}") from error
        raise UserError(f"{corpus.name}: cannot be opened: {_one_line(error)}") from error


def _find_languages(builder: Any, name: str, source: str, target: str) -> tuple[list[str], bool]:
    """Finds the two languages among the features of the dataset.

    Returns:
        The names of the features that contain them, outermost first; and whether each example has languages of its own.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    found: list[str] = []
    groups: list[tuple[list[str], Any]] = [([], builder.info.features)]
    for path, group in groups:  # grows during the loop
        if isinstance(group, tfds.features.TranslationVariableLanguages):
            if not group.languages or {source, target} <= set(group.languages):
                return path, True
            found += group.languages
        elif isinstance(group, tfds.features.FeaturesDict):
            texts = [key for key, feature in group.items() if feature.shape == () and feature.tf_dtype == tf.string]
            if {source, target} <= set(texts):
                return path, False
            found += texts
            groups += [([*path, key], feature) for key, feature in group.items() if key not in texts]
    missing = " and ".join(repr(language) for language in (source, target) if language not in found)
    hint = ""
    if "/" not in name and len(configurations := _configurations(name)) > 1:
        hint = f"; add one of its configurations as {name}/CONFIGURATION: {', '.join(configurations)}"
    raise UserError(f"{name}: has no text {missing}; it has {', '.join(found) or 'no text'}{hint}")


def _prepare(builder: Any, name: str) -> None:
    """Downloads and prepares the dataset, unless that was done before; shows progress on a terminal only."""
    import tensorflow_datasets as tfds
    from absl import logging

    terminal, verbosity = sys.stderr.isatty(), logging.get_verbosity()
    tfds.display_progress_bar(terminal)
    logging.set_verbosity(logging.ERROR)
    try:
        # What TensorFlow Datasets prints must not mix with results on the standard output.
        with contextlib.redirect_stdout(sys.stderr if terminal else io.StringIO()):
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except UserError:
        raise
    except Exception as error:  # network, disk, a missing library: a builder may raise anything
        if not builder.data_path.exists():  # otherwise another process has prepared it meanwhile
            raise UserError(f"{name}: cannot be prepared: {_one_line(error)}") from error
    finally:
        logging.set_verbosity(verbosity)


def _configurations(name: str) -> list[str]:
    import tensorflow_datasets as tfds

    try:
        return list(tfds.builder_cls(name).builder_configs)
    except (ValueError, ImportError):  # the dataset was prepared by code that is not installed
        return []


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; it has {', '.join(known)}" if 0 < len(known) <= 40 else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
