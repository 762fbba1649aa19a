"""Translates with a run of this project as a program would that imports it, which is what `nmt translate` does.

python nmt_translate.py RUN KEY=VALUE...
"""

import sys
from pathlib import Path

from worker import FileTranslator, LineTranslator, read_lines, serve


def load() -> tuple[FileTranslator, LineTranslator]:
    """Loads the run of the command line."""
    import nmt

    folder, *overrides = sys.argv[1:]
    translator = nmt.load_translator(Path(folder), overrides=overrides)
    return lambda path: list(translator.best(read_lines(path))), lambda line: next(iter(translator.best([line])))


if __name__ == "__main__":
    serve(load)
