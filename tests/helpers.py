"""What tests import: a tiny task, its configurations, and the console command run in this process."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nmt.cli import main
from nmt.config import Config, parse_config

DIGITS = "0123456789"


# The plain shape and search: tests of what does not depend on the model, its schedule or its search are fast with them.
PLAIN_MODEL: dict[str, Any] = {
    "encoder_layers": 1, "decoder_layers": 1, "attention": "dot", "layer_normalization": False,
}  # fmt: skip
PLAIN_TRAINING: dict[str, Any] = {
    "initial_embeddings": "random", "learning_rate": 1e-3, "schedule": "inverse_square_root", "average_decay": 0.0,
    "precision": "float32", "xla": "none",
}  # fmt: skip
PLAIN_DECODING: dict[str, Any] = {
    "beam_size": 2, "limit_repetition": False, "split_sentences": False, "truecase": False, "nest_tags": False,
    "keep_unreadable": False,
}  # fmt: skip

# What `PLAIN_DECODING` turns off, turned on: tests that compare two ways to translate compare what users get.
SHIPPED_DECODING = [f"decoding.{name}=true" for name in PLAIN_DECODING if name != "beam_size"]
SHIPPED_OPTIONS = [part for override in SHIPPED_DECODING for part in ("--set", override)]  # of commands


def digit_strings(count: int, lengths: range, seed: int) -> list[str]:
    """Strings such as `3 1 4`; spaces make each digit a token."""
    generator = random.Random(seed)
    return [" ".join(generator.choices(DIGITS, k=generator.choice(lengths))) for _ in range(count)]


def reversal_config(folder: Path, lengths: range = range(3, 8), pairs: int = 2000, **changes: dict) -> Config:
    """A configuration to learn to reverse digit strings, its corpus written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus: dict = {"kind": "text"}
    for seed, (split, count) in enumerate((("train", pairs), ("validation", 50), ("test", 200))):
        sources = digit_strings(count, lengths, seed)
        corpus[split] = {}
        for side, lines in (("source", sources), ("target", [line[::-1] for line in sources])):
            path = folder / f"{split}.{side}.txt"
            path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            corpus[split][side] = [str(path)]
    tree: dict = {
        "data": {"source_language": "digits", "target_language": "reversed", "corpus": corpus},
        "tokenizer": {"algorithm": "unigram", "vocabulary_size": 300},
        "batches": {"tokens": 600, "shapes": 2},
        "model": PLAIN_MODEL | {"units": 16, "embedding": 16, "dropout": 0.1},
        "training": PLAIN_TRAINING | {"max_steps": 24, "validate_every": 12, "save_every": 5, "warmup_steps": 4},
        "decoding": PLAIN_DECODING,
    }
    for group, settings in changes.items():
        tree[group] = tree[group] | settings
    return parse_config(tree, "test")


def language_model_config(folder: Path, lines: list[str], **changes: dict) -> Config:
    """A configuration to learn the lines, which are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lines.txt"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    tree: dict = {
        "task": "language_model",
        "data": {
            "target_language": "digits",
            "held_out": 30,
            "corpus": {"kind": "lines", "train": [str(path)]},
            "cleaning": {"drop_duplicates": False},
        },
        "tokenizer": {"algorithm": "unigram", "vocabulary_size": 300},
        "batches": {"tokens": 600, "shapes": 2},
        "model": PLAIN_MODEL | {"units": 16, "embedding": 16, "dropout": 0.1},
        "training": PLAIN_TRAINING | {"max_steps": 24, "validate_every": 12, "save_every": 5, "warmup_steps": 4},
    }
    for group, settings in changes.items():
        tree[group] |= settings
    return parse_config(tree, "test")


@contextmanager
def validating_by_loss() -> Iterator[None]:
    """Trainings validate without a search: to make its graph takes longer than all else of a training so small."""
    from nmt.data.batches import evaluation_batches
    from nmt.data.token_store import TokenizedCorpus
    from nmt.decoding.scoring import corpus_loss, make_sentence_scorer

    def make_validator(config, run, model, tokenizers):
        score = make_sentence_scorer(model)
        batches = evaluation_batches(TokenizedCorpus.open(run.data, "validation"), config.batches).cache()

        def validate() -> tuple[float, float]:
            loss = corpus_loss(score, batches)
            return loss, 100 * math.exp(-loss)  # the lower the loss, the better

        return validate

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nmt.training.train.make_validator", make_validator)
        yield


def train_by_command(config: Path, run: Path) -> None:
    """`nmt train`, which ends this process; for one of its own (`tests.processes`). Validates by the loss alone."""
    with validating_by_loss():
        main(["train", str(config), "--run", str(run)])


def run_command(*arguments: object) -> None:
    """Runs the console command, which must succeed."""
    assert _status(arguments) == 0


def refused(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    """The one line with which the console command refuses its arguments."""
    assert _status(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def _status(arguments: tuple[object, ...]) -> object:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code
