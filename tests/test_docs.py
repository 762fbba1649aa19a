"""The documentation agrees with the repository: links, commands, settings, and Python code."""

import ast
import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

import nmt
from nmt.cli.app import app
from nmt.config import load_config
from scripts.settings_page import page as settings_page

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = sorted(
    page for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "deploy/*.md", "examples/*.md")
    for page in ROOT.glob(pattern)
)  # fmt: skip
PROGRAM = typer.main.get_command(app)
COMMANDS = PROGRAM.commands
# A command of a code block, with the lines that a backslash continues.
SHELL = re.compile(r"^ {4}(?:.*[ /])?nmt ((?:.*\\\n)*.*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)\s#]+)[^)\s]*\)")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def of_each_page(pattern):
    """Parameters for a test: each page, and each match of the pattern in it."""
    return [
        pytest.param(page, found, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, found in enumerate(pattern.findall(page.read_text(encoding="utf-8")))
    ]


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_are_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short_and_leads_to_every_page():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 180
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            waiting += [(page.parent / path).resolve() for path in LINK.findall(page.read_text(encoding="utf-8"))]
    assert set((ROOT / "docs").glob("*.md")) <= reached


def test_every_page_is_in_the_navigation_of_the_site():
    class Loader(yaml.SafeLoader):
        """Reads what MkDocs has its own tags for."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    tree = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    listed = set(re.findall(r"[\w./-]+\.md", str(tree["nav"])))
    for page in listed - {one for one in listed if one.startswith("reference/")}:
        path = ROOT / page.removeprefix("source/") if page.startswith("source/") else ROOT / "docs" / page
        assert path.exists(), page
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= listed


def test_the_page_of_settings_is_made_from_the_settings():
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == settings_page(), "python scripts/settings_page.py > docs/settings.md"


def test_the_readme_lists_every_command():
    listed = re.findall(r"^\| `nmt (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize(("page", "line"), of_each_page(SHELL))
def test_a_command_has_the_options_and_settings_that_are_used(page, line):
    name, *words = [*shlex.split(line.replace("\\\n", " ")), ""]
    command = PROGRAM if name.startswith("--") else COMMANDS[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in (name, *words) if word.startswith("--")} <= options
    settings = [value for option, value in pairwise(words) if option == "--set" and "..." not in value]
    config = ROOT / words[0] if words[0].startswith("configs/") else ROOT / "configs" / "text-files.yaml"
    load_config(config, settings)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_in_a_sentence_has_the_options_that_are_named(page):
    for line in re.findall(r"`nmt ([a-z-][^`]*)`", page.read_text(encoding="utf-8")):
        name, *words = line.replace(";", " ").split()
        command = PROGRAM if name.startswith("--") else COMMANDS[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in (name, *words) if word.startswith("--")} <= options, line


@pytest.mark.parametrize(("page", "code"), of_each_page(PYTHON))
def test_python_code_takes_from_the_project_what_is_there(page, code):
    names = {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nmt"
    }
    assert names <= set(nmt.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/keras.md"])
def test_a_keras_session_runs(page, tmp_path, monkeypatch, capsys):
    (code,) = (one for one in PYTHON.findall((ROOT / page).read_text(encoding="utf-8")) if "nmt.Seq2Seq" in one)
    small = {"vocabulary_size=8000": "vocabulary_size=300", "units=256": "units=8", "epochs=10": "epochs=1, verbose=0"}
    small |= {"validation_split=0.1": "validation_split=0.5"} if page != "README.md" else {}
    for size, smaller in small.items():
        assert code.count(size) == 1
        code = code.replace(size, smaller)
    monkeypatch.chdir(tmp_path)
    exec(code, {"sources": ["the cat sat", "a dog ran"], "targets": ["die katze sass", "ein hund lief"]})
    assert Path("translator.keras").exists()
    translations = ast.literal_eval(capsys.readouterr().out)
    assert {type(one) for one in translations} == {str}


@pytest.mark.slow
def test_a_classifier_of_the_page_for_keras_users_runs():
    (code,) = (one for one in PYTHON.findall((ROOT / "docs/keras.md").read_text(encoding="utf-8")) if "sigmoid" in one)
    names: dict = {}
    exec(code, names)
    names["model"].fit(np.array([[5, 6, 0], [7, 8, 9]]), np.array([0, 1]), verbose=0)
