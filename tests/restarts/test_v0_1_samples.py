"""Notebooks and recordings that version 0.1 made: later releases go on from them as it did.

`data/v0_1` holds them, and in expected.json what version 0.1 made of them. A request is compared in
its messages, its model, its system prompt and the options that its cell sets. What version 0.1 sent
unasked, such as a temperature of 1, is left to each release.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from support.kernels import Kernel
from support.loopback import Loopback, numbered

import mm_magic as mm

SAMPLES = Path(__file__).parent.parent / "data" / "v0_1"
MODEL = {"MINIMAX_MODEL": "MiniMax-M2.7"}
REPLY = "import json; print(json.dumps([_.text, _.thinking]))"

Wire = dict[str, Any]


def expected(name: str) -> Wire:
    """What version 0.1 made of a sample."""
    found: Wire = json.loads((SAMPLES / "expected.json").read_text("utf-8"))[name]
    return found


def turns(name: str) -> dict[str, list[Wire]]:
    """The turns of a sample by conversation, as `read_notebook` gives them."""
    return {
        conversation.name: [
            {
                "number": turn.number,
                "prompt": str(turn.prompt),
                "thinking": turn.reply.thinking,
                "text": turn.reply.text,
                "status": turn.reply.status,
                "is_hidden": turn.is_hidden,
            }
            for turn in conversation.turns
        ]
        for conversation in mm.read_notebook(SAMPLES / name).values()
    }


def requests(name: str, setup: str, cells: list[Wire], folder: Path) -> list[Wire]:
    """What a new kernel sends that resumes a sample and runs these cells, as parts of each body.

    A cell asks the server at its `address`, for which the loopback server stands as a proxy, so
    that it is the same address each time; without one the loopback server itself.
    """
    path, data = folder / name, folder / "data"
    path.write_bytes((SAMPLES / name).read_bytes())
    data.mkdir()
    trust(path, data)
    environment = {"JUPYTER_DATA_DIR": str(data), "JPY_SESSION_NAME": str(path), **MODEL}
    with Loopback(*numbered()) as server:
        addresses = [cell["address"] or server.url for cell in cells]
        environment |= {"MINIMAX_BASE_URL": addresses[0], "http_proxy": server.url, "no_proxy": ""}
        with Kernel(folder, environment) as kernel:
            kernel.run("%load_ext mm_magic", cell_id="load")
            kernel.run(setup, cell_id="setup")
            for cell, address in zip(cells, addresses, strict=True):
                kernel.run(f"import os; os.environ['MINIMAX_BASE_URL'] = {address!r}")
                kernel.run(cell["source"], cell_id=cell["cell"])
        return [
            {part: request.json.get(part) for part in cell["request"]}
            for request, cell in zip(server.requests, cells, strict=True)
        ]


def trust(path: Path, data: Path) -> None:
    """Sign a notebook as Jupyter does that keeps its signatures in `data`."""
    notary = NotebookNotary(data_dir=str(data))  # type: ignore[no-untyped-call]
    notary.sign(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
    notary.store.close()


def replies(name: str, setup: str, cells: Mapping[str, str], folder: Path) -> list[Wire]:
    """What a new kernel shows that replays a sample; text and thinking are None where it misses."""
    shown = []
    with (
        Loopback(*numbered()) as server,
        Kernel(folder, {"MINIMAX_BASE_URL": server.url, **MODEL}, cwd=SAMPLES) as kernel,
    ):
        kernel.run("%load_ext mm_magic", cell_id="load")
        kernel.run(setup, cell_id="setup")
        assert kernel.run(f"%minimax replay {name} --speed max", cell_id="record").status == "ok"
        for cell_id, source in cells.items():
            cell = kernel.run(source, cell_id=cell_id)
            text = thinking = None
            if cell.status == "ok":
                text, thinking = json.loads(kernel.run(REPLY).stdout)
            else:
                assert cell.ename == "UsageError"
            shown.append({"cell": cell_id, "source": source, "text": text, "thinking": thinking})
        assert server.requests == []
    return shown


@pytest.mark.parametrize("name", ["lesson.ipynb", "two-conversations.ipynb"])
def test_turns_are_read(name: str) -> None:
    """The turns of a notebook of version 0.1 are read, stopped and hidden ones included."""
    assert turns(name) == expected(name)["turns"]


@pytest.mark.parametrize("name", ["lesson.ipynb", "two-conversations.ipynb"])
def test_notebook_is_resumed(name: str, tmp_path: Path) -> None:
    """A new cell and a re-run one send the turns of a trusted notebook as version 0.1 did."""
    due = expected(name)
    sent = requests(name, due["setup"], due["cells"], tmp_path)
    assert sent == [cell["request"] for cell in due["cells"]]


@pytest.mark.parametrize("name", ["lesson.jsonl", "simple.jsonl"])
def test_recording_is_replayed(name: str, tmp_path: Path) -> None:
    """A recording gives each cell the answer that it gave in version 0.1, and no other."""
    due = expected(name)
    cells = {cell["cell"]: cell["source"] for cell in due["cells"]}
    assert replies(name, due["setup"], cells, tmp_path) == due["cells"]
