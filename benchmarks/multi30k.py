"""Trains the reference shape on Multi30k English to German and records what it reaches, and how fast.

    python benchmarks/multi30k.py FOLDER benchmarks/results/multi30k-ref-256.json

FOLDER holds train, val and test_2016_flickr as .en.gz and .de.gz (Elliott et al. 2016, task 1, raw). Settings were
chosen on val alone; the test set is translated once, by the checkpoint that did best on val. Takes 30 minutes on 2
cores.
"""

import argparse
import json
import shlex
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from machine import describe_machine

from nmt.config import load_config
from nmt.evaluation.metrics import evaluate
from nmt.utils.files import written_whole

SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
PACKAGES = ("tensorflow", "tensorflow-text", "keras", "sentencepiece", "sacrebleu", "numpy")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--config", type=Path, default=Path(__file__).parent.parent / "configs" / "ref-256.yaml")
    parser.add_argument("--run", type=Path, help="the run folder; a temporary one if absent")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    files = [
        f"data.corpus.{split}.{side}=[{arguments.folder.resolve() / f'{name}.{language}.gz'}]"
        for split, name in SPLITS.items()
        for side, language in (("source", "en"), ("target", "de"))
    ]
    config = load_config(arguments.config, [*files, *arguments.settings])

    from nmt.cli.messages import logged_to_stderr
    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    from nmt.data.preparation import load_report
    from nmt.runs.translation import translate_split
    from nmt.training.train import train

    with logged_to_stderr(), tempfile.TemporaryDirectory() as temporary:
        run = train(config, arguments.run or Path(temporary))
        validations = [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]
        validations = [line for line in validations if "step" in line]
        report = load_report(run.data)
        scores = {}
        for split, name in SPLITS.items():
            if split != "train":
                _, translations, references, language = translate_split(run.path, split, "best", ())
                scores[name] = [asdict(score) for score in evaluate(translations, references, language)]
    settings = config.model_dump(mode="json", exclude={"data"})
    result = {
        "command": shlex.join(
            ["python", "benchmarks/multi30k.py", "FOLDER", str(arguments.output), *_changes(arguments.settings)]
        ),
        "machine": describe_machine(),
        "versions": {name: version(name) for name in PACKAGES},
        "settings": settings,
        "padding_share": report["padding_share"],
        "pairs": report["pairs"],
        "training_minutes": validations[-1]["seconds"] / 60,
        "validations": validations,
        "scores": scores,
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    json.dump(scores, sys.stdout, indent=1)


def _changes(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


if __name__ == "__main__":
    main()
