"""Trains a language model on Multi30k's German and has it take part in a translation's search.

    python benchmarks/language_model.py FOLDER RUN benchmarks/results/language-model.json

FOLDER holds train, val and test_2016_flickr as .en.gz and .de.gz (Elliott et al. 2016, task 1, raw); RUN is a trained
translation from English to German, as of configs/ref-256.yaml, whose tokenizer the language model takes. Reported are
the language model's perplexities, and the translation's BLEU with several weights of shallow fusion. The best weight
above 0 is chosen by BLEU on val; test_2016_flickr is translated with it and without the language model, once each.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.config import load_config
from nmt.evaluation.metrics import compare, evaluate
from nmt.utils.files import written_whole

SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3)
PACKAGES = ("tensorflow", "tensorflow-text", "keras", "sentencepiece", "sacrebleu", "numpy")
# 29,000 sentences are soon learnt by heart: more dropout than for a translation, and the best checkpoint is taken.
SETTINGS = (
    "batches.tokens=2000",
    "training.max_steps=4000",
    "training.max_minutes=20",
    "training.validate_every=250",
    "training.patience=4",
    "training.learning_rate=0.0015",
    "training.warmup_steps=200",
    "training.schedule=linear",
    "training.xla=parts",
)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("translation", type=Path, metavar="RUN")
    parser.add_argument("output", type=Path)
    parser.add_argument("--checkpoint", help="of the translation; the averaged one if there is one, else the best")
    parser.add_argument("--run", type=Path, help="the language model's run folder; a temporary one if absent")
    parser.add_argument("--sentences", type=int, help="translate only this many sentences, to try it")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    folder, translation = arguments.folder.resolve(), arguments.translation.resolve()
    config = load_config(
        Path(__file__).parent.parent / "configs" / "language-model.yaml",
        [
            "data.target_language=de",
            *(f"data.corpus.{split}=[{folder / f'{name}.de.gz'}]" for split, name in SPLITS.items()),
            f"tokenizer.model={translation / 'data' / 'target.model'}",
            *SETTINGS,
            *arguments.settings,
        ],
    )

    from nmt.cli.messages import logged_to_stderr
    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    from nmt.runs.language_models import find_perplexity
    from nmt.training.train import train

    with logged_to_stderr(), tempfile.TemporaryDirectory() as temporary:
        run = train(config, arguments.run or Path(temporary))
        validations = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
        perplexities = {
            "val": find_perplexity(run.path, "validation").as_json(),
            "test_2016_flickr": find_perplexity(run.path, "test").as_json(),
        }

        def translated(name: str, weight: float) -> tuple[list[str], list[str], float]:
            return _translate(translation, arguments.checkpoint, run.path, weight, folder / name, arguments.sentences)

        on_val: list[dict[str, Any]] = []
        for weight in WEIGHTS:
            hypotheses, references, seconds = translated("val", weight)
            scores = [asdict(score) for score in evaluate(hypotheses, references, "de", metrics=["BLEU", "chrF"])]
            on_val.append({"weight": weight, "scores": scores, "seconds": round(seconds, 1)})
            print(f"val, weight {weight}: BLEU {scores[0]['value']:.2f}, {seconds:.0f} s", file=sys.stderr)
        chosen = max(on_val[1:], key=lambda one: one["scores"][0]["value"])["weight"]
        baseline, references, _ = translated("test_2016_flickr", 0.0)
        hypotheses, references, _ = translated("test_2016_flickr", chosen)
        test = [asdict(one) for one in compare(hypotheses, baseline, references, "de", metrics=["BLEU", "chrF"])]
    result = {
        "command": shlex.join(
            ["python", "benchmarks/language_model.py", "FOLDER", "RUN", str(arguments.output), *_options(arguments)]
        ),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in PACKAGES},
        "settings": config.model_dump(mode="json", exclude={"data": True, "tokenizer": {"model"}}),
        "validations": [line for line in validations if "step" in line],
        "perplexities": perplexities,
        "fusion_on_val": on_val,
        "chosen_weight": chosen,
        "test_2016_flickr": test,  # `baseline` is without the language model
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    json.dump({"perplexities": perplexities, "chosen_weight": chosen, "test": test}, sys.stdout, indent=1)


def _translate(
    translation: Path, checkpoint: str | None, language_model: Path, weight: float, files: Path, most: int | None
) -> tuple[list[str], list[str], float]:
    """Translations and references of a split, and the seconds that the translations took."""
    from nmt.data.readers import read_texts
    from nmt.runs.translation import load_translator

    sources, references = (
        [line.target.decode() for line in read_texts([files.with_name(f"{files.name}.{language}.gz")])][:most]
        for language in ("en", "de")
    )
    overrides = [f"decoding.language_model={language_model}", f"decoding.language_model_weight={weight}"]
    translator = load_translator(translation, checkpoint, overrides if weight else [])
    start = time.perf_counter()
    translations = list(translator.best(sources))
    return translations, references, time.perf_counter() - start


def _options(arguments: argparse.Namespace) -> Sequence[str]:
    """Those that change the result."""
    options = [part for setting in arguments.settings for part in ("--set", setting)]
    for name in ("checkpoint", "sentences"):
        if (value := getattr(arguments, name)) is not None:
            options += [f"--{name}", str(value)]
    return options


if __name__ == "__main__":
    main()
