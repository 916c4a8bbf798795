"""Run All, and Run All again: a reader of an example notebook does both."""

import json
import shutil
from pathlib import Path

import pytest
from support.kernels import Kernel

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_run_all_twice(name: str, tmp_path: Path) -> None:
    """In the same kernel each cell does the same again; only those that show an error end in
    one."""
    folder = tmp_path / "notebooks"
    shutil.copytree(NOTEBOOKS, folder)
    cells = [
        cell
        for cell in json.loads((folder / name).read_text("utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    shows_error = {
        cell["id"]: "raises-exception" in cell["metadata"].get("tags", ()) for cell in cells
    }
    with Kernel(tmp_path, {"JPY_SESSION_NAME": str(folder / name)}, cwd=folder) as kernel:
        for _ in range(2):
            for cell in cells:
                ran = kernel.run("".join(cell["source"]), cell_id=cell["id"], allow_stdin=False)
                assert (ran.reply["status"] == "error") == shows_error[cell["id"]], ran.reply
