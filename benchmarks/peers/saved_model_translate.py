"""Translates with a SavedModel whose signature takes and gives text: ours, or that of OpenNMT-tf.

python saved_model_translate.py FOLDER OUTPUT

OUTPUT names what the signature calls the translations. Needs only TensorFlow and TensorFlow Text. A file is one
request; the time of a line is that of the call in Python, from a string to a string.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from worker import FileTranslator, LineTranslator, read_lines, serve


def load() -> tuple[FileTranslator, LineTranslator]:
    """Loads the SavedModel of the command line."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (its operations are in the graph)

    folder, output = sys.argv[1:]
    loaded = tf.saved_model.load(folder)  # the signature lives as long as what was loaded
    signature = loaded.signatures["serving_default"]

    def translate(lines: list[str]) -> list[str]:
        # OpenNMT-tf gives some hypotheses of each line, here one.
        found = tf.reshape(signature(text=tf.constant(lines))[output], [-1])
        return [text.decode("utf-8", errors="replace") for text in found.numpy()]

    translate.__dict__["loaded"] = loaded
    return lambda path: translate(read_lines(path)), lambda line: translate([line])[0]


if __name__ == "__main__":
    serve(load)
