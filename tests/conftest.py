"""What several tests share: a tiny task, and a run trained on it."""

import fcntl
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.config import Config, parse_config

DIGITS = "0123456789"


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
        "tokenizer": {"vocabulary_size": 300},
        "batches": {"tokens": 600, "shapes": 2},
        "model": {"units": 16, "embedding": 16, "dropout": 0.1},
        "training": {"max_steps": 24, "validate_every": 12, "save_every": 5, "warmup_steps": 4, "xla": "none"},
        "decoding": {"beam_size": 2},
    }
    for group, settings in changes.items():
        tree[group] |= settings
    return parse_config(tree, "test")


Shared = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Has a folder made once for all processes that run tests, from its name and a function that fills it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        made = base / f"shared-{name}"
        with open(made.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.with_suffix(".made").exists():
                made.mkdir(exist_ok=True)
                fill(made)
                made.with_suffix(".made").touch()
        return made

    return folder


@pytest.fixture(scope="session")
def trained_run(shared: Shared) -> Path:
    """A run of some seconds; its translations are digits, if not all the right ones."""

    def fill(folder: Path) -> None:
        from nmt.training.train import train

        training = {"max_steps": 200, "validate_every": 100, "learning_rate": 0.01}
        train(reversal_config(folder / "corpus", training=training), folder / "run", message=lambda _: None)

    return shared("trained", fill) / "run"


@pytest.fixture(scope="session")
def second_run(trained_run: Path, shared: Shared) -> Path:
    """A run of the same tokens as `trained_run` and of another shape; it names an ensemble that is not there."""

    def fill(folder: Path) -> None:
        from nmt.training.train import train

        config = reversal_config(
            folder / "corpus",
            tokenizer={"model": str(trained_run / "data" / "target.model")},
            model={"cell": "lstm", "units": 24, "embedding": 12, "decoder_layers": 2, "attention": "additive"},
            training={"max_steps": 120, "validate_every": 60, "learning_rate": 0.01},
            decoding={"ensemble": [str(folder / "nowhere")]},
        )
        train(config, folder / "run", message=lambda _: None)

    return shared("second", fill) / "run"


@pytest.fixture(scope="session")
def exported(trained_run: Path, shared: Shared) -> Path:
    """The trained run's export, a folder that holds the version `1`."""

    def fill(folder: Path) -> None:
        from nmt.serving.saved_model import export_saved_model

        export_saved_model(trained_run, folder / "translator")

    return shared("exported", fill) / "translator"


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
        "tokenizer": {"vocabulary_size": 300},
        "batches": {"tokens": 600, "shapes": 2},
        "model": {"units": 16, "embedding": 16, "dropout": 0.1},
        "training": {"max_steps": 24, "validate_every": 12, "save_every": 5, "warmup_steps": 4, "xla": "none"},
    }
    for group, settings in changes.items():
        tree[group] |= settings
    return parse_config(tree, "test")


@pytest.fixture(scope="session")
def language_model_run(trained_run: Path, shared: Shared) -> Path:
    """A language model of some seconds' training, of the language that `trained_run` translates to."""

    def fill(folder: Path) -> None:
        from nmt.training.train import train

        config = language_model_config(
            folder,
            digit_strings(1000, range(3, 8), seed=5),
            tokenizer={"model": str(trained_run / "data" / "target.model")},
            training={"max_steps": 60, "validate_every": 30, "learning_rate": 0.01},
        )
        train(config, folder / "run", message=lambda _: None)

    return shared("language-model", fill) / "run"
