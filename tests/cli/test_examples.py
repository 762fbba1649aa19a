"""The examples in the help of every command and the code of the pages, run in a folder with the files they name."""

import gzip
import io
import os
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

ROOT = Path(__file__).parents[2]
# Of the others, tests/test_docs.py runs what trains, and pytest the example of docs/style.md, which is of the code.
PAGES = [
    *(page for page in sorted(ROOT.glob("docs/*.md")) if page.name not in ("keras.md", "style.md")),
    ROOT / "README.md", ROOT / "deploy" / "README.md",
]  # fmt: skip
COMMANDS = sorted(typer.main.get_command(app).commands)
# What trains, exports or serves for long only checks that its arguments fit, on files that are there.
LONG = {
    "quickstart": ("nmt.training.own_text.train_on_text", "nmt.runs.translation.evaluate_run",
                   "nmt.evaluation.report.print_evaluation"),
    "train": ("nmt.training.own_text.plan_training", "nmt.training.own_text.train",
              "nmt.training.own_text.tune_search", "nmt.training.train.train"),
    "distill": ("nmt.augmentation.distillation.distill",),
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
    for name in ("app", "base", "better", "general", "new", "old", "phone", "quickstart", "second"):
        (tmp_path / "runs" / name).symlink_to(trained_run)
    for name in ("language-model", "lm", "domain", "web"):
        (tmp_path / "runs" / name).symlink_to(language_model_run)
    (tmp_path / "mine").symlink_to(trained_run)
    (tmp_path / "exported").symlink_to(exported)
    for place in ("", "deploy"):
        (tmp_path / place / "models").mkdir(parents=True)
        (tmp_path / place / "models" / "translator").symlink_to(exported)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    shutil.copy(trained_run / "config.yaml", tmp_path / "my.yaml")
    text = "".join(f"{line}\n" for line in digit_strings(30, range(3, 6), seed=1))
    for name in ("big.en", "big.de", "my.en", "my.de", "new.en", "news.en", "news.de", "other.txt", "web.en",
                 "web.de"):  # fmt: skip
        (tmp_path / name).write_text(text)
    for name, side in (("test.en", "source"), ("test.de", "target"), ("new.de", "target"), ("old.de", "target"),
                       ("other.de", "target")):  # fmt: skip
        shutil.copy(trained_run / "data" / f"test.{side}.txt", tmp_path / name)
    for name in ("my.en.gz", "my.de.gz", "my.txt.gz", "general.en.gz", "general.de.gz", "more.de.gz"):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    for name in ("strings.po", "app.po"):
        (tmp_path / name).write_text(PO.replace('"Language: de\\n"\n', ""))
    (tmp_path / "memory.tmx").write_text(TMX)
    for name in ("en.json", "de.json"):
        (tmp_path / name).write_text('{"one": "1 2 3"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shortened(monkeypatch, translator):
    """Has no command load for long or ask a server."""

    def load(path, checkpoint=None, *_, **__):
        assert find_checkpoint(RunFolder(Path(path)), checkpoint).exists()
        return translator

    @contextmanager
    def transport(server, model):
        assert server.startswith("localhost:850")
        yield answer

    def answer(_, inputs, timeout):
        texts, scores = inputs["text"], [0.0] * len(inputs["text"])
        n_best = {"translations": [[text] for text in texts], "scores": [[score] for score in scores]}
        return {"translation": texts, "score": scores} | n_best

    for module in LOADERS:
        monkeypatch.setattr(f"{module}.load_translator", load)
    for name in ("grpc_transport", "rest_transport"):
        monkeypatch.setattr(f"nmt.serving.client.{name}", transport)


def replace(monkeypatch: pytest.MonkeyPatch, name: str):
    """Has a function check its arguments, and do nothing."""
    module, _, function = name.rpartition(".")
    real = getattr(__import__(module, fromlist=[function]), function)
    monkeypatch.setattr(name, create_autospec(real))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("folder", "shortened")
def test_the_examples_of_a_command_run(command, capsys, monkeypatch):
    examples = examples_in_help(command, capsys, monkeypatch)
    assert examples
    for example in examples:
        assert run_line(example, monkeypatch) == ("nmt", command)


def run_line(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Runs a line of a shell that ends in an `nmt` command; returns the program and the command."""
    before, _, words = line.rpartition("| ")
    program, command, *arguments = shlex.split(words)
    while "=" in program:  # a variable of the environment
        program, command, *arguments = command, *arguments
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("".join(shlex.split(before)[1:]).encode())))
    options = ["", *arguments]
    written = {word for option, word in zip(options, arguments, strict=False) if option in WRITTEN}
    assert all(Path(word).exists() for word in arguments if PATH.fullmatch(word) and word not in written), line
    # What makes a run does not find it; what comes after it does.
    there = [Path(word) for word in written if command in MAKERS and Path(word).exists()]
    for path in there:
        path.rename(f"{path}.away")
    with monkeypatch.context() as patched:
        for name in LONG.get(command, ()):
            replace(patched, name)
        run_command(command, *arguments)
    for path in there:
        Path(f"{path}.away").rename(path)
    assert command in LONG or all(Path(word).exists() for word in written), line
    return program, command


def code_of(page: Path) -> list[tuple[str, str]]:
    """The blocks of Python of a page, and the lines of a shell with an `nmt` command, in their order."""
    pieces = re.split(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = []
    for number, piece in enumerate(pieces):
        if number % 3 == 0:
            lines = re.findall(r"^ {4}(.*)$", re.sub(r"\\\n\s*", " ", piece), re.MULTILINE)
            found += [("shell", line) for line in lines if re.search(r"(?:^|[ /])nmt [a-z]", line)]
        elif number % 3 == 2 and pieces[number - 1] == "python" and "nmt.Seq2Seq" not in piece:
            found.append(("python", piece))
    return found


@pytest.mark.parametrize(
    "page", [page for page in PAGES if code_of(page)], ids=lambda page: str(page.relative_to(ROOT))
)
@pytest.mark.usefixtures("folder", "shortened")
def test_the_code_of_a_page_runs(page, translator, monkeypatch):
    for language, code in code_of(page):
        if language == "python":
            with monkeypatch.context() as patched:
                replace(patched, "nmt.training.train.train")
                exec(code, {"translator": translator})
        elif "..." not in code:
            assert os.path.basename(run_line(code, monkeypatch)[0]) == "nmt"
