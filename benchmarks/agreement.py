"""Counts the sentences that the exports, the checkpoint and `nmt translate` translate alike.

    nmt export RUN --to EXPORT
    python benchmarks/agreement.py RUN EXPORT SENTENCES OUTPUT

The texts are the lines of SENTENCES, a text file or .gz, and 200 strings that hypothesis draws from all of Unicode. The
SavedModel translates all at once, 32 at a time, and each alone; the checkpoint's translator and the command translate
all at once; LiteRT, with float32 weights and the same search, each alone. The SavedModel's scores are compared too:
matrix products of other sizes round otherwise, in the seventh digit.
"""

import argparse
import gzip
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from machine import describe_machine

from nmt.utils.files import written_whole

STRINGS = 200
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # those of `str.splitlines`, which the command does not write


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "export", "sentences", "output"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()

    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    import tensorflow as tf

    from nmt.runs.translation import load_translator
    from nmt.serving.lite.export import export_lite
    from nmt.serving.lite.translator import LiteTranslator
    from nmt.serving.saved_model import DIGESTS
    from nmt.utils.digests import check_files

    read = gzip.open if arguments.sentences.suffix == ".gz" else open
    with read(arguments.sentences, "rt", encoding="utf-8") as file:
        sentences = [line.rstrip("\n") for line in file]
    check_files(arguments.export / "1", DIGESTS)
    signature = tf.saved_model.load(str(arguments.export / "1")).signatures["serving_default"]
    translator = load_translator(arguments.run)

    with tempfile.TemporaryDirectory() as folder:
        export_lite(arguments.run, Path(folder) / "lite")
        lite = LiteTranslator(Path(folder) / "lite")

    def ask(texts: list[str], size: int) -> Iterator[tuple[str, float]]:
        for start in range(0, len(texts), size):
            answer = signature(text=tf.constant([text.encode() for text in texts[start : start + size]]))
            translations = (translation.decode() for translation in answer["translation"].numpy())
            yield from zip(translations, answer["score"].numpy().tolist(), strict=True)

    result = {"command": shlex.join(["python", "benchmarks/agreement.py", "RUN", "EXPORT", "SENTENCES", "OUTPUT"])}
    result |= {"machine": describe_machine()}
    for name, texts in (("sentences", sentences), ("strings", unicode_strings())):
        found = [hypotheses[0] if hypotheses else None for hypotheses in translator.hypotheses(texts)]
        expected = [hypothesis.text if hypothesis else "" for hypothesis in found]
        scores = np.array([hypothesis.score if hypothesis else 0.0 for hypothesis in found])
        same = {"nmt translate": sum(map(str.__eq__, command(arguments.run, texts), expected))}
        same["LiteRT"] = sum(lite.translate(text) == other for text, other in zip(texts, expected, strict=True))
        largest = 0.0
        for size in (len(texts), 32, 1):
            answers = list(ask(texts, size))
            same[f"export, {size} at a time"] = sum(
                text == other for (text, _), other in zip(answers, expected, strict=True)
            )
            largest = max(largest, float(np.abs(np.array([score for _, score in answers]) - scores).max()))
        result[name] = {
            "number": len(texts),
            "empty translations": expected.count(""),
            "like the checkpoint's": same,
            "largest difference of scores": largest,
        }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps({name: result[name] for name in ("sentences", "strings")}, indent=1))


def command(run: Path, texts: list[str]) -> list[str]:
    """What `nmt translate` writes for these lines."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        source.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        files = ["--input", source, "--output", target]
        subprocess.run([sys.executable, "-m", "nmt", "translate", run, *files], check=True)
        return target.read_text(encoding="utf-8").split("\n")[:-1]


def unicode_strings() -> list[str]:
    """Strings of all of Unicode but surrogates, which UTF-8 lacks, and the ends of lines."""
    drawn: list[str] = []

    @seed(1)
    @settings(
        max_examples=STRINGS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=LINE_ENDS), max_size=60))
    def draw(text: str) -> None:
        drawn.append(text)

    draw()
    return drawn[:STRINGS]


if __name__ == "__main__":
    main()
