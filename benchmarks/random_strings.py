"""Translates random strings of all Unicode: how many translations are too long, and how many repeat themselves?

    python benchmarks/random_strings.py RUN OUTPUT [--strings 10000]

A third of the strings are characters drawn from all of Unicode but surrogates, a third from one block of 256 characters
each, and a third words of RUN's training text in random order, with some such characters between them. The limit of a
translation is `decoding.max_length_factor` times the tokens of its source and `decoding.max_length_offset` more, for
each of the parts that are translated by themselves. A loop is what `nmt evaluate` counts as one.
"""

import argparse
import json
import random
import shlex
import sys
import unicodedata
from importlib.metadata import version
from pathlib import Path

from machine import describe_machine

from nmt.config import load_saved_config
from nmt.constants import SIDES
from nmt.data.token_store import read_sentences
from nmt.evaluation.repetition import has_loop
from nmt.runs.folder import load_run_config
from nmt.runs.translation import load_translator
from nmt.utils.files import written_whole
from nmt.utils.progress import tracked

LONGEST = 120  # characters
SHOWN = 20  # strings whose translation breaks a rule
END = "</s>"


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--strings", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the search")
    arguments = parser.parse_args()
    loaded, _ = load_run_config(arguments.run)
    config = load_saved_config(loaded.config, arguments.set)
    words = [word for text in read_sentences(loaded.data, "train", SIDES[0]) for word in text.split()]
    draw = random.Random(arguments.seed)
    strings = [make_string(index % 3, words, draw) for index in range(arguments.strings)]
    settings = config.decoding
    loops, too_long, empty, kept, tokens = [], [], 0, 0, 0
    translated = load_translator(arguments.run, overrides=arguments.set).hypotheses(strings)
    for string, found in zip(strings, tracked(translated, "translating", len(strings)), strict=True):
        best = found[0] if found else None
        if best is None or not best.text:
            empty += 1
        if best is None:
            continue
        if best.score == 0.0:  # no translation is as probable
            kept += 1
            continue
        parts = best.source_pieces.count(END)
        limit = settings.max_length_factor * len(best.source_pieces) + settings.max_length_offset * parts
        tokens += len(best.target_pieces)
        if len(best.target_pieces) > limit:
            too_long.append((string, best.text))
        if has_loop(string, best.text):
            loops.append((string, best.text))
    result = {
        "command": shlex.join(["python", "benchmarks/random_strings.py", "RUN", *sys.argv[2:]]),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "tensorflow-text", "sentencepiece")},
        "unicode": unicodedata.unidata_version,
        "languages": [config.data.source_language, config.data.target_language],
        "decoding": settings.model_dump(mode="json"),
        "strings": len(strings),
        "target_tokens": tokens,
        "without_translation": empty,
        "kept_as_they_are": kept,
        "longer_than_their_limit": len(too_long),
        "with_a_loop": len(loops),
        "examples": {"longer_than_their_limit": too_long[:SHOWN], "with_a_loop": loops[:SHOWN]},
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1, ensure_ascii=False))


def make_string(kind: int, words: list[str], draw: random.Random) -> str:
    """A string of one of the three kinds."""
    size = draw.randint(1, LONGEST)
    if kind == 0:
        return "".join(character(0, 0x110000, draw) for _ in range(size))
    if kind == 1:
        block = draw.randrange(0x30000 >> 8) << 8  # planes 3 to 13 have no characters
        return "".join(character(block, block + 256, draw) for _ in range(size))
    chosen = draw.choices(words, k=1 + size // 8)
    return " ".join(word if draw.random() < 0.8 else character(0, 0x110000, draw) for word in chosen)


def character(first: int, last: int, draw: random.Random) -> str:
    """A code point of a range; "?" for a surrogate, which is none."""
    found = draw.randrange(first, last)
    return "?" if 0xD800 <= found < 0xE000 else chr(found)


if __name__ == "__main__":
    main()
