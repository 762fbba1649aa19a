"""Measures the training speed of this project, OpenNMT-tf, Marian and JoeyNMT side by side, without an accelerator.

    benchmarks/peers/setup.sh FOLDER MULTI30K_FOLDER
    python benchmarks/peers.py FOLDER MULTI30K_FOLDER benchmarks/results/peers.json \\
        --ours float32=training.xla=parts --ours bfloat16=training.precision=bfloat16,training.xla=parts

All train the reference shape of configs/ref-256.yaml on Multi30k English to German: batches of about 3,000 tokens,
dropout 0.2, label smoothing 0.1, Adam, and what else each does by default. They take turns, and in each round every one
starts anew with another order of the data; only ratios within a round count. The figure is target tokens a second,
each sentence's end mark included, padding not, from the lines that each system prints of its own training: tokens
between two lines over the time between their arrivals. The first line is that of update WARM_UP or the next one, the
last comes --seconds later.

    this project  its metric `tokens`, which counts the ids that are not padding; see peers/nmt_train.py
    Marian        `after N`: target tokens so far
    OpenNMT-tf    `N target`: target tokens a second since the line before
    JoeyNMT       `Tokens per Sec`: the same

Loading, compiling, validations and checkpoints are in nobody's figure; reading, batching, clipping where it is the
default, and the optimizer are in everybody's. The shapes agree in widths and depths, not in every equation: attention
feeds back into the recurrence in OpenNMT-tf, JoeyNMT and Marian, Marian's decoder has two transitions a step, and the
embeddings of OpenNMT-tf are not tied. Batches are each system's own: JoeyNMT does not group sentences by length, so
about half of its 3,000 positions are padding, and Marian counts source tokens without padding. All vocabularies have
8,000 entries, and 256 of ours are bytes, so that our sentences may be longer; see `target_tokens_per_pair`.
Memory is the peak of the resident set until the end of the measurement.

Marian and JoeyNMT lose most of their speed where other processes want the same cores, so a figure is only good where
`cores_of_others`, the processor time that others took while it was measured, is close to zero. Needs Linux.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from machine import describe_machine
from peer_systems import System, our_system, output_of, peer_systems, start

from nmt.utils.files import written_whole

WARM_UP = 5  # updates that are not counted

# Prints the rate of a matrix product in GFLOP/s: how fast the machine is just now.
MATRIX_PRODUCT = """
import statistics, time
from nmt.utils.silence import silenced

with silenced():
    import tensorflow as tf

    tf.config.list_physical_devices()

matrix = tf.random.normal((2048, 2048))
rates = []
for _ in range(21):
    start = time.perf_counter()
    tf.matmul(matrix, matrix).numpy()
    rates.append(2 * 2048**3 / (time.perf_counter() - start) / 1e9)
print(statistics.median(rates))
"""


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("multi30k", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30, help="measured of each system in each round")
    parser.add_argument(
        "--ours",
        action="append",
        metavar="LABEL=KEY=VALUE,...",
        help="a configuration of ours and what it changes in configs/ref-256.yaml; may be repeated",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for all of ours")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    configurations = {
        label: ["batches.tokens=3000", *arguments.set, *filter(None, changes.split(","))]
        for label, _, changes in (text.partition("=") for text in arguments.ours or ["reference"])
    }
    systems = [
        *(
            our_system(label, folder, arguments.multi30k.resolve(), changes)
            for label, changes in configurations.items()
        ),
        *peer_systems(folder),
    ]
    versions = {system.name: system.versions() for system in systems}

    rounds: list[dict[str, Any]] = []
    for number in range(1, arguments.rounds + 1):
        rate = float(output_of([sys.executable, "-c", MATRIX_PRODUCT]))
        print(f"round {number}: a matrix product runs at {rate:.0f} GFLOP/s", file=sys.stderr)
        turns = systems if number % 2 else systems[::-1]  # so that a machine that slows down slows each the same
        figures = {system.name: measure(system, folder / "runs", number, arguments.seconds) for system in turns}
        rounds.append({"matrix_product_gflops": round(rate), "systems": figures})

    result = {
        "command": shlex.join(["python", "benchmarks/peers.py", "FOLDER", "MULTI30K_FOLDER", *_options(arguments)]),
        "machine": describe_machine(),
        "versions": versions,
        "settings": configurations,
        "target_tokens_per_pair": {system.name: system.target_tokens_per_pair for system in systems},
        "rounds": rounds,
        **summarize(systems, rounds),
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(table(result))
    disturbance = max(one["cores_of_others"] for figures in rounds for one in figures["systems"].values())
    if disturbance > 0.1:
        print(
            f"other processes took up to {disturbance} cores: measure again when the machine is quiet", file=sys.stderr
        )


def measure(system: System, runs: Path, seed: int, seconds: float) -> dict[str, Any]:
    """Trains from the start until `seconds` after the warm-up, and ends the training there."""
    work, log = runs / system.name, runs / f"{system.name} {seed}.log"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    lines: list[tuple[float, re.Match[str]]] = []  # with the time when each came
    others: list[float] = []
    started = time.perf_counter()
    with open(log, "w", encoding="utf-8") as file:
        process = start(system, system.command(seed, work))
        try:
            for line in process.stdout or ():
                now = time.perf_counter()
                file.write(line)
                match = system.line.search(line)
                if match and int(match["update"]) >= WARM_UP:
                    lines.append((now, match))
                    others.append(_seconds_of_others(process.pid))
                    if now - lines[0][0] >= seconds:
                        break
        finally:
            process.kill()
            _, status, usage = os.wait4(process.pid, 0)  # of this process alone; none of the systems starts others
            process.returncode = os.waitstatus_to_exitcode(status)
    if not lines or lines[-1][0] - lines[0][0] < seconds:
        raise SystemExit(f"{system.name} ended before it was measured; see {log}")
    elapsed = lines[-1][0] - lines[0][0]
    tokens = sum(_tokens_between(*neighbours) for neighbours in pairwise(lines))
    figures = {
        "target_tokens_per_second": round(tokens / elapsed, 1),
        "target_tokens": round(tokens),
        "seconds": round(elapsed, 2),
        "updates": int(lines[-1][1]["update"]) - int(lines[0][1]["update"]),
        "seconds_before": round(lines[0][0] - started, 2),
        "cores_of_others": round((others[-1] - others[0]) / elapsed, 2),
        "peak_memory_mib": round(usage.ru_maxrss / 1024),
    }
    print(f"{system.name}: {figures}", file=sys.stderr)
    return figures


def summarize(systems: list[System], rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the rounds, and how many times as fast as each peer each configuration of ours was."""

    def each_round(system: System, figure: str) -> list[float]:
        return [one["systems"][system.name][figure] for one in rounds]

    figures = ("target_tokens_per_second", "peak_memory_mib")
    ratios: dict[str, Any] = {system.name: {} for system in systems if system.ours}
    for ours in systems:
        for peer in systems:
            if ours.ours and not peer.ours:
                speeds = each_round(ours, figures[0]), each_round(peer, figures[0])
                values = [round(mine / theirs, 3) for mine, theirs in zip(*speeds, strict=True)]
                ratios[ours.name][peer.name] = {"rounds": values, "median": statistics.median(values)}
    return {
        "medians": {
            system.name: {figure: statistics.median(each_round(system, figure)) for figure in figures}
            for system in systems
        },
        "ratios": ratios,
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    ours = result["ratios"]
    head = ["system", "target tokens/s", "in each round", *(f"{name}: times as fast" for name in ours), "peak memory"]
    rows = [head, ["---"] * len(head)]
    for name, medians in result["medians"].items():
        speeds = [one["systems"][name]["target_tokens_per_second"] for one in result["rounds"]]
        ratios = [f"{peers[name]['median']:.2f}" if name in peers else "" for peers in ours.values()]
        median, memory = medians["target_tokens_per_second"], medians["peak_memory_mib"] / 1024
        rows.append([name, f"{median:,.0f}", ", ".join(f"{one:,.0f}" for one in speeds), *ratios, f"{memory:.2f} GiB"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _tokens_between(earlier: tuple[float, re.Match[str]], later: tuple[float, re.Match[str]]) -> float:
    """Target tokens between two lines of a log."""
    (begin, first), (end, last) = earlier, later
    if "rate" in last.re.groupindex:
        return int(last["rate"]) * (end - begin)
    return int(last["total"].replace(",", "")) - int(first["total"].replace(",", ""))


def _seconds_of_others(process: int) -> float:
    """Processor time that all cores spent so far on anything but a process."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    own = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]  # in user and in system mode
    return (user + nice + system + sum(interrupts) - sum(map(int, own))) / os.sysconf("SC_CLK_TCK")


def _options(arguments: argparse.Namespace) -> list[str]:
    options = [str(arguments.output), "--rounds", str(arguments.rounds), "--seconds", f"{arguments.seconds:g}"]
    for name, values in (("--ours", arguments.ours or []), ("--set", arguments.set)):
        options += [part for value in values for part in (name, value)]
    return options


if __name__ == "__main__":
    main()
