"""A site of notebooks, built with a local Pyodide and served from this machine."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mm_magic.cli.main import main
from mm_magic.cli.site.build import FROM_PYODIDE
from support.pyodide import local_pyodide

ALL_CELLS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
"""Cells out of view are in the page, too."""


def build_site(folder: Path, files: Iterable[Path] = ()) -> Path:
    """Build a site of these files, or of the example notebooks, in a new folder."""
    pyodide = local_pyodide(folder / "pyodide", FROM_PYODIDE)
    made = folder / "made"
    words = [*map(str, files), "-o", str(made), "--pyodide", str(pyodide)]
    assert main(["site", *words]) == 0
    return made


def show_all_cells(made: Path) -> None:
    """Let the page draw all cells of a notebook, not only those in view."""
    config = made / "jupyter-lite.json"
    content = json.loads(config.read_text("utf-8"))
    content["jupyter-config-data"]["settingsOverrides"] = ALL_CELLS
    config.write_text(json.dumps(content), "utf-8")


@contextmanager
def served(made: Path) -> Iterator[str]:
    """The address at which a folder is served."""
    handler = partial(_Quiet, directory=str(made))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...
