"""Runs the notebooks from beginning to end, and writes them with their outputs.

    python benchmarks/notebooks.py [notebooks/inside.ipynb ...]

An error in a cell ends it, with exit status 1. It needs `pip install -e '.[dev]'`.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", type=Path, nargs="*", default=sorted(FOLDER.glob("*.ipynb")))
    for path in parser.parse_args().notebooks:
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
        for cell in notebook.cells:
            clean(cell)
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size:,} bytes")


def clean(cell: nbformat.NotebookNode) -> None:
    """Removes what differs from run to run: times, and what libraries log as they start."""
    cell.metadata.pop("execution", None)
    if cell.cell_type == "code":
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


if __name__ == "__main__":
    main()
