"""The notebooks are as they were run: complete, without errors, small, and of the public API alone; and they run.

They are run here with fewer epochs; `python benchmarks/notebooks.py` runs them as they are.
"""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient

import nmt

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == ["inside", "new_cell", "translator"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_run_from_beginning_to_end(path):
    assert path.stat().st_size < 100_000
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert len(outputs) >= 2
    assert all(output["output_type"] != "error" and output.get("name") != "stderr" for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_only_public_names(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    nodes = list(ast.walk(ast.parse(code)))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith("nmt.") for name in imported | modules)
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "nmt"}
    assert names
    assert names <= set(nmt.__all__)


@pytest.fixture(scope="module")
def kernel():
    """One process for all notebooks, since it takes seconds to load TensorFlow."""
    manager = KernelManager(kernel_name="python3")
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_shortened_notebook_runs(path, kernel):
    """Every cell shows what it showed when the notebook was written, if not the same figures."""
    notebook = nbformat.read(path, as_version=4)
    shown = [kinds_of_outputs(cell) for cell in notebook.cells]
    for cell in notebook.cells:
        cell.source = re.sub(r"epochs=\d+", "epochs=1", cell.source)
    notebook.cells.append(nbformat.v4.new_code_cell("%reset -f"))
    NotebookClient(notebook, km=kernel, timeout=300).execute(reset_kc=True, cleanup_kc=False)
    assert [kinds_of_outputs(cell) for cell in notebook.cells[:-1]] == shown


def kinds_of_outputs(cell: nbformat.NotebookNode) -> set[str]:
    """What a reader sees below a cell: text, pictures, values; without what libraries log as they start."""
    outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    return {f"{output.output_type} {sorted(output.get('data', ()))}" for output in outputs}
