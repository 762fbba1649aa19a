"""Compares exports, as one of before a change and one of after it, taking turns: speed, one sentence, and BLEU.

    python benchmarks/compare_exports.py SENTENCES OUTPUT BEFORE AFTER... [--references REFERENCES]

BEFORE and AFTER are SavedModels, versions that `nmt export` wrote; more may follow. SENTENCES is a text file. In each
round every export translates all of its lines in one request, and then those of 13 words (split at spaces), each when
the one before is done. Only the ratios within a round count. REFERENCES, a line for each sentence, add BLEU.
"""

import argparse
import json
import shlex
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.cli.options import load_tensorflow
from nmt.utils.files import written_whole

WORDS, MOST = 13, 50  # of the sentences that are translated one at a time, and how many of them


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("exports", type=Path, nargs="+")
    parser.add_argument("--references", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    load_tensorflow()
    import tensorflow as tf

    from nmt.serving.saved_model import DIGESTS
    from nmt.utils.digests import check_files

    for export in arguments.exports:
        check_files(export, DIGESTS)
    lines = read_lines(arguments.sentences)
    single = [line for line in lines if len(line.split()) == WORDS][:MOST]
    loaded = [tf.saved_model.load(str(export)) for export in arguments.exports]

    def translate(index: int, texts: list[str]) -> tuple[float, list[str]]:
        start = time.perf_counter()
        answer = loaded[index].signatures["serving_default"](text=tf.constant(texts))["translation"].numpy()
        return time.perf_counter() - start, [text.decode() for text in answer]

    translations = []
    for index in range(len(loaded)):  # warms up
        translations.append(translate(index, lines)[1])
        for line in single:
            translate(index, [line])
    speeds: list[list[float]] = [[] for _ in loaded]
    times: list[list[float]] = [[] for _ in loaded]
    for number in range(arguments.rounds):
        turns = range(len(loaded)) if number % 2 else reversed(range(len(loaded)))
        for index in turns:
            speeds[index].append(round(len(lines) / translate(index, lines)[0], 1))
            times[index].append(round(1000 * statistics.median(translate(index, [line])[0] for line in single), 2))
    names = [path.resolve().parent.name for path in arguments.exports]  # a version is but a number
    options = [*(["--references", "REFERENCES"] if arguments.references else []), "--rounds", str(arguments.rounds)]
    result: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/compare_exports.py", "SENTENCES", "OUTPUT", *names, *options]),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "tensorflow-text")},
        "sentences": len(lines),
        "sentences_per_second": speeds,
        "medians": [statistics.median(values) for values in speeds],
        "times_as_fast_as_the_first": [ratio(values, speeds[0]) for values in speeds],
        "one_sentence": {
            "words": WORDS,
            "sentences": len(single),
            "milliseconds": times,
            "medians": [statistics.median(values) for values in times],
            "times_as_fast_as_the_first": [ratio(times[0], values) for values in times],
        },
        "translated_like_the_first": [
            sum(one == first for one, first in zip(texts, translations[0], strict=True)) for texts in translations
        ],
    }
    if arguments.references:
        import sacrebleu

        references = [read_lines(arguments.references)]
        result["BLEU"] = [round(sacrebleu.corpus_bleu(texts, references).score, 2) for texts in translations]
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1))


def read_lines(path: Path) -> list[str]:
    """The lines of a text file."""
    return path.read_text(encoding="utf-8").splitlines()


def ratio(one: list[float], other: list[float]) -> float:
    """The median of what one is to the other in a round."""
    return round(statistics.median(a / b for a, b in zip(one, other, strict=True)), 3)


if __name__ == "__main__":
    main()
