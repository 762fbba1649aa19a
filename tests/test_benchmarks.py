"""Every benchmark can be imported, and takes from the project only what is there."""

import ast
import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = sorted(path.relative_to(BENCHMARKS) for path in BENCHMARKS.rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_what_a_script_imports_from_the_project_is_there(script):
    """That includes what it imports only when it runs, and the scripts for the environments of other systems."""
    for node in ast.walk(ast.parse((BENCHMARKS / script).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nmt":
            module = importlib.import_module(node.module)
            assert not [alias.name for alias in node.names if not hasattr(module, alias.name)], node.module


@pytest.mark.parametrize("script", [path.stem for path in SCRIPTS if path.parent == Path()])
def test_a_script_can_be_imported(script):
    try:
        importlib.import_module(script)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in {"nmt", *(path.stem for path in SCRIPTS)}:
            raise
        pytest.skip(f"needs {error.name}")


def test_the_readme_names_every_script_that_is_run():
    readme = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    for script in SCRIPTS:
        if script.parent == Path() and "argparse.ArgumentParser" in (BENCHMARKS / script).read_text(encoding="utf-8"):
            assert script.name in readme, script
