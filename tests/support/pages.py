"""A notebook page for tests: cells that a kernel runs, and the file that Jupyter makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary

from support.kernels import Cell, Kernel
from support.loopback import Loopback


@dataclass
class Page:
    """A notebook in the file `path`; `data` is Jupyter's data folder, which holds its signatures.

    `kernel` runs the cells, and finds the file as in JupyterLab.
    """

    path: Path
    data: Path
    kernel: Kernel
    cells: dict[str, Any] = field(default_factory=dict)
    file_ids: dict[str, str] = field(default_factory=dict)  # where the front end has others

    def run(self, cell_id: str, code: str, **more: Any) -> Cell:
        """Run a cell, and keep its outputs; a new one is added at the end."""
        cell = self.kernel.run(code, cell_id=cell_id, **more)
        made = nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
            code, id=self.file_ids.get(cell_id, cell_id), outputs=_outputs(cell)
        )
        made["execution_count"] = cell.reply.get("execution_count")
        self.cells[cell_id] = made
        return cell

    def ask(self, cell_id: str, prompt: str = "", options: str = "", **more: Any) -> Cell:
        return self.run(cell_id, f"%%minimax {options}\n{prompt or f'prompt {cell_id}'}", **more)

    def load(self, url: str, *, cell_id: str = "load", **more: Any) -> str:
        """A kernel that knows nothing yet loads the extension; return what it says."""
        self.kernel.run(
            "import os, mm_magic.session.api\n"
            "%unload_ext mm_magic\n"
            "mm_magic.session.api.forget_session()\n"
            f"os.environ['MINIMAX_BASE_URL'] = {url!r}\n"
            f"os.environ['JPY_SESSION_NAME'] = {str(self.path)!r}"
        )
        return self.run(cell_id, "%load_ext mm_magic", **more).stdout

    def save(self, *, trusted: bool = True) -> None:
        """Write the file, and sign it as Jupyter does where the user trusts it."""
        notebook = self.notebook()
        nbformat.write(notebook, self.path)  # type: ignore[no-untyped-call]
        if trusted:
            self.data.mkdir(exist_ok=True)
            notary = NotebookNotary(data_dir=str(self.data))  # type: ignore[no-untyped-call]
            notary.sign(notebook)  # type: ignore[no-untyped-call]
            notary.store.close()

    def notebook(self) -> Any:
        cells = list(self.cells.values())
        return nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]

    def copy(self, cell_id: str, name: str) -> None:
        """Paste a copy of a cell at the end."""
        copied = self.cells[cell_id] | {"id": name}
        self.cells[name] = nbformat.from_dict(copied)  # type: ignore[no-untyped-call]


def _outputs(cell: Cell) -> Sequence[Any]:
    """The outputs as the front end keeps them: each display in its last form."""
    outputs: dict[str, Any] = {}
    for number, message in enumerate(cell.messages):
        kind, content = message["msg_type"], message["content"]
        name = content.get("transient", {}).get("display_id", str(number))
        if kind == "update_display_data":
            outputs[name] = outputs[name] | {"data": content["data"]}
        elif kind in ("display_data", "execute_result", "stream", "error"):
            made = nbformat.v4.output_from_msg(message)  # type: ignore[no-untyped-call]
            outputs[name] = made
    return [nbformat.from_dict(each) for each in outputs.values()]  # type: ignore[no-untyped-call]


def sent(server: Loopback, number: int = -1) -> list[str]:
    """The texts of a request, in order."""
    texts: list[str] = []
    for message in server.requests[number].json["messages"]:
        content = message["content"]
        blocks = [{"text": content}] if isinstance(content, str) else content
        texts += [block["text"] for block in blocks if "text" in block]
    return [text.replace("prompt ", "").replace("answer ", "") for text in texts]
