"""What several tests share: runs trained on a tiny task, each made once for all processes that run tests."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import digit_strings, language_model_config, reversal_config

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
        train(reversal_config(folder / "corpus", training=training), folder / "run")

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
        train(config, folder / "run")

    return shared("second", fill) / "run"


@pytest.fixture(scope="session")
def exported(trained_run: Path, shared: Shared) -> Path:
    """The trained run's export, a folder that holds the version `1`."""

    def fill(folder: Path) -> None:
        from nmt.serving.saved_model import export_saved_model

        export_saved_model(trained_run, folder / "translator")

    return shared("exported", fill) / "translator"


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
        train(config, folder / "run")

    return shared("language-model", fill) / "run"
