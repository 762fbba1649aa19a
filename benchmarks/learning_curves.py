"""Trains JoeyNMT's Transformer on few pairs, to be compared with the settings that `nmt train FILES --minutes` chooses.

    benchmarks/peers/setup.sh FOLDER MULTI30K_FOLDER joeynmt
    python benchmarks/own_text.py OUTPUT CORPUS... --pairs 1000 --minutes 10 --seeds 1 2 3
    python benchmarks/learning_curves.py FOLDER OUTPUT CORPUS... --pairs 1000 20000 --minutes 10
    python benchmarks/learning_curves.py plot OUTPUT PICTURE

CORPUS and OUTPUT are those of own_text.py, whose results stay. The Transformer is that of
peers/joeynmt_transformer.yaml, with a joint vocabulary of as many subwords as the plan has for the pairs. It trains for
--minutes by the clock. Of its checkpoints, the one with the best BLEU on held-out training pairs translates, with beam
5 and a length penalty of 1.
"""

import argparse
import json
import random
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import yaml
from machine import describe_machine
from own_text import HELD_OUT_SEED, Pairs, read_corpus
from peer_systems import ENVIRONMENT, SETTINGS, versions_in

from nmt.config import parse_config
from nmt.data.counts import count_corpus
from nmt.evaluation.metrics import evaluate
from nmt.evaluation.repetition import measure_repetition
from nmt.training.plan import choose_vocabulary
from nmt.utils.files import written_whole

ARM = "JoeyNMT's Transformer"
PACKAGES = ("joeynmt", "torch", "numpy", "sentencepiece")


def main() -> None:
    """Runs the benchmark, or draws its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("corpora", nargs="+", metavar="CORPUS")
    parser.add_argument("--pairs", nargs="+", type=int, default=[1000, 20_000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--minutes", type=float, default=10)
    arguments = parser.parse_args()
    if str(arguments.folder) == "plot":
        draw(json.loads(arguments.output.read_text(encoding="utf-8"))["runs"], Path(arguments.corpora[0]))
        return
    # JoeyNMT saves its weights on SIGINT, which it inherits as ignored from a shell's background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result: dict[str, Any] = {"commands": [], "runs": []}
    if arguments.output.exists():
        result = json.loads(arguments.output.read_text(encoding="utf-8"))
    result["commands"].append(shlex.join(["python", "benchmarks/learning_curves.py", "FOLDER", *sys.argv[2:]]))
    python = (arguments.folder / "joeynmt" / "bin" / "python").absolute()
    for corpus in arguments.corpora:
        name, _, folder = corpus.partition("=")
        splits = read_corpus(name, Path(folder))
        for count in arguments.pairs:
            for seed in arguments.seeds:
                pairs = random.Random(HELD_OUT_SEED).sample(splits["train"], count)  # the same that own_text.py draws
                key = {"corpus": name, "pairs": count, "minutes": arguments.minutes, "arm": ARM, "seed": seed}
                if any(key.items() <= run.items() for run in result["runs"]):
                    continue
                with tempfile.TemporaryDirectory() as temporary:
                    run = key | train(python, Path(temporary), name, pairs, seed, arguments.minutes)
                    run["validation"] = score(python, Path(temporary), name, splits["validation"])
                run |= {"versions": versions_in(python, PACKAGES), "machine": describe_machine()}
                result["runs"].append(run)
                with written_whole(arguments.output) as file:
                    json.dump(result, file, indent=1)
                print(key, run["validation"], flush=True)


def train(python: Path, folder: Path, corpus: str, pairs: Pairs, seed: int, minutes: float) -> dict[str, Any]:
    """Trains until the time is over, and returns what was trained."""
    _, *languages = corpus.split("-", 2)
    text = folder / "pairs.tsv"
    text.write_text("".join("\t".join(" ".join(side.split()) for side in pair) + "\n" for pair in pairs), "utf-8")
    corpus_of_file = {"kind": "tsv", "train": [str(text)]}
    data = {"source_language": languages[0], "target_language": languages[1], "corpus": corpus_of_file}
    vocabulary = choose_vocabulary(count_corpus(parse_config({"data": data}).data))
    held_out = min(1000, max(1, len(pairs) // 20))  # as many as the plan holds out
    for split, of_split in (("dev", pairs[:held_out]), ("train", pairs[held_out:])):
        write(folder / split, languages, of_split)
    files = ",".join(str(folder / f"train.{language}") for language in languages)
    sentencepiece.SentencePieceTrainer.train(
        input=files, model_prefix=str(folder / "joint"), vocab_size=vocabulary, hard_vocab_limit=False,
        model_type="bpe", character_coverage=1.0, unk_id=0, pad_id=1, bos_id=2, eos_id=3, minloglevel=2,
    )  # fmt: skip
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "joint.model"))
    (folder / "vocab").write_text(
        "".join(tokenizer.id_to_piece(number) + "\n" for number in range(tokenizer.get_piece_size())), "utf-8"
    )
    config = yaml.safe_load((SETTINGS / "joeynmt_transformer.yaml").read_text(encoding="utf-8"))
    for side, language in zip(("src", "trg"), languages, strict=True):
        config["data"][side] = config["data"][side] | {"lang": language}
    config |= {"random_seed": seed, "model_dir": "model"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [str(python), "-m", "joeynmt", "train", "config.yaml"]
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT)
        try:
            while "Step:" not in (folder / "log").read_text(encoding="utf-8") and process.poll() is None:
                time.sleep(0.2)
            started = time.monotonic()
            while time.monotonic() - started < 60 * minutes and process.poll() is None:
                time.sleep(0.2)
            if process.poll() is not None:
                raise SystemExit((folder / "log").read_text(encoding="utf-8")[-3000:])
            process.send_signal(signal.SIGINT)
            process.wait(120)
        finally:
            process.kill()
            process.wait()
    lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    return {
        "config": {"vocabulary": tokenizer.get_piece_size(), "model": config["model"], "training": config["training"]},
        "last lines": [line for line in lines if "Step:" in line or "Validation result" in line][-3:],
    }


def write(path: Path, languages: Sequence[str], pairs: Pairs) -> None:
    """Writes the two sides of some pairs as text."""
    for language, side in zip(languages, zip(*pairs, strict=True), strict=True):
        text = "".join(" ".join(line.split()) + "\n" for line in side)
        Path(f"{path}.{language}").write_text(text, encoding="utf-8")


def score(python: Path, folder: Path, corpus: str, pairs: Pairs) -> dict[str, dict[str, float]]:
    """The scores of a split, and how many translations loop or are too long."""
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    best = folder / "model" / "best.ckpt"
    if not best.exists():
        raise SystemExit(
            f"JoeyNMT made no validation, one in {config['training']['validation_freq']} updates: too short"
        )
    config["testing"]["load_model"] = str(best)
    (folder / "translate.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    sources, references = ([" ".join(pair[side].split()) for pair in pairs] for side in (0, 1))
    command = [str(python), "-m", "joeynmt", "translate", "translate.yaml"]
    text = "".join(source + "\n" for source in sources)
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, check=True, input=text, capture_output=True, text=True, encoding="utf-8"
    )
    translations = done.stdout.splitlines()
    scores = {one.name: round(one.value, 2) for one in evaluate(translations, references, corpus.split("-", 2)[2])}
    (repetition,) = measure_repetition(sources, references, {"": translations})
    return {"unlimited": scores | {"loops": repetition.loops, "too long": repetition.too_long}}


def draw(runs: Sequence[dict[str, Any]], picture: Path) -> None:
    """Draws BLEU by the number of pairs, a panel for each corpus."""
    import matplotlib.pyplot as plt

    corpora = list(dict.fromkeys(run["corpus"] for run in runs))
    figure, panels = plt.subplots(1, len(corpora), figsize=(4.5 * len(corpora), 3.5), squeeze=False)
    for corpus, panel in zip(corpora, panels[0], strict=True):
        for arm, label in (("plan", "nmt train FILES"), (ARM, ARM)):
            of_arm = [run for run in runs if run["corpus"] == corpus and run["arm"] == arm]
            sizes = sorted({run["pairs"] for run in of_arm})
            values = [[_bleu(run) for run in of_arm if run["pairs"] == size] for size in sizes]
            means = [statistics.mean(of_size) for of_size in values]
            below = [mean - min(of_size) for mean, of_size in zip(means, values, strict=True)]
            above = [max(of_size) - mean for mean, of_size in zip(means, values, strict=True)]
            panel.errorbar(sizes, means, yerr=[below, above], marker="o", capsize=3, label=label)
        panel.set(title=corpus, xscale="log", xlabel="training pairs", ylabel="BLEU, validation split")
        panel.grid(visible=True, alpha=0.3)
        panel.legend()
    figure.tight_layout()
    figure.savefig(picture, dpi=120)


def _bleu(run: dict[str, Any]) -> float:
    """With the limit on repetition, where there is one."""
    scores = run["validation"]
    return float(scores.get("limited", scores["unlimited"])["BLEU"])


if __name__ == "__main__":
    main()
