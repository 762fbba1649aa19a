"""Measures the data pipeline on a large corpus: time, memory and the tokens that one epoch delivers.

    python benchmarks/data_pipeline.py --pairs 5000000 --output result.json

Writes random text with the statistics of language (words by Zipf's law, sentences of varied length) to a temporary
folder, prepares it and takes one epoch of batches in a child process, whose peak of resident memory is reported.
"""

import argparse
import importlib.metadata
import itertools
import json
import logging
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

WORDS = 60_000
CHUNK = 10_000


def main() -> None:
    """Generates the corpus, measures the child and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5_000_000, help="sentence pairs of the corpus")
    parser.add_argument("--algorithm", choices=["unigram", "bpe"], default="unigram", help="of the tokenizer")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the result")
    parser.add_argument("--folder", type=Path, help="where to make the temporary folder")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        options.output.write_text(json.dumps(measure(options.child, options.algorithm)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        characters = generate(folder, options.pairs)
        command = [sys.executable, __file__, "--child", str(folder), "--algorithm", options.algorithm]
        subprocess.run([*command, "--output", str(folder / "result.json")], check=True)
        measured = json.loads((folder / "result.json").read_text())
        disk = sum(path.stat().st_size for path in (folder / "prepared").rglob("*"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    result = {
        "command": " ".join([Path(sys.executable).name, *sys.argv]),
        "machine": describe_machine(),
        "versions": {name: importlib.metadata.version(name) for name in ("tensorflow", "tensorflow-text", "numpy")}
        | {"python": platform.python_version(), "sentencepiece": importlib.metadata.version("sentencepiece")},
        "pairs": options.pairs,
        "characters": characters,
        "prepared_bytes": disk,
        "peak_resident_bytes": peak,
        "peak_resident_gib": round(peak / 2**30, 3),
    } | measured
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def generate(folder: Path, pairs: int) -> int:
    """Writes `train.source` and `train.target` and returns how many characters they have."""
    generator = np.random.default_rng(1)
    lexicons = [make_words(generator, letters) for letters in ("etaoinshrdlucmfwypvbgk", "enisratdhulcgmobwfkzäöüß")]
    chances = np.cumsum(1 / np.arange(3, WORDS + 3))
    chances /= chances[-1]
    characters = 0
    with (
        open(folder / "train.source", "w", encoding="utf-8") as source,
        open(folder / "train.target", "w", encoding="utf-8") as target,
    ):
        for begin in range(0, pairs, CHUNK):
            count = min(CHUNK, pairs - begin)
            lengths = np.clip(generator.lognormal(2.7, 0.5, count).round().astype(int), 2, 120)
            target_lengths = np.clip(lengths + generator.normal(0, 0.1 * lengths).round().astype(int), 1, None)
            words = np.searchsorted(chances, generator.random(int(lengths.sum()))).tolist()
            # A translation of sorts: the same words in another language, some cut off or repeated.
            begin_of_sentence = 0
            lines: tuple[list[str], list[str]] = ([], [])
            for length, target_length in zip(lengths.tolist(), target_lengths.tolist(), strict=True):
                sentence = words[begin_of_sentence : begin_of_sentence + length]
                begin_of_sentence += length
                translation = (sentence + sentence)[:target_length]
                lines[0].append(" ".join([lexicons[0][word] for word in sentence]))
                lines[1].append(" ".join([lexicons[1][word] for word in translation]))
            for file, side in zip((source, target), lines, strict=True):
                characters += file.write(".\n".join(side) + ".\n")
    return characters


def make_words(generator: np.random.Generator, letters: str) -> list[str]:
    """Makes different words; the frequent ones, which come first, are short."""
    chances = 1 / np.arange(1, len(letters) + 1) ** 0.5
    words: dict[str, None] = {}
    while len(words) < WORDS:
        length = 1 + generator.poisson(1.5 + np.log1p(len(words)) / 2)
        words["".join(generator.choice(list(letters), length, p=chances / chances.sum()))] = None
    return list(words)


def measure(folder: Path, algorithm: str) -> dict[str, Any]:
    """Prepares the corpus and takes one epoch of batches."""
    from nmt.config import parse_config
    from nmt.data.batches import Position, batches_in_epoch, training_batches
    from nmt.data.preparation import load_shapes, prepare

    files = {"source": [str(folder / "train.source")], "target": [str(folder / "train.target")]}
    corpus = {"kind": "text", "train": files}
    data = {"source_language": "en", "target_language": "de", "corpus": corpus}
    config = parse_config({"data": data, "tokenizer": {"algorithm": algorithm}}, "benchmark")
    stages: dict[str, float] = {}
    started = time.perf_counter()

    def progress(line: str) -> None:
        now = time.perf_counter() - started
        print(f"{now:8.1f} s  peak {memory() / 2**20:6.0f} MiB  {line}", file=sys.stderr, flush=True)
        stages[line] = now

    handler = logging.Handler()
    handler.emit = lambda record: progress(record.getMessage())
    log = logging.getLogger("nmt")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    prepared = folder / "prepared"
    report = prepare(config, prepared)
    progress("taking one epoch of batches")
    shapes = load_shapes(prepared)
    count = batches_in_epoch(prepared, config, shapes, 0)
    begun = time.perf_counter()
    tokens = sentences = 0
    for _, target in training_batches(prepared, config, shapes, Position(0, 0)).take(count).as_numpy_iterator():
        tokens += int(np.count_nonzero(target))
        sentences += int(np.count_nonzero(target[:, 0]))
    seconds = time.perf_counter() - begun
    progress("done")
    if sentences != report["pairs"]["train"] - report["longer_than_max_length"]:
        raise SystemExit(f"the epoch gave {sentences} sentences of {report['pairs']['train']}")
    names = list(stages)
    return {
        "seconds_of_stages": {
            name: round(stages[after] - stages[name], 2) for name, after in itertools.pairwise(names)
        },
        "prepare_seconds": round(stages["taking one epoch of batches"], 2),
        "prepare_pairs_per_second": round(report["cleaning"]["train"]["read"] / stages["taking one epoch of batches"]),
        "epoch_batches": count,
        "epoch_seconds": round(seconds, 2),
        "epoch_pairs_per_second": round(sentences / seconds),
        "epoch_target_tokens_per_second": round(tokens / seconds),
        "padding_share": round(report["padding_share"], 4),
        "training_pairs": report["pairs"]["train"],
        "target_tokens": tokens,
    }


def memory() -> int:
    """The peak of this process's resident memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
