"""What OpenNMT-tf and JoeyNMT translate like after the training time that configs/base.yaml takes.

    benchmarks/peers/setup.sh FOLDER MULTI30K_FOLDER
    python benchmarks/peer_quality.py FOLDER benchmarks/results/peer-quality.json --test

Both train the reference shape as in peers.py, without a validation on the way. They are stopped --minutes after the
first line of their log that shows an update: OpenNMT-tf then has its last checkpoint, made every 50 updates, JoeyNMT
saves its weights where it stands. They translate with beam 5 and a length penalty of 1, from text to text. Scores and
rules are those of quality.py. A system that OUTPUT has already is not trained again, nor is one whose training from
--seed for --minutes is whole under FOLDER/quality.
"""

import argparse
import json
import shlex
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml
from machine import describe_machine
from peer_systems import ENVIRONMENT, SETTINGS, System, peer_systems, start
from quality import as_papers_do

from nmt.utils.files import written_whole

SPLITS = {"validation": "val", "test": "test_2016_flickr"}


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["OpenNMT-tf", "JoeyNMT"], action="append")
    parser.add_argument("--test", action="store_true", help="translate the test split too")
    arguments = parser.parse_args()
    # JoeyNMT saves its weights on SIGINT, which it inherits as ignored from a program that a shell started in the
    # background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = arguments.folder.resolve()
    result: dict[str, Any] = {"systems": {}}
    if arguments.output.exists():
        result = json.loads(arguments.output.read_text(encoding="utf-8"))
    for system in peer_systems(folder):
        if system.name not in (arguments.only or ["OpenNMT-tf", "JoeyNMT"]) or system.name in result["systems"]:
            continue
        work = folder / "quality" / system.name
        # A translation that failed does not cost its training.
        trained = work / f"seed-{arguments.seed}-minutes-{arguments.minutes:g}.json"
        if not trained.exists():
            figures = train(system, work, arguments.seed, arguments.minutes)
            trained.write_text(json.dumps(figures), encoding="utf-8")
        figures = json.loads(trained.read_text(encoding="utf-8"))
        scores = {}
        for split in ("validation", "test") if arguments.test else ("validation",):
            translations = work / f"translations.{split}.txt"
            translate(system, work, SPLITS[split], translations)
            scores[split] = score(translations, folder / f"{SPLITS[split]}.de")
        result["systems"][system.name] = {"versions": system.versions(), **figures, "scores": scores}
        options = ["--minutes", f"{arguments.minutes:g}", "--seed", str(arguments.seed), *["--test"] * arguments.test]
        result |= {
            "command": shlex.join(["python", "benchmarks/peer_quality.py", "FOLDER", "OUTPUT", *options]),
            "machine": describe_machine(),
        }
        with written_whole(arguments.output) as file:
            json.dump(result, file, indent=1)
        print(system.name, {split: of_split[0]["value"] for split, of_split in scores.items()}, flush=True)


def train(system: System, work: Path, seed: int, minutes: float) -> dict[str, Any]:
    """Trains until the time is over; what is left in `work` can be translated with."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = system.command(seed, work)
    if system.name == "OpenNMT-tf":
        settings = {"train": {"save_checkpoints_steps": 50, "keep_checkpoint_max": 3, "save_summary_steps": 50}}
        (work / "more.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        configs = [str(SETTINGS / "opennmt_tf.yml"), str(work / "more.yml")]
        command[-1:-1] = ["--config", *configs, f"--seed={seed}"]  # the last one counts
    rates, updates, started = [], 0, 0.0
    with open(work / "training.log", "w", encoding="utf-8") as log:
        process = start(system, command)
        try:
            for line in process.stdout or ():
                log.write(line)
                match = system.line.search(line)
                if match:
                    started = started or time.monotonic()
                    updates = int(match["update"])
                    rates.append(int(match["rate"]))
                if started and time.monotonic() - started >= minutes * 60:
                    break
            else:
                raise SystemExit(f"{system.name} ended by itself; see {log.name}")
            seconds = time.monotonic() - started
            if system.name == "JoeyNMT":
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
    return {
        "minutes": seconds / 60,
        "updates_when_stopped": updates,
        "target_tokens_per_second": round(statistics.median(rates)),
    }


def translate(system: System, work: Path, split: str, output: Path) -> None:
    """Translates a split that setup.sh has laid out, from text to text."""
    source = system.place / f"{split}.en"
    if system.name == "OpenNMT-tf":
        beam = work / "beam.yml"
        beam.write_text(yaml.safe_dump({"params": {"beam_width": 5}}), encoding="utf-8")
        configs = [str(path) for path in (SETTINGS / "opennmt_tf.yml", SETTINGS / "opennmt_tf_text.yml", beam)]
        files = [f"--features_file={source}", f"--predictions_file={output}"]
        model = [f"--model={SETTINGS / 'opennmt_tf_model.py'}", f"--model_dir={work}"]
        command = [str(system.python.with_name("onmt-main")), *model, "--config", *configs, "infer", *files]
        subprocess.run(command, cwd=system.place, env=ENVIRONMENT, check=True)
        return
    config = yaml.safe_load((work / "config.yaml").read_text(encoding="utf-8"))
    weights = max((work / "model").glob("[0-9]*.ckpt"), key=lambda path: int(path.stem))
    config["testing"] |= {"beam_alpha": 1.0, "load_model": str(weights)}
    (work / "translate.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [str(system.python), "-m", "joeynmt", "translate", str(work / "translate.yaml")]
    with open(source, encoding="utf-8") as lines, open(output, "w", encoding="utf-8") as file:
        subprocess.run(command, cwd=system.place, env=ENVIRONMENT, check=True, stdin=lines, stdout=file)


def score(translations: Path, references: Path) -> list[dict[str, Any]]:
    """Cased BLEU of sacreBLEU's own tokens, and what papers report."""
    from sacrebleu.metrics import BLEU

    sides = [path.read_text(encoding="utf-8").removesuffix("\n").split("\n") for path in (translations, references)]
    if len(sides[0]) != len(sides[1]):
        raise SystemExit(f"{translations}: {len(sides[0])} lines for {len(sides[1])} references")
    metric = BLEU()
    value = metric.corpus_score(sides[0], [sides[1]]).score
    return [
        {"name": "BLEU", "value": value, "signature": str(metric.get_signature())},
        as_papers_do(translations, references),
    ]


if __name__ == "__main__":
    main()
