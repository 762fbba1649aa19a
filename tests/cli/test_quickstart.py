"""`nmt quickstart`, and what a wheel must hold for it."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import nmt
from nmt.evaluation.report import evaluate_translations
from tests.helpers import run_command

ROOT = Path(nmt.__file__).parents[1]


def test_it_trains_and_evaluates_and_says_what_comes_next(monkeypatch, capsys):
    trained = []
    evaluation = evaluate_translations(["eine Katze"], ["eine Katze"], sources=["a cat"], samples=0, examples=1)
    monkeypatch.setattr("nmt.cli.quickstart.which", lambda name: None)
    monkeypatch.setattr("sys.argv", [".venv/bin/nmt"])
    monkeypatch.setattr(
        "nmt.training.own_text.train_on_text", lambda *given, **options: trained.append((given, options))
    )
    monkeypatch.setattr("nmt.runs.translation.evaluate_run", lambda *_, **__: evaluation)
    run_command("quickstart", "--run", "runs/first", "--target", "es", "--set", "seed=3")
    options = {"source": "en", "target": "es", "minutes": 8, "overrides": ["seed=3"]}
    assert trained == [((["ui_strings"], Path("runs/first")), options)]
    printed = capsys.readouterr().out
    assert "BLEU" in printed
    assert printed.endswith("| .venv/bin/nmt translate runs/first\n")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is made from the sdist, without the network."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "nmt", folder / "nmt", ignore=shutil.ignore_patterns("__pycache__"))
    for kind, place in (("sdist", folder), ("wheel", folder / f"gru_nmt-{nmt.__version__}")):
        build = f"from setuptools.build_meta import build_{kind}; build_{kind}({str(folder)!r})"
        subprocess.run([sys.executable, "-c", build], cwd=place, check=True, capture_output=True)
        if kind == "sdist":
            shutil.unpack_archive(folder / f"gru_nmt-{nmt.__version__}.tar.gz", folder)
    (path,) = folder.glob("gru_nmt-*.whl")
    return path


def test_the_wheel_holds_modules_marker_and_license(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.startswith("gru_nmt-")}
        license_file = f"gru_nmt-{nmt.__version__}.dist-info/licenses/LICENSE"
        assert archive.read(license_file) == (ROOT / "LICENSE").read_bytes()
    tree = {path.relative_to(ROOT).as_posix() for path in (ROOT / "nmt").rglob("*") if path.is_file()}
    assert held == {name for name in tree if "__pycache__" not in name}  # every data file is package data
    assert "nmt/py.typed" in held


def test_the_wheel_alone_translates(wheel, trained_run, tmp_path):
    """Outside the checkout; of this environment it has the dependencies only."""
    venv.create(tmp_path / "empty", symlinks=True)
    python = tmp_path / "empty" / "bin" / "python"
    install = ["-m", "pip", "-q", "--python", python, "install", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, *install], check=True)
    (packages,) = (tmp_path / "empty").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")

    def run(*arguments, **options):
        return subprocess.run(arguments, cwd=tmp_path, check=True, capture_output=True, text=True, **options).stdout

    assert run(python, "-c", "import nmt; print(nmt.__file__)") == f"{packages / 'nmt' / '__init__.py'}\n"
    translated = run(python.with_name("nmt"), "translate", trained_run, input="3 1 4\n1 5 9\n")
    assert translated.splitlines() == list(nmt.load_translator(trained_run).best(["3 1 4", "1 5 9"]))


def test_versions_for_a_report(capsys):
    run_command("--version")
    assert capsys.readouterr().out.splitlines()[0] == f"gru-nmt {nmt.__version__}"


def test_shells_complete_commands_and_options(monkeypatch, capsys):
    for words, number, completed in (("nmt tra", 1, ["train", "translate"]), ("nmt export --n", 2, ["--n-best"])):
        for name, value in {"_NMT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": number}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr("sys.argv", ["nmt"])
        run_command()
        assert capsys.readouterr().out.split() == completed
