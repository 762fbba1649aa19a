"""Measures the speed of translation of this project, CTranslate2, OpenNMT-tf and Marian, without an accelerator.

    benchmarks/peers/setup.sh FOLDER MULTI30K_FOLDER
    benchmarks/peers/train.sh FOLDER
    nmt export RUN --to EXPORT_5
    nmt export RUN --to EXPORT_1 --set decoding.beam_size=1
    python benchmarks/translation.py FOLDER RUN EXPORT_5 EXPORT_1 benchmarks/results/translation.json --tune
    python benchmarks/translation.py FOLDER RUN EXPORT_5 EXPORT_1 benchmarks/results/translation.json

RUN is a run of configs/ref-256.yaml on Multi30k English to German, the shape of all systems. They translate the 1,000
sentences of test_2016_flickr at beam 5 and greedily, from text to text: each reads a file, splits it into its pieces by
SentencePiece, sorts it by length, makes batches, searches and joins the pieces again.

    GRU NMT, SavedModel     one request of all sentences to the export, which sorts and batches inside its graph
    GRU NMT, translator     `nmt.load_translator`, which is what `nmt translate` uses
    GRU NMT, a student's SavedModel   that of `nmt distill RUN`, with --student, greedily
    CTranslate2             a Transformer of random weights with RUN's vocabulary, in int8 and in float32, forced to say
                            15 pieces; see peers/ctranslate2_translate.py
    OpenNMT-tf              what its `infer` does, SentencePiece in its graph; see peers/opennmt_tf_translate.py
    Marian                  pymarian's `Translator` with a thread for each core

Every system is loaded in a process of its own that stays, and has translated a hundred sentences before it is measured;
then they take turns, the others waiting idle, in the reverse order in every other round. Only ratios within a round
count. --tune finds the batch size with which each peer is fastest, keeps it in FOLDER, and ends; what was tried is
copied into the result. The length penalty is 1 everywhere, and all compute in float32, but for our own if both exports
and `--set` have decoding.precision=bfloat16.

Then one sentence at a time, each when the one before is done, through CTranslate2 and the SavedModels of this project
and OpenNMT-tf, all from a string to a string: the time of the call in Python. Those of 13 words (split at spaces) are
translated in every round, and in each round another share of all sentences.

The shapes agree in widths and depths, not in every equation; peers.py says how they differ. The peers are trained for
less time than RUN: the time of a search hangs on how long the translations are, not on whether they are good, so their
lengths are reported, in words and in pieces of one tokenizer, and BLEU so that nobody is fast by saying nothing.

A figure is only good where `cores_of_others`, the processor time that other processes took meanwhile, is close to zero.
Needs Linux.
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine
from peer_systems import output_of, peer_systems, versions_in
from peers import MATRIX_PRODUCT
from translation_report import WORDS, summarize, tables
from translation_systems import (
    BATCH_SIZES,
    OUR_TOKENIZER,
    TUNED,
    System,
    Worker,
    opennmt_tf_saved_model,
    our_saved_model,
    our_translator,
)

from nmt.utils.files import written_whole

BEAM_SIZES = (5, 1)
WARM_UP = 100  # sentences that are not counted
PACKAGES = ("gru-nmt", "tensorflow", "tensorflow-text", "keras", "numpy")


@dataclass(frozen=True)
class Sentences:
    """What is translated, as files that every system reads.

    Attributes:
        count: of the sentences in `all`.
        warm_up: the first of them.
        all: of the test set.
        of_length: those of `WORDS` words.
        shares: for each round some others, together all.
    """

    count: int
    warm_up: Path
    all: Path
    of_length: Path
    shares: list[Path]

    @classmethod
    def written(cls, folder: Path, lines: list[str], rounds: int) -> "Sentences":
        """Writes the files."""

        def write(name: str, some: list[str]) -> Path:
            path = folder / name
            path.write_text("".join(line + "\n" for line in some), encoding="utf-8")
            return path

        return cls(
            len(lines),
            write("warm-up", lines[:WARM_UP]),
            write("all", lines),
            write("of length", [line for line in lines if len(line.split()) == WORDS]),
            [write(f"share {start}", lines[start::rounds]) for start in range(rounds)],
        )


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("folder", "run", "export_5", "export_1", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--tune", action="store_true", help="only find the batch sizes with which the peers are fastest"
    )
    parser.add_argument("--sentences", type=int, default=1000, help="the first ones of the test set")
    parser.add_argument("--peers", nargs="+", choices=TUNED, default=list(TUNED), help="the peers that are measured")
    parser.add_argument("--student", type=Path, help="the export of a student of RUN, which is measured, too")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of our translator")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    english, german = (
        (folder / f"test_2016_flickr.{language}").read_text(encoding="utf-8").splitlines()[: arguments.sentences]
        for language in ("en", "de")
    )
    shutil.copy(arguments.run / "data" / "source.model", folder / OUR_TOKENIZER)
    tuning = folder / "translation-tuning.json"
    with tempfile.TemporaryDirectory() as temporary:
        sentences = Sentences.written(Path(temporary), english, arguments.rounds)
        if arguments.tune:
            with written_whole(tuning) as file:
                json.dump(tune(folder, sentences, arguments.peers), file, indent=1)
            return
        if not tuning.exists():
            parser.error(f"{tuning} is not there; --tune makes it")
        tuned = json.loads(tuning.read_text(encoding="utf-8"))
        systems: list[System] = []
        for beam_size, export in zip(BEAM_SIZES, (arguments.export_5, arguments.export_1), strict=True):
            systems += [our_saved_model(export, beam_size), our_translator(arguments.run, beam_size, arguments.set)]
            for name in arguments.peers:
                systems.append(TUNED[name](folder, beam_size, tuned[name][str(beam_size)]["best"]))
            if "OpenNMT-tf" in arguments.peers:
                systems.append(opennmt_tf_saved_model(folder, beam_size))
        if arguments.student:
            systems.append(our_saved_model(arguments.student, 1, "GRU NMT, a student's SavedModel"))
        rounds = measure(systems, folder / "runs", sentences, arguments.rounds)

    options = [str(arguments.output), "--rounds", str(arguments.rounds)]
    options += ["--peers", *arguments.peers] if arguments.peers != list(TUNED) else []
    options += ["--student", "STUDENT_EXPORT"] if arguments.student else []
    options += [part for setting in arguments.set for part in ("--set", setting)]
    result = {
        "command": shlex.join(
            ["python", "benchmarks/translation.py", "FOLDER", "RUN", "EXPORT_5", "EXPORT_1", *options]
        ),
        "machine": describe_machine(),
        "versions": {"GRU NMT": {name: version(name) for name in PACKAGES}}
        | versions_of_peers(folder, arguments.peers),
        "batch_sizes_tried": tuned,
        **summarize(systems, rounds, german, folder / OUR_TOKENIZER),
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(tables(result))
    disturbance = max(result["cores_of_others"])
    if disturbance > 0.1:
        print(f"other processes took up to {disturbance} cores: measure again when it is quiet", file=sys.stderr)


def versions_of_peers(folder: Path, peers: list[str]) -> dict[str, dict[str, str]]:
    """The versions of the packages of each peer."""
    found = {}
    if any(name.startswith("CTranslate2") for name in peers):
        found["CTranslate2"] = versions_in(folder / "ctranslate2" / "bin" / "python", ("ctranslate2", "numpy"))
    if set(peers) & {"OpenNMT-tf", "Marian"}:
        found |= {system.name: system.versions() for system in peer_systems(folder) if system.name in peers}
    return found


def tune(folder: Path, sentences: Sentences, peers: list[str]) -> dict[str, Any]:
    """The speed of each peer with each batch size, and the batch size with which it is fastest, by its beam size."""
    tuned: dict[str, Any] = {name: {} for name in peers}
    for name in peers:
        for beam_size in BEAM_SIZES:
            speeds = {}
            for batch_size in BATCH_SIZES:
                with Worker(TUNED[name](folder, beam_size, batch_size), folder / "runs") as worker:
                    worker.translate("all", sentences.warm_up)
                    seconds = worker.translate("all", sentences.all)["seconds"]
                speeds[batch_size] = round(sentences.count / seconds, 1)
                print(
                    f"{worker.system.label}: {speeds[batch_size]} sentences/s in batches of {batch_size}",
                    file=sys.stderr,
                )
            best = max(speeds, key=lambda size: speeds[size])
            tuned[name][str(beam_size)] = {"sentences_per_second": speeds, "best": best}
    return tuned


def measure(systems: list[System], logs: Path, sentences: Sentences, rounds: int) -> list[dict[str, Any]]:
    """What the workers answer in each round, by system and by what they were asked to translate."""
    answers = []
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(system, logs)) for system in systems]
        for worker in workers:
            for task in worker.system.tasks:
                worker.translate(task, sentences.warm_up)
        for number in range(1, rounds + 1):
            rate = float(output_of([sys.executable, "-c", MATRIX_PRODUCT]))
            print(f"round {number}: a matrix product runs at {rate:.0f} GFLOP/s", file=sys.stderr)
            turns = workers if number % 2 else workers[::-1]  # so that a machine that slows down slows each the same
            figures: dict[str, Any] = {system.label: {} for system in systems}
            for worker in turns:
                if "all" in worker.system.tasks:
                    answer = worker.translate("all", sentences.all)
                    figures[worker.system.label]["all"] = answer
                    print(
                        f"{worker.system.label}: {sentences.count / answer['seconds']:.1f} sentences/s", file=sys.stderr
                    )
            for worker in turns:
                if "each" in worker.system.tasks:
                    for name, file in (("of_length", sentences.of_length), ("share", sentences.shares[number - 1])):
                        figures[worker.system.label][name] = worker.translate("each", file)
            answers.append({"matrix_product_gflops": round(rate), "answers": figures})
    return answers


if __name__ == "__main__":
    main()
