"""What translation.py reports of its measurements: speeds, ratios and what was said; and its tables."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import sentencepiece
from translation_systems import System

WORDS = 13  # of the sentences that are translated one at a time in every round
OF_LENGTH, ALL = f"{WORDS} words", "all"


def summarize(
    systems: list[System], rounds: list[dict[str, Any]], references: list[str], tokenizer: Path
) -> dict[str, Any]:
    """Speeds with what was said, times of one sentence, and how many times as fast as the peers ours is."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer))
    result: dict[str, Any] = {
        "matrix_product_gflops": [one["matrix_product_gflops"] for one in rounds],
        "cores_of_others": [
            max(answer["cores_of_others"] for of_one in one["answers"].values() for answer in of_one.values())
            for one in rounds
        ],
        "sentences": len(references),
        "all": {},
        "each": {},
    }
    for system in systems:
        answers = [one["answers"][system.label] for one in rounds]
        common = {"system": system.name, "beam_size": system.beam_size, "batch_size": system.batch_size}
        if "all" in system.tasks:
            said = answers[-1]["all"]["translations"]
            speeds = [round(len(references) / one["all"]["seconds"], 1) for one in answers]
            result["all"][system.label] = common | {
                "sentences_per_second": statistics.median(speeds),
                "rounds": speeds,
                "bleu": round(sacrebleu.corpus_bleu(said, [references]).score, 2),
                "words_per_sentence": round(statistics.fmean(len(text.split()) for text in said), 2),
                "pieces_per_sentence": round(statistics.fmean(map(len, pieces.encode(said))), 2),
                "longest_in_pieces": max(map(len, pieces.encode(said))),
                "peak_memory_mib": answers[-1]["all"]["peak_memory_mib"],
            }
        if "each" in system.tasks:
            times = {
                name: [one[task]["milliseconds"] for one in answers]
                for name, task in ((OF_LENGTH, "of_length"), (ALL, "share"))
            }
            result["each"][system.label] = common | {name: _percentiles(of_rounds) for name, of_rounds in times.items()}
    result["times_as_fast"] = {
        "all": _ratios(systems, result["all"], lambda figures: figures["rounds"]),
        "each": _ratios(
            systems, result["each"], lambda figures: [1 / value for value in figures[OF_LENGTH]["medians"]]
        ),
    }
    return result


def tables(result: dict[str, Any]) -> str:
    """The result as Markdown: all sentences at once, and one at a time."""
    ratios = result["times_as_fast"]
    ours = {figures["beam_size"]: label for label, figures in result["each"].items() if label in ratios["each"]}
    head = ["beam", "system", "batch", "sentences/s", "in each round", "ours as SavedModel is times as fast", "BLEU"]
    rows = [[*head, "words", "pieces", "memory"]]
    for label, figures in result["all"].items():
        ratio = ratios["all"][ours[figures["beam_size"]]].get(label)
        rows.append(
            [
                str(figures["beam_size"]),
                figures["system"],
                str(figures["batch_size"] or ""),
                f"{figures['sentences_per_second']:,.0f}",
                ", ".join(f"{one:,.0f}" for one in figures["rounds"]),
                f"{ratio['median']:.2f}" if ratio else "",
                f"{figures['bleu']:.1f}",
                f"{figures['words_per_sentence']:.1f}",
                f"{figures['pieces_per_sentence']:.1f}",
                f"{figures['peak_memory_mib'] / 1024:.2f} GiB",
            ]
        )
    head = ["beam", "system", "sentences", "translations", "median ms", "95th percentile", "99th percentile"]
    rows_of_each = [[*head, "ours is times as fast (medians)"]]
    for label, figures in result["each"].items():
        ratio = ratios["each"][ours[figures["beam_size"]]].get(label)
        for some in (OF_LENGTH, ALL):
            times = figures[some]
            rows_of_each.append(
                [
                    str(figures["beam_size"]),
                    figures["system"],
                    some,
                    f"{times['translations']:,}",
                    f"{times['median_ms']:.1f}",
                    f"{times['95th_percentile_ms']:.1f}",
                    f"{times['99th_percentile_ms']:.1f}",
                    f"{ratio['median']:.2f}" if ratio and some == OF_LENGTH else "",
                ]
            )
    return f"{_table(rows)}\n\n{_table(rows_of_each)}"


def _table(rows: list[list[str]]) -> str:
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others))


def _percentiles(rounds: list[list[float]]) -> dict[str, Any]:
    """Milliseconds of all rounds together, and the median of each."""
    values = np.concatenate(rounds)
    median, high, highest = (round(float(value), 2) for value in np.percentile(values, [50, 95, 99]))
    return {
        "translations": len(values),
        "median_ms": median,
        "95th_percentile_ms": high,
        "99th_percentile_ms": highest,
        "medians": [round(statistics.median(one), 2) for one in rounds],
    }


def _ratios(
    systems: list[System], figures: dict[str, Any], speeds: Callable[[dict[str, Any]], list[float]]
) -> dict[str, Any]:
    """How many times as fast each of ours is as each peer at the same beam size, in each round and their median."""
    ratios: dict[str, Any] = {}
    for ours in systems:
        for peer in systems:
            mine, theirs = figures.get(ours.label), figures.get(peer.label)
            if ours.ours and not peer.ours and ours.beam_size == peer.beam_size and mine and theirs:
                values = [round(one / other, 2) for one, other in zip(speeds(mine), speeds(theirs), strict=True)]
                ratio = {"rounds": values, "median": statistics.median(values)}
                ratios.setdefault(ours.label, {})[peer.label] = ratio
    return ratios
