"""The examples in the help of every command: they are taken out of it, and run in a folder with the files they name."""

import gzip
import io
import re
import shlex
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import typer

from nmt.cli.app import app
from nmt.runs.folder import RunFolder
from nmt.runs.models import find_checkpoint
from nmt.runs.translation import load_translator
from tests.documents.samples import PO, TMX
from tests.helpers import digit_strings, run_command

COMMANDS = sorted(typer.main.get_command(app).commands)
# What trains, exports or serves for long only checks that its arguments fit, on files that are there.
LONG = {
    "quickstart": ("nmt.training.train.train", "nmt.runs.translation.evaluate_run",
                   "nmt.evaluation.report.print_evaluation"),
    "train": ("nmt.training.own_text.plan_training", "nmt.training.own_text.train",
              "nmt.training.own_text.tune_search", "nmt.training.train.train"),
    "bench": ("nmt.training.bench.measure",),
    "gradients": ("nmt.analysis.experiment.run_experiment", "nmt.analysis.report.report_experiment",
                  "nmt.analysis.trained_run.measure_run", "nmt.analysis.report.report_run"),
    "export": ("nmt.serving.saved_model.export_saved_model", "nmt.serving.lite.export.export_lite"),
    "demo": ("nmt.serving.demo.serve",),
}  # fmt: skip
LOADERS = ("nmt.runs.translation", "nmt.runs.documents", "nmt.augmentation.augment", "nmt.serving.run_report")
MAKERS = ("quickstart", "train")  # of the run that other commands read
WRITTEN = ("--run", "--output", "--to", "--save")
PATH = re.compile(r"[\w-]+(?:[./][\w-]*[a-z][\w-]*)+")


def examples_in_help(command: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a reader copies from the help of a command, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    run_command(command, "--help")
    _, *examples = re.split(r"^ Examples?:\s*$", capsys.readouterr().out, flags=re.MULTILINE)
    assert len(examples) == 1, f"expected `{command}` in nmt/cli/examples.py"
    return [line.strip() for line in re.sub(r"\\\s*\n", " ", examples[0]).splitlines() if line.strip()]


@pytest.fixture(scope="module")
def translator(trained_run):
    """One for all examples, with all that any of them asks for."""
    overrides = ["decoding.nest_tags=true", "decoding.split_sentences=true"]
    return load_translator(trained_run, None, overrides, n_best=2, attention=True)


@pytest.fixture
def folder(tmp_path, monkeypatch, trained_run, language_model_run, exported):
    """The current folder, with the files that the examples name."""
    for name in ("mine", "other", "de-en"):
        shutil.copytree(trained_run, tmp_path / "runs" / name)
    for name in ("language-model", "domain", "web"):
        (tmp_path / "runs" / name).symlink_to(language_model_run)
    (tmp_path / "exported").symlink_to(exported)
    shutil.copy(trained_run / "config.yaml", tmp_path / "my.yaml")
    text = "".join(f"{line}\n" for line in digit_strings(30, range(3, 6), seed=1))
    for name in ("new.en", "news.en", "news.de", "web.en", "web.de"):
        (tmp_path / name).write_text(text)
    for name, side in (("test.en", "source"), ("test.de", "target"), ("other.de", "target")):
        shutil.copy(trained_run / "data" / f"test.{side}.txt", tmp_path / name)
    for name in ("my.en.gz", "my.de.gz"):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    (tmp_path / "strings.po").write_text(PO.replace("Language: de", "Language: reversed"))
    (tmp_path / "memory.tmx").write_text(TMX)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shortened(monkeypatch, translator):
    """Has no example train, export, serve or load for long."""

    def load(path, checkpoint=None, *_, **__):
        assert find_checkpoint(RunFolder(Path(path)), checkpoint).exists()
        return translator

    @contextmanager
    def transport(server, model):
        assert server.startswith("localhost:850")
        yield lambda _, inputs, timeout: {"translation": inputs["text"], "score": [0.0] * len(inputs["text"])}

    for module in LOADERS:
        monkeypatch.setattr(f"{module}.load_translator", load)
    for name in ("grpc_transport", "rest_transport"):
        monkeypatch.setattr(f"nmt.serving.client.{name}", transport)
    return lambda command: [replace(monkeypatch, name) for name in LONG.get(command, ())]


def replace(monkeypatch: pytest.MonkeyPatch, name: str):
    """Has a function check its arguments, and do nothing."""
    module, _, function = name.rpartition(".")
    real = getattr(__import__(module, fromlist=[function]), function)
    monkeypatch.setattr(name, create_autospec(real))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_command_run(command, folder, shortened, capsys, monkeypatch):
    examples = examples_in_help(command, capsys, monkeypatch)
    assert examples
    shortened(command)
    if command in MAKERS:
        shutil.rmtree("runs")
    for example in examples:
        before, _, words = example.rpartition("| ")
        program, name, *arguments = shlex.split(words)
        assert (program, name) == ("nmt", command)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("".join(shlex.split(before)[1:]).encode())))
        options = ["", *arguments]
        written = {word for option, word in zip(options, arguments, strict=False) if option in WRITTEN}
        assert all(Path(word).exists() for word in arguments if PATH.fullmatch(word) and word not in written), example
        run_command(command, *arguments)
        assert command in LONG or all(Path(word).exists() for word in written), example
