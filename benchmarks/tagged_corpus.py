"""Writes the configuration of a corpus that has many tags: catalogues of programs and of their manuals.

    apt-get source --download-only apt aptitude brasero dpkg epiphany-browser genius gnumeric installation-guide \
        kaddressbook kdevelop kmail kmymoney konsole kstars marble okular
    for file in *.orig.tar.xz apt_*.tar.xz dpkg_*.tar.xz installation-guide_*.tar.xz; do tar xf $file; done
    python benchmarks/tagged_corpus.py FOLDER fr --seed 1 > tagged.fr.yaml

It takes each PO file whose name, or the name of a folder around it, is the language's code. DocBook, Mallard and Qt's
rich text make 5 to 10% of the strings ones with tags; benchmarks/tags.py measures where their translations have them.
"""

import argparse
import sys
from pathlib import Path

import yaml


def main() -> None:
    """Writes the configuration to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out", type=int, default=1500)
    arguments = parser.parse_args()
    catalogues = [
        path.resolve()
        for path in sorted(arguments.folder.rglob("*.po"))
        if arguments.language in (path.stem, *path.relative_to(arguments.folder).parts)
    ]
    if not catalogues:
        parser.error(f"{arguments.folder}: has no PO file of the language {arguments.language}")
    configuration = {
        "seed": arguments.seed,
        "data": {
            "source_language": "en",
            "target_language": arguments.language,
            "corpus": {"kind": "memory", "train": [str(path) for path in catalogues]},
            "held_out": arguments.held_out,
        },
        "tokenizer": {"vocabulary_size": 4000, "placeholders": ["braces", "tags"]},
        "model": {"embedding": 192, "units": 192},
        "training": {"max_steps": 2000, "validate_every": 500, "warmup_steps": 300, "xla": "parts"},
    }
    yaml.safe_dump(configuration, sys.stdout, sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    main()
