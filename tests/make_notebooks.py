"""Run the example notebooks headless and write their outputs: `python tests/make_notebooks.py`.

Headless, because nbval runs them headless: like is compared with like. Cell ids and metadata stay
as they are, so that a run that changes nothing changes no byte.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent.parent / "notebooks"


def clean_environment() -> dict[str, str]:
    """This process's environment without what would let a key be spent."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("MINIMAX_", "ANTHROPIC_"))}


def client_for(notebook: NotebookNode, folder: Path = FOLDER) -> NotebookClient:
    """What runs a notebook in the folder where its recordings are."""
    return NotebookClient(
        notebook, timeout=600, kernel_name="python3", record_timing=False, coalesce_streams=True,
        resources={"metadata": {"path": os.fspath(folder)}},
    )  # fmt: skip


def execute(path: Path, folder: Path = FOLDER, environment: dict[str, str] | None = None) -> None:
    """Run one notebook from top to bottom, in a folder, and save it."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    client_for(notebook, folder).execute(env=environment or clean_environment())
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    for path in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        execute(path)
        print(path.name)
