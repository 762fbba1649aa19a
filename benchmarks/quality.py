"""How well a configuration translates, from several seeds, and changes of it that each take a part away or add one.

    python benchmarks/quality.py multi30k=FOLDER benchmarks/results/base-multi30k.json --test
    python benchmarks/quality.py multi30k=FOLDER benchmarks/results/ablations.json --rows benchmarks/ablations.yaml
    python benchmarks/quality.py multi30k=FOLDER benchmarks/results/distilled.json --add DISTILLED
    python benchmarks/quality.py ui_strings=en-es benchmarks/results/base-en-es.json
    python benchmarks/quality.py table benchmarks/results/ablations.json
    python benchmarks/quality.py table benchmarks/results/base-en-es.json benchmarks/results/ref-256-en-es.json

FOLDER holds train, val and test_2016_flickr as .en.gz and .de.gz (Elliott et al. 2016, task 1, raw). The rows of a
table are named lists of settings in a YAML file; without one the only row is the configuration itself. Every row is
trained from every seed, seed by seed. With --averaged the mean of each run's last checkpoints translates too, and with
--together the models of all seeds as an ensemble, for which the run folders have to stay. A run that OUTPUT has already
is not made again: the same command goes on after a break. Several may write to one OUTPUT, each on a core of its own
(`taskset -c 0`), if they are given different rows or seeds. Everything is chosen on the validation split; the test
split is translated with --test alone.

Scores are sacreBLEU's, cased and detokenised, and for Multi30k in addition what papers report: BLEU of both sides with
punctuation normalised, lower-cased and tokenised by Moses' rules.
"""

import argparse
import fcntl
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from machine import describe_machine

from nmt.config import differences, load_config, parse_config
from nmt.utils.files import written_whole

PACKAGES = ("tensorflow", "tensorflow-text", "keras", "sentencepiece", "sacrebleu", "sacremoses", "numpy")
SPLITS = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
CONFIGS = Path(__file__).parent.parent / "configs"


def main() -> None:
    """Runs the benchmark, or prints the table of its results."""
    arguments = _arguments()
    if arguments.corpus == "table":
        print(table_of([arguments.output, *arguments.others]))
        return
    rows = yaml.safe_load(arguments.rows.read_text(encoding="utf-8")) if arguments.rows else {"all": []}
    result: dict[str, Any] = {"runs": []}

    def read() -> None:
        if arguments.output.exists():
            result.update(json.loads(arguments.output.read_text(encoding="utf-8")))

    def known(row: str, seed: int | list[int]) -> dict[str, Any] | None:
        return next((run for run in result["runs"] if (run["row"], run["seed"]) == (row, seed)), None)

    def keep(run: dict[str, Any]) -> None:
        with alone(arguments.output):
            read()  # what another one has written
            result["runs"].append(run)
            result.update(
                command=_command(arguments),
                config=str(Path("configs") / arguments.config.name),
                versions={name: version(name) for name in PACKAGES},
            )
            with written_whole(arguments.output) as file:
                json.dump(result, file, indent=1)
        print(run["row"], run["seed"], {split: one[0]["value"] for split, one in run["scores"].items()}, flush=True)

    read()
    with tempfile.TemporaryDirectory() as temporary:
        folders = arguments.runs or Path(temporary)
        for seed in arguments.seeds:
            for row in arguments.only or rows:
                changes, folder = [*arguments.settings, *rows[row]], _folder(folders, row, seed)
                if run := known(row, seed):
                    check_settings(run, arguments, [*changes, f"seed={seed}"])
                else:
                    run = {"row": row, "seed": seed, "changes": changes}
                    run |= measure(arguments, folder, [*changes, f"seed={seed}"])
                    keep(run)
                if arguments.averaged and not known(name := f"{row}, mean of checkpoints", seed):
                    keep({"row": name, "seed": seed, "minutes": run["minutes"], **score_averaged(arguments, folder)})
        for row in arguments.only or rows if arguments.together else ():
            name = f"{row}, ensemble of {len(arguments.seeds)}"
            if not known(name, arguments.seeds):
                first, *others = (_folder(folders, row, seed).resolve() for seed in arguments.seeds)
                minutes = sum(run["minutes"] for run in result["runs"] if run["row"] == row)
                scored = score(arguments, first, [f"decoding.ensemble=[{','.join(map(str, others))}]"])
                keep({"row": name, "seed": arguments.seeds, "minutes": minutes, **scored})
    print(table(result))


def check_settings(run: dict[str, Any], arguments: argparse.Namespace, changes: list[str]) -> None:
    """Stops where a run that is there was made with other settings than it would be now."""
    config = load_config(arguments.config, [*corpus_settings(arguments.corpus, arguments.add), *changes])
    # Settings that came later are at their defaults.
    made = parse_config(run["settings"] | {"data": config.data}, str(arguments.output))
    if config.training.precision == "auto":
        made = made.model_copy(update={"training": made.training.model_copy(update={"precision": "auto"})})
    if differences(made, config):
        raise SystemExit(f"{arguments.output}: {run['row']}, seed {run['seed']}, was made with other settings")


def measure(arguments: argparse.Namespace, folder: Path, changes: list[str]) -> dict[str, Any]:
    """Trains as a user would, and scores."""
    settings = [
        part for setting in [*corpus_settings(arguments.corpus, arguments.add), *changes] for part in ("--set", setting)
    ]
    subprocess.run(
        [sys.executable, "-m", "nmt", "train", str(arguments.config), "--run", str(folder), *settings], check=True
    )
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    curve = [line for line in lines if "step" in line]
    return {
        "machine": describe_machine() | {"cores_used": len(os.sched_getaffinity(0))},
        "settings": {key: value for key, value in lines[0]["config"].items() if key != "data"},
        "minutes": curve[-1]["seconds"] / 60,
        "curve": curve,
        **score(arguments, folder, []),
    }


def score_averaged(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Scores the mean of a run's latest checkpoints."""
    from nmt.runs.folder import RunFolder

    run = RunFolder(folder)
    subprocess.run([sys.executable, "-m", "nmt", "average", str(folder)], check=True)
    scored = score(arguments, folder, [])
    run.checkpoint("averaged").unlink()  # or an ensemble would take it
    return {"checkpoints": [path.stem for path in run.recent_checkpoints()], **scored}


def score(arguments: argparse.Namespace, folder: Path, decoding: list[str]) -> dict[str, Any]:
    """Translates the splits with a run, and scores them."""
    options = [part for setting in decoding for part in ("--set", setting)]
    scores, kept = {}, {}  # some metrics are scores; others count what translations preserve
    for split in ("validation", "test") if arguments.test else ("validation",):
        translations = folder / f"{'together' if decoding else 'translations'}.{split}.txt"
        evaluate = [sys.executable, "-m", "nmt", "evaluate", str(folder), "--split", split, *options]
        printed = subprocess.run(
            [*evaluate, "--save", str(translations), "--samples", "0", "--json"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        metrics = json.loads(printed)
        scores[split] = [{"name": name, **metric} for name, metric in metrics.items() if "value" in metric]
        kept[split] = {name: metric for name, metric in metrics.items() if "value" not in metric}
        if arguments.corpus.startswith("multi30k="):
            scores[split].append(as_papers_do(translations, folder / "data" / f"{split}.target.txt"))
    return {"scores": scores, "kept": kept}


def corpus_settings(corpus: str, added: Sequence[Path] = ()) -> list[str]:
    """The settings that name a corpus, and folders of `nmt augment` whose pairs are trained on too."""
    name, _, of = corpus.partition("=")
    if name == "ui_strings":
        source, target = of.split("-", 1)
        splits = ", ".join(f"{split}: {split}" for split in SPLITS)
        return [
            f"data.source_language={source}",
            f"data.target_language={target}",
            f"data.corpus={{kind: tfds, name: ui_strings, {splits}}}",
        ]
    if name != "multi30k":
        raise SystemExit(f"expected multi30k=FOLDER or ui_strings=SOURCE-TARGET, got {corpus}")
    folder = Path(of).resolve()
    files = {split: [(f"{folder / name}.en.gz", f"{folder / name}.de.gz")] for split, name in SPLITS.items()}
    files["train"] += [(f"{folder.resolve()}/source.txt", f"{folder.resolve()}/target.txt") for folder in added]
    splits = ", ".join(
        f"{split}: {{source: [{', '.join(sources)}], target: [{', '.join(targets)}]}}"
        for split, pairs in files.items()
        for sources, targets in [zip(*pairs, strict=True)]
    )
    return [
        "data.source_language=en",
        "data.target_language=de",
        f"data.corpus={{kind: text, {splits}}}",
        "decoding.length_penalty=1.5",  # chosen on its validation split
    ]


def as_papers_do(translations: Path, references: Path, language: str = "de") -> dict[str, Any]:
    """BLEU of lower-cased text in Moses' tokens, which sacreBLEU is to split at spaces alone."""
    from sacrebleu.metrics import BLEU
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    normalizer, tokenizer = MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)
    sides = [
        [
            tokenizer.tokenize(normalizer.normalize(line).lower(), escape=False, return_str=True)
            for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        ]
        for path in (translations, references)
    ]
    metric = BLEU(tokenize="none", force=True)
    score = metric.corpus_score(sides[0], [sides[1]])
    return {
        "name": "BLEU of lower-cased Moses tokens",
        "value": score.score,
        "signature": f"{metric.get_signature()}; sacremoses {version('sacremoses')}, punctuation normalised",
    }


def table_of(outputs: Sequence[Path]) -> str:
    """The table of one OUTPUT, or of several, whose rows then begin with their names."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in outputs}
    if len(results) == 1:
        return table(*results.values())
    runs = [
        run | {"row": name if run["row"] == "all" else f"{name}, {run['row'].removeprefix('all, ')}"}
        for name, result in results.items()
        for run in result["runs"]
    ]
    return table({"runs": runs})


def table(result: dict[str, Any]) -> str:
    """Of each row the means over its seeds, with the least and the largest, as Markdown."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for run in result["runs"]:
        rows.setdefault(run["row"], []).append(run)
    # Not every run need have been scored on the same splits.
    names = list(
        dict.fromkeys(
            (split, score["name"])
            for run in result["runs"]
            for split, scores in run["scores"].items()
            for score in scores
        )
    )
    lines = [["row", "seeds", "minutes", *(f"{split}, {name}" for split, name in names)]]
    lines.append(["---"] * len(lines[0]))
    for row, runs in rows.items():
        columns = [
            [score["value"] for run in runs for score in run["scores"].get(split, []) if score["name"] == name]
            for split, name in names
        ]
        minutes = statistics.mean(run["minutes"] for run in runs)
        seeds = runs[0]["seed"] if isinstance(runs[0]["seed"], list) else runs
        lines.append([row, str(len(seeds)), f"{minutes:.0f}", *map(_spread, columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Keeps others that write to OUTPUT waiting."""
    folder = os.open(output.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="multi30k=FOLDER, ui_strings=SOURCE-TARGET, or table")
    parser.add_argument("output", type=Path)
    parser.add_argument("others", type=Path, nargs="*", help="for table, more of the kind")
    parser.add_argument("--config", type=Path, default=CONFIGS / "base.yaml")
    parser.add_argument("--rows", type=Path, help="a YAML file of names and lists of settings")
    parser.add_argument("--add", type=Path, action="append", default=[], help="train on pairs of `nmt augment` too")
    parser.add_argument("--only", action="append", help="a row; may be repeated")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--runs", type=Path, help="where the run folders stay; else they are temporary")
    parser.add_argument("--test", action="store_true", help="translate the test split too")
    parser.add_argument("--averaged", action="store_true", help="score the mean of a run's last checkpoints too")
    parser.add_argument("--together", action="store_true", help="score the ensemble of all seeds too")
    arguments = parser.parse_args()
    if (arguments.averaged or arguments.together) and not arguments.runs:
        parser.error("--averaged and --together need --runs")
    if arguments.others and arguments.corpus != "table":
        parser.error(f"one OUTPUT is written, got {len(arguments.others) + 1}")
    return arguments


def _folder(folders: Path, row: str, seed: int) -> Path:
    return folders / f"{row.replace(' ', '-')}-{seed}"


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f}" if values else ""
    return f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _command(arguments: argparse.Namespace) -> str:
    """The command without the machine's paths."""
    name, _, _ = arguments.corpus.partition("=")
    corpus = "multi30k=FOLDER" if name == "multi30k" else arguments.corpus
    options = [part for setting in arguments.settings for part in ("--set", setting)]
    for folder in arguments.add:
        options += ["--add", folder.name]
    if arguments.rows:
        options += ["--rows", str(Path("benchmarks") / arguments.rows.name)]
    options += ["--config", str(Path("configs") / arguments.config.name)]
    options += ["--averaged"] * arguments.averaged
    options += ["--test"] * arguments.test + ["--together"] * arguments.together
    options += ["--runs", "RUNS"] * (arguments.averaged or arguments.together)  # both need the folders
    return shlex.join(["python", "benchmarks/quality.py", corpus, "OUTPUT", *options])


if __name__ == "__main__":
    main()
