"""Writes the configuration of a corpus that has many tags: catalogues of programs and of their manuals.

    apt-get source --download-only apt aptitude brasero dpkg epiphany-browser genius gnumeric installation-guide \
        kaddressbook kdevelop kmail kmymoney konsole kstars marble okular
    for file in *.orig.tar.xz apt_*.tar.xz dpkg_*.tar.xz installation-guide_*.tar.xz; do tar xf $file; done
    python benchmarks/tagged_corpus.py FOLDER fr --seed 1 > tagged.fr.yaml
    python benchmarks/tagged_corpus.py FOLDER fr --of runs/tagged.fr --tagged 200 > tagged.fr.200.yaml

The first takes each PO file whose name, or the name of a folder around it, is the language's code. DocBook, Mallard and
Qt's rich text put tags into 9 to 14% of the pairs. The second takes what a run of the first has prepared, and leaves
only some of the training pairs with tags, drawn at random; validation and test stay as they are.
benchmarks/tags.py measures where the translations have their tags.
"""

import argparse
import random
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from nmt.constants import SIDES
from nmt.data.token_store import read_sentences
from nmt.runs.folder import load_run_config
from nmt.text.placeholders import KINDS

TAG = re.compile(KINDS["tags"])


def main() -> None:
    """Writes the configuration to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out", type=int, default=1500)
    parser.add_argument("--of", type=Path)
    parser.add_argument("--tagged", type=int)
    arguments = parser.parse_args()
    corpus = (
        catalogues(arguments.folder, arguments.language)
        if arguments.of is None
        else with_few_tags(arguments.of, arguments.tagged, arguments.folder, arguments.seed)
    )
    configuration = {
        "seed": arguments.seed,
        "data": {
            "source_language": "en",
            "target_language": arguments.language,
            "corpus": corpus,
            "held_out": arguments.held_out,
        },
        "tokenizer": {"vocabulary_size": 4000, "placeholders": ["braces", "tags"]},
        "model": {"embedding": 192, "units": 192},
        "training": {"max_steps": 2000, "validate_every": 500, "warmup_steps": 300, "xla": "parts"},
    }
    yaml.safe_dump(configuration, sys.stdout, sort_keys=False, allow_unicode=True)


def catalogues(folder: Path, language: str) -> dict[str, Any]:
    """The settings of a corpus of all PO files of a language."""
    files = [
        str(path.resolve())
        for path in sorted(folder.rglob("*.po"))
        if language in (path.stem, *path.relative_to(folder).parts)
    ]
    if not files:
        raise SystemExit(f"{folder}: has no PO file of the language {language}")
    return {"kind": "memory", "train": files}


def with_few_tags(path: Path, count: int, folder: Path, seed: int) -> dict[str, Any]:
    """The settings of a corpus of a run's sentences, in whose training split only `count` pairs have tags."""
    run, _ = load_run_config(path)
    corpus: dict[str, Any] = {"kind": "text"}
    for split in ("train", "validation", "test"):
        pairs = list(zip(*(read_sentences(run.data, split, side) for side in SIDES), strict=True))
        if split == "train":
            tagged = [pair for pair in pairs if any(map(TAG.search, pair))]
            left_out = set(tagged) - set(random.Random(seed).sample(tagged, count))
            pairs = [pair for pair in pairs if pair not in left_out]
        corpus[split] = {}
        for side, texts in zip(SIDES, zip(*pairs, strict=True), strict=True):
            file = folder.resolve() / f"{path.name}.{count}.{split}.{side}.txt"
            file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
            corpus[split][side] = [str(file)]
    return corpus


if __name__ == "__main__":
    main()
