"""Measures which share of the positions of batches is padding, by the number of their shapes.

    python benchmarks/padding.py OUTPUT RUN...

A RUN has prepared data; its settings of batches are taken, but for the number of shapes.
"""

import argparse
import json
import shlex
from importlib.metadata import version
from pathlib import Path

from machine import describe_machine

from nmt.config import load_saved_config
from nmt.data.shapes import choose_shapes, padding_share, plan_epoch
from nmt.data.token_store import TokenizedCorpus
from nmt.utils.files import written_whole

SHAPES = (6, 12, 16, 24, 32, 40)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    arguments = parser.parse_args()
    result = {
        "command": shlex.join(
            ["python", "benchmarks/padding.py", str(arguments.output), *["RUN"] * len(arguments.runs)]
        ),
        "machine": describe_machine(),
        "versions": {"numpy": version("numpy")},
        "runs": [measure(run) for run in arguments.runs],
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1))


def measure(run: Path) -> dict[str, object]:
    """The share of padding in the first epoch of a run's data, by the number of shapes."""
    config = load_saved_config(run / "config.yaml")
    corpus = TokenizedCorpus.open(run / "data", "train")
    lengths = corpus.source_lengths, corpus.target_lengths
    shares = {}
    for number in SHAPES:
        shapes = choose_shapes(*lengths, config.batches.model_copy(update={"shapes": number}))
        plan = plan_epoch(*lengths, shapes, config.seed)
        shares[number] = round(padding_share(plan, shapes, *lengths), 4)
    languages = [config.data.source_language, config.data.target_language]
    return {"languages": languages, "pairs": len(lengths[0]), "tokens": config.batches.tokens, "padding": shares}


if __name__ == "__main__":
    main()
