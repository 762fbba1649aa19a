"""Translates with Marian, trained by marian_train.py, in the folder that setup.sh makes.

python marian_translate.py MODEL_FOLDER OPTION...

Marian reads and writes text by its SentencePiece vocabulary. The options are its own.
"""

import os
import sys

from pymarian import Translator
from worker import FileTranslator, LineTranslator, read_lines, serve


def load() -> tuple[FileTranslator, LineTranslator]:
    """Loads the model of the command line."""
    folder, *options = sys.argv[1:]
    own = f"--models {folder}/model.npz --vocabs marian.spm marian.spm --cpu-threads {os.cpu_count()} --quiet"
    translator = Translator(" ".join([own, "--quiet-translation", *options]))

    def translate(lines: list[str]) -> list[str]:
        translations: list[str] = translator.translate(lines)
        return translations

    return lambda path: translate(read_lines(path)), lambda line: translate([line])[0]


if __name__ == "__main__":
    serve(load)
