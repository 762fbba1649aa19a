"""Which goal the search should be tuned by: what each chooses on validation, and what that reaches on test.

    python benchmarks/tuning_goals.py OUTPUT RUN... [--sentences 1000]

The search of each run is tuned on its validation split as `nmt tune` does it, by each goal: BLEU alone, the mean of
BLEU and chrF, and the mean of BLEU, chrF and 100 - TER. The test split is then translated with what was chosen.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.constants import SIDES
from nmt.data.token_store import read_sentences
from nmt.runs.folder import load_run_config
from nmt.runs.tuning import choose
from nmt.utils.files import written_whole

PACKAGES = ("tensorflow", "tensorflow-text", "sentencepiece", "sacrebleu")
BEGIN = {"length_penalty": 1.0, "beam_size": 5, "coverage_penalty": 0.0}

GOALS: dict[str, Callable[[Mapping[str, float]], float]] = {
    "BLEU": lambda scores: scores["BLEU"],
    "BLEU, chrF": lambda scores: (scores["BLEU"] + scores["chrF2"]) / 2,
    "BLEU, chrF, TER": lambda scores: (scores["BLEU"] + scores["chrF2"] + 100 - scores["TER"]) / 3,
}


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--sentences", type=int, default=1000, help="of validation; the whole test split is translated")
    arguments = parser.parse_args()
    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    result: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/tuning_goals.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": describe_machine(),
        "runs": {},
    }
    for run in arguments.runs:
        result["runs"][run.name] = tune_by_each(run, arguments.sentences)
        with written_whole(arguments.output) as file:
            json.dump(result, file, indent=1)
        print(table(run.name, result["runs"][run.name]), flush=True)


def tune_by_each(path: Path, sentences: int) -> dict[str, Any]:
    """What each goal chooses for a run, and the scores of the test split with it."""
    measured: dict[str, dict[str, dict[str, float]]] = {"validation": {}, "test": {}}

    def scores(split: Any, settings: dict[str, float]) -> dict[str, float]:
        key = ", ".join(f"{name} {value}" for name, value in settings.items())
        if key not in measured[split]:
            measured[split][key] = translate(path, split, sentences if split == "validation" else None, settings)
        return measured[split][key]

    chosen = {}
    for name, goal in GOALS.items():
        settings, _ = choose(BEGIN, lambda settings, goal=goal: goal(scores("validation", settings)))
        chosen[name] = {"settings": settings, "test": scores("test", settings)}
    return {"chosen": chosen, "validation": measured["validation"]}


def translate(path: Path, split: Any, count: int | None, settings: dict[str, float]) -> dict[str, float]:
    """The scores of a split, translated with these settings of the search."""
    from nmt.evaluation.metrics import evaluate
    from nmt.runs.translation import load_translator

    run, config = load_run_config(path)
    sources, references = (list(read_sentences(run.data, split, side))[:count] for side in SIDES)
    overrides = [f"decoding.{name}={value}" for name, value in settings.items()]
    translations = list(load_translator(path, overrides=overrides).best(sources))
    scores = {one.name: one.value for one in evaluate(translations, references, config.data.target_language)}
    words = [sum(len(text.split()) for text in texts) for texts in (translations, references)]
    return scores | {"words of the references": words[0] / words[1]}


def table(name: str, run: dict[str, Any]) -> str:
    """What the goals chose for a run, as a table in Markdown."""
    rows = [f"| {name}: tuned by | length penalty | beam | coverage | BLEU | chrF | TER |", "| --- " * 7 + "|"]
    for goal, chosen in run["chosen"].items():
        settings, test = chosen["settings"], chosen["test"]
        values = [f"{value:g}" for value in settings.values()]
        scores = [f"{test[metric]:.1f}" for metric in ("BLEU", "chrF2", "TER")]
        rows.append(f"| {' | '.join([goal, *values, *scores])} |")
    return "\n".join([*rows, ""])


if __name__ == "__main__":
    main()
