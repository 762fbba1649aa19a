"""Compares the LiteRT exports of a run with its checkpoint: translations, BLEU, sizes and time.

    python benchmarks/lite.py RUN benchmarks/results/lite.json \\
        --source test_2016_flickr.en.gz --reference test_2016_flickr.de.gz

Each translates the same sentences, one at a time, by beam search and greedily, the checkpoint in TensorFlow with as
many threads as it takes, the exports in LiteRT with one. Without files, the sentences are the run's test split.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from machine import describe_machine

from nmt.cli.options import load_tensorflow
from nmt.config import SideFiles, TextCorpus
from nmt.evaluation.metrics import evaluate
from nmt.utils.files import written_whole

PACKAGES = ("tensorflow", "ai-edge-litert", "sentencepiece", "sacrebleu", "numpy")
WARM_UP = 20  # sentences that are translated once more before, untimed


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--source", type=Path, help="sentences, as text or .gz")
    parser.add_argument("--reference", type=Path, help="their translations")
    parser.add_argument("--beams", type=int, nargs="+", default=[5, 1])
    parser.add_argument("--checkpoint", help="the averaged one if there is one, else the best")
    arguments = parser.parse_args()
    if (arguments.source is None) != (arguments.reference is None):
        parser.error("expected both --source and --reference, or neither")

    load_tensorflow()
    from nmt.runs.folder import load_run_config

    _, config = load_run_config(arguments.run)
    sources, references = _sentences(arguments.run, arguments.source, arguments.reference)
    language = config.data.target_language

    beams = {
        str(beam): measure(arguments.run, arguments.checkpoint, beam, sources, references, language)
        for beam in arguments.beams
    }
    files = ["--source", arguments.source, "--reference", arguments.reference] if arguments.source else []
    result = {
        "command": shlex.join(["python", "benchmarks/lite.py", "RUN", "OUTPUT", *map(_name, files)]),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in PACKAGES},
        "model": config.model.model_dump(mode="json"),
        "sentences": len(sources),
        "beams": beams,
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    json.dump(beams, sys.stdout, indent=1)


def measure(
    run: Path, checkpoint: str | None, beam: int, sources: Sequence[str], references: Sequence[str], language: str
) -> dict[str, Any]:
    """Translates with the checkpoint and with the export of each kind of weights, at one size of the beam."""
    from nmt.runs.translation import load_translator
    from nmt.serving.lite.export import Weights, export_lite
    from nmt.serving.lite.translator import DECODER_STEP, ENCODER, LiteTranslator

    search = [f"decoding.beam_size={beam}"]
    translator = load_translator(run, checkpoint, search)
    expected, figures = _timed(lambda line: next(translator.best([line])), sources)
    systems = {"checkpoint": figures | _quality(expected, references, language)}
    with tempfile.TemporaryDirectory() as temporary:
        for weights in get_args(Weights):
            folder = Path(temporary) / weights
            export_lite(run, folder, weights, checkpoint, search)
            translations, figures = _timed(LiteTranslator(folder).translate, sources)
            systems[f"litert_{weights}"] = {
                "identical": sum(ours == theirs for ours, theirs in zip(translations, expected, strict=True)),
                "bytes": {name: (folder / name).stat().st_size for name in (ENCODER, DECODER_STEP)},
                **figures,
                **_quality(translations, references, language),
            }
    full = systems["litert_float32"]
    for system in systems.values():
        if "bytes" in system:
            system["size_ratio"] = sum(system["bytes"].values()) / sum(full["bytes"].values())
            system["bleu_difference"] = system["BLEU"]["value"] - systems["checkpoint"]["BLEU"]["value"]
    return systems


def _sentences(run: Path, source: Path | None, reference: Path | None) -> tuple[list[str], list[str]]:
    from nmt.constants import SIDES
    from nmt.data.readers import read_split
    from nmt.data.token_store import read_sentences
    from nmt.runs.folder import load_run_config

    folder, config = load_run_config(run)
    if source is None or reference is None:
        of_source, of_target = (list(read_sentences(folder.data, "test", side)) for side in SIDES)
        return of_source, of_target
    corpus = TextCorpus(kind="text", train=SideFiles(source=[source], target=[reference]))
    pairs = list(read_split(config.data.model_copy(update={"corpus": corpus}), "train") or ())
    return [pair.source.decode() for pair in pairs], [pair.target.decode() for pair in pairs]


def _timed(translate: Callable[[str], str], sources: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The translations, and the median and 99th percentile of the time that one takes."""
    for line in sources[:WARM_UP]:
        translate(line)
    translations, times = [], []
    for line in sources:
        start = time.perf_counter()
        translations.append(translate(line))
        times.append((time.perf_counter() - start) * 1000)
    percentiles = statistics.quantiles(times, n=100)
    return translations, {
        "median_ms": round(statistics.median(times), 2),
        "percentile_99_ms": round(percentiles[98], 2),
    }


def _quality(translations: Sequence[str], references: Sequence[str], language: str) -> dict[str, Any]:
    scores = evaluate(translations, references, language, metrics=["BLEU", "chrF"])
    return {score.name: {"value": score.value, "signature": score.signature} for score in scores}


def _name(value: Path | str) -> str:
    return value.name if isinstance(value, Path) else value


if __name__ == "__main__":
    main()
