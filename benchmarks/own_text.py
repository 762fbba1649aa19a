"""Compares the settings that `nmt train FILES --minutes` chooses with hand-written configurations, on several corpora.

    python benchmarks/own_text.py OUTPUT CORPUS... [--arms plan base ...] [--seeds 1] [--minutes 30] [--pairs 1000]
                                   [--flops-per-second 5e10] [--xla step] [--keep FOLDER]
    python benchmarks/own_text.py table OUTPUT

A CORPUS is one of these, in either direction:

    multi30k-en-de=FOLDER  FOLDER has train, val and test_2016_flickr as .en.gz and .de.gz
    verses-ja-en=FOLDER    FOLDER is written by verses.py
    ui_strings-en-es       any two languages of the built-in corpus

Each model is trained on the training split alone, in a .tsv file; `nmt train` holds out pairs of it for validation. The
scores are those of the corpus's validation split and, with --test, of its test split.

The arm `plan` has the settings that `nmt train FILES --minutes` chooses on a machine of --flops-per-second, so that
results of several machines can be compared. The other arms are the plan with some settings changed, or configurations
of this repository with as many steps as their training has on that machine in the same minutes, so that their schedules
end. After training, the search of each model is tuned. Each model is scored with `decoding.limit_repetition` on and
off. Runs that OUTPUT already has are skipped.
"""

import argparse
import gzip
import json
import math
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.config import Config, DataSettings, load_config, load_saved_config, save_config
from nmt.data.counts import count_corpus, count_tokens
from nmt.data.readers import read_split
from nmt.evaluation.metrics import evaluate
from nmt.evaluation.repetition import measure_repetition
from nmt.runs.translation import load_translator
from nmt.training.budget import Machine, count_steps
from nmt.training.plan import plan_training
from nmt.utils.files import written_whole

PACKAGES = ("tensorflow", "tensorflow-text", "keras", "sentencepiece", "sacrebleu", "numpy")
CONFIGS = Path(__file__).parent.parent / "configs"
MULTI30K = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
HELD_OUT = 1000  # verses of validation and test, drawn with this seed
HELD_OUT_SEED = 1
COMPILE_SECONDS = 4.0  # for each batch shape, on the machine that is planned for
# The configuration, or None for the plan; and the settings that are changed in it.
ARMS: dict[str, tuple[str | None, list[str]]] = {
    "plan": (None, []),
    "base": ("base.yaml", []),
    "base, vocabulary of 8,000": ("base.yaml", ["tokenizer.vocabulary_size=8000"]),
    "ref-256, vocabulary of 4,000": ("ref-256.yaml", ["tokenizer.vocabulary_size=4000"]),
}

Pairs = list[tuple[str, str]]


def main() -> None:
    """Runs the benchmark, or prints the table of its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("corpora", nargs="+", metavar="CORPUS")
    parser.add_argument("--arms", nargs="+", default=["plan"], help=f"of {', '.join(ARMS)}, or settings of the plan")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--flops-per-second", type=float, default=5e10, help="of a training step's matrix products")
    parser.add_argument("--xla", default="parts", help="`training.xla`, which changes the speed, not what is learnt")
    parser.add_argument("--keep", type=Path, help="a folder to keep the runs in")
    parser.add_argument("--pairs", type=int, help="of the training split, drawn at random; all by default")
    parser.add_argument("--test", action="store_true", help="score the test split, too")
    arguments = parser.parse_args()
    if str(arguments.output) == "table":
        print(table(json.loads(Path(arguments.corpora[0]).read_text(encoding="utf-8"))["runs"]))
        return
    result: dict[str, Any] = {"commands": [], "runs": []}
    if arguments.output.exists():
        result = json.loads(arguments.output.read_text(encoding="utf-8"))
    result["commands"].append(shlex.join(["python", "benchmarks/own_text.py", *sys.argv[1:]]))
    for corpus in arguments.corpora:
        name, _, folder = corpus.partition("=")
        splits = read_corpus(name, Path(folder))
        if arguments.pairs:
            splits["train"] = random.Random(HELD_OUT_SEED).sample(splits["train"], arguments.pairs)
        for seed in arguments.seeds:
            for arm in arguments.arms:
                key = {"corpus": name, "pairs": len(splits["train"]), "minutes": arguments.minutes}
                key |= {"flops per second": arguments.flops_per_second, "arm": arm, "seed": seed}
                if not any(key.items() <= run.items() for run in result["runs"]):
                    scored = ["validation", "test"] if arguments.test else ["validation"]
                    with tempfile.TemporaryDirectory() as temporary:
                        folder = (arguments.keep or Path(temporary)) / f"{name} {arm} {len(splits['train'])} {seed}"
                        trained = train(name, splits["train"], arm, seed, arguments, folder)
                        run = key | describe(trained)
                        for split in scored:
                            run[split] = {
                                limit: score(trained, splits[split], _split_name(name)[2], limit == "limited")
                                for limit in ("limited", "unlimited")
                            }
                    result["runs"].append(run)
                    with written_whole(arguments.output) as file:
                        json.dump(result, file, indent=1)
                    print(table([run]), flush=True)


def read_corpus(name: str, folder: Path) -> dict[str, Pairs]:
    """Reads the splits of a corpus."""
    kind, source, target = _split_name(name)
    if kind == "multi30k":
        return {
            split: list(zip(*(read_lines(folder / f"{file}.{one}.gz") for one in (source, target)), strict=True))
            for split, file in MULTI30K.items()
        }
    if kind == "verses":
        verses = list(zip(*(read_lines(folder / f"verses.{one}.gz") for one in (source, target)), strict=True))
        random.Random(HELD_OUT_SEED).shuffle(verses)
        return {
            "validation": verses[:HELD_OUT],
            "test": verses[HELD_OUT : 2 * HELD_OUT],
            "train": verses[2 * HELD_OUT :],
        }
    splits = {"train": "train", "validation": "validation", "test": "test"}
    data = DataSettings(source_language=source, target_language=target, corpus={"kind": "tfds", "name": kind, **splits})
    return {
        split: [(pair.source.decode(), pair.target.decode()) for pair in read_split(data, split)] for split in splits
    }


def _split_name(name: str) -> tuple[str, str, str]:
    """The parts of `ui_strings-en-zh-Hans`, whose target has a script."""
    kind, source, target = name.split("-", 2)
    return kind, source, target


def read_lines(path: Path) -> list[str]:
    """The lines of a compressed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def train(corpus: str, pairs: Pairs, arm: str, seed: int, arguments: argparse.Namespace, folder: Path) -> Path:
    """Trains a model by the command line, tunes its search, and returns its run."""
    _, source, target = _split_name(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    run, text, chosen = folder / "run", folder / f"train.{source}-{target}.tsv", folder / "chosen.yaml"
    with open(text, "w", encoding="utf-8") as file:
        file.writelines("\t".join(" ".join(side.split()) for side in pair) + "\n" for pair in pairs)
    data = {
        "source_language": source,
        "target_language": target,
        "corpus": {"kind": "tsv", "train": [str(text.resolve())]},
    }
    machine = Machine(arguments.flops_per_second, COMPILE_SECONDS)
    config, changes = ARMS.get(arm, (None, arm.split()))
    # A machine that is slower than the one planned for, or is shared, makes all steps nevertheless.
    changes = [*changes, f"seed={seed}", "training.max_minutes=null", f"training.xla={arguments.xla}"]
    if config is None:
        settings = plan_training(data, minutes=arguments.minutes, machine=machine, overrides=changes)
    else:
        settings = by_hand(CONFIGS / config, changes, data, machine, arguments.minutes)
    save_config(settings, chosen)
    nmt("train", str(chosen), "--run", str(run))
    nmt("tune", str(run))
    return run


def by_hand(path: Path, changes: Sequence[str], data: dict[str, Any], machine: Machine, minutes: float) -> Config:
    """Returns a configuration of this repository for a corpus, with the steps for which there is time."""
    of_corpus = [f"data.{name}={json.dumps(value)}" for name, value in data.items()]
    of_search = [f"decoding.{name}=true" for name in ("limit_repetition", "split_sentences", "truecase")]
    held_out = ["data.held_out=1000", "training.validation_sentences=1000"]
    config = load_config(path, [*changes, *of_corpus, *of_search, *held_out])
    tokens = count_tokens(count_corpus(config.data), config.tokenizer.vocabulary_size)
    steps = count_steps(config, tokens, machine, minutes)
    validations = [f"training.max_steps={steps}", f"training.validate_every={math.ceil(steps / 12)}"]
    return load_config(path, [*changes, *of_corpus, *of_search, *held_out, *validations])


def describe(run: Path) -> dict[str, Any]:
    """What was trained, on what, and for how long."""
    config = load_saved_config(run / "config.yaml").model_dump(mode="json")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    curve = [{key: line[key] for key in ("step", "seconds", "bleu")} for line in lines if "step" in line]
    groups = ("tokenizer", "batches", "model", "training", "decoding")
    return {
        "config": {group: config[group] for group in groups},
        "curve": curve,
        "versions": {name: version(name) for name in PACKAGES},
        "machine": describe_machine(),
    }


def score(run: Path, pairs: Pairs, target: str, limited: bool) -> dict[str, float]:
    """The scores of a split, and how many translations loop or are too long."""
    sources, references = ([pair[side] for pair in pairs] for side in (0, 1))
    translator = load_translator(run, overrides=[f"decoding.limit_repetition={str(limited).lower()}"])
    translations = list(translator.best(sources))
    scores = {one.name: round(one.value, 2) for one in evaluate(translations, references, target)}
    (repetition,) = measure_repetition(sources, references, {"": translations})
    return scores | {"loops": repetition.loops, "too long": repetition.too_long}


def nmt(*arguments: str) -> None:
    """Runs a command of the project."""
    subprocess.run([sys.executable, "-m", "nmt", *arguments], check=True, stdout=subprocess.DEVNULL)


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Results as a table in Markdown, the mean over the seeds with the least and the largest."""
    rows = ["| corpus | pairs | minutes | arm | seeds | BLEU | chrF | TER | loops | BLEU, unlimited | loops |"]
    rows.append("| --- " * 11 + "|")
    for key in dict.fromkeys((run["corpus"], run["pairs"], run["minutes"], run["arm"]) for run in runs):
        same = [run for run in runs if (run["corpus"], run["pairs"], run["minutes"], run["arm"]) == key]
        unlimited = [run["validation"]["unlimited"] for run in same]
        limited = [run["validation"].get("limited", run["validation"]["unlimited"]) for run in same]  # JoeyNMT has none
        of_seeds = [_range([one[metric] for one in limited]) for metric in ("BLEU", "chrF2", "TER")]
        cells = [key[0], f"{key[1]:,}", f"{key[2]:g}", key[3], str(len(same)), *of_seeds]
        cells += [str(sum(one["loops"] for one in limited)), _range([one["BLEU"] for one in unlimited])]
        rows.append(f"| {' | '.join(cells)} | {sum(one['loops'] for one in unlimited)} |")
    return "\n".join(rows)


def _range(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main()
