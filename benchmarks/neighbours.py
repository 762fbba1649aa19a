"""Compares the settings that `nmt train FILES --minutes` chooses with their neighbours, at as many FLOPs.

    python benchmarks/neighbours.py OUTPUT CORPUS... [--minutes 7] [--flops-per-second 3e10] [--arms ARM...]

A CORPUS is as in own_text.py. The arm `plan` has the settings that are chosen for a machine of --flops-per-second; any
other ARM is settings to change in it, such as "model.encoder_layers=1 model.decoder_layers=1". Each arm has as many
steps as cost the FLOPs of the plan's, and the same shares of them for warm-up and moving averages. The search is not
tuned. Scores are those of the pairs held out for validation. Runs that OUTPUT already has are skipped.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine
from own_text import COMPILE_SECONDS, PACKAGES, Pairs, read_corpus

from nmt.config import Config, save_config
from nmt.constants import SIDES
from nmt.data.preparation import read_checked_sentences
from nmt.evaluation.metrics import evaluate
from nmt.models.flops import training_flops
from nmt.runs.folder import RunFolder
from nmt.runs.models import build_sized_model
from nmt.runs.translation import load_translator
from nmt.training.budget import Machine, course, with_padding
from nmt.training.plan import plan_training
from nmt.utils.files import written_whole

SENTENCE = 12  # tokens: how long sentences are where the FLOPs of arms are compared


def main() -> None:
    """Trains and scores each arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("corpora", nargs="+", metavar="CORPUS")
    parser.add_argument("--minutes", type=float, default=7)
    parser.add_argument("--flops-per-second", type=float, default=3e10)
    parser.add_argument("--arms", nargs="+", default=["plan"])
    arguments = parser.parse_args()
    result: dict[str, Any] = {"commands": [], "runs": []}
    if arguments.output.exists():
        result = json.loads(arguments.output.read_text(encoding="utf-8"))
    result["commands"].append(shlex.join(["python", "benchmarks/neighbours.py", *sys.argv[1:]]))
    result |= {"machine": describe_machine(), "versions": {name: version(name) for name in PACKAGES}}
    machine = Machine(arguments.flops_per_second, COMPILE_SECONDS)
    for corpus in arguments.corpora:
        name, _, folder = corpus.partition("=")
        pairs = read_corpus(name, Path(folder))["train"]
        for arm in arguments.arms:
            key = {"corpus": name, "minutes": arguments.minutes, "arm": arm}
            key |= {"flops per second": machine.flops_per_second}
            if any(key.items() <= run.items() for run in result["runs"]):
                continue
            with tempfile.TemporaryDirectory() as temporary:
                config = settings(name, pairs, arm, arguments.minutes, machine, Path(temporary))
                result["runs"].append(key | train(config, Path(temporary)))
            with written_whole(arguments.output) as file:
                json.dump(result, file, indent=1)
            print(result["runs"][-1], flush=True)


def settings(corpus: str, pairs: Pairs, arm: str, minutes: float, machine: Machine, folder: Path) -> Config:
    """The settings of an arm, with as many steps as cost what the plan's do."""
    _, source, target = corpus.split("-", 2)
    text = folder / f"train.{source}-{target}.tsv"
    text.write_text("".join("\t".join(" ".join(side.split()) for side in pair) + "\n" for pair in pairs), "utf-8")
    data = {"source_language": source, "target_language": target, "corpus": {"kind": "tsv", "train": [str(text)]}}

    def plan(changes: list[str]) -> Config:
        changes = [*changes, "training.max_minutes=null", "training.precision=float32"]
        return plan_training(data, minutes=minutes, machine=machine, overrides=changes)

    planned = plan([])
    if arm == "plan":
        return planned
    changes = arm.split()
    steps = round(planned.training.max_steps * flops_of_step(planned) / flops_of_step(plan(changes)))
    return plan([f"training.{name}={value}" for name, value in course(steps, minutes).items()] + changes)


def flops_of_step(config: Config) -> float:
    """What a training step costs, with sentences of the same length for all arms."""
    size, tokens = config.tokenizer.vocabulary_size, config.batches.tokens
    longer = with_padding(SENTENCE, config.batches.shapes)
    model = build_sized_model(config, size, size, "float32")
    passes = 2 if config.training.consistency else 1
    return passes * training_flops(model, tokens / longer, tokens, tokens, tokens * longer)


def train(config: Config, folder: Path) -> dict[str, Any]:
    """Trains by the command line, and scores the translations of the validation split."""
    save_config(config, folder / "config.yaml")
    run = RunFolder(folder / "run")
    command = [sys.executable, "-m", "nmt", "train", str(folder / "config.yaml"), "--run", str(run.path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    *_, last = map(json.loads, run.metrics.read_text(encoding="utf-8").splitlines())
    source, references = (list(read_checked_sentences(run.data, "validation", side)) for side in SIDES)
    scores = evaluate(list(load_translator(run.path).best(source)), references, config.data.target_language)
    return {
        "model": config.model.model_dump(mode="json"),
        "batch tokens": config.batches.tokens,
        "steps": config.training.max_steps,
        "validation loss": last["validation_loss"],
        **{score.name: round(score.value, 2) for score in scores},
    }


if __name__ == "__main__":
    main()
