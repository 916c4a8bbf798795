"""`python -m mm_magic site`: a folder of files in which notebooks run, without a server."""

import os
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from mm_magic.cli.demo import has_display
from mm_magic.cli.failure import fail
from mm_magic.cli.site.contents import write_contents
from mm_magic.errors import UsageError
from mm_magic.wording import counted

PORT = 8000
_HERE = "127.0.0.1"
_TYPES = {
    ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json",
    ".mjs": "text/javascript", ".svg": "image/svg+xml", ".wasm": "application/wasm",
}  # fmt: skip
"""Of what a browser takes in one type only: the registry of Windows may name another."""
_NEEDED = ("jupyterlite_core", "jupyterlite_pyodide_kernel", "jupyter_server")


def site(
    files: Sequence[Path], folder: Path, *, pyodide: Path | None, serve: bool, port: int = PORT
) -> int:
    """Build a site of `files` in `folder`; return 0, or 1 if that could not be done.

    With `serve`, show it in a browser until Ctrl-C.
    """
    try:
        _check(files, folder, pyodide)
        if serve:
            _check_port(port)
        first = _built(files, folder, pyodide)
        print(_told(folder, first, is_local=pyodide is not None, is_served=serve), flush=True)
        if serve:
            _serve(folder, port, first)
    except UsageError as error:
        return fail("site", error.card())
    except OSError as error:
        return fail("site", f"{error.filename or folder}: {error.strerror}")
    return 0


def _check(files: Sequence[Path], folder: Path, pyodide: Path | None) -> None:
    """Raises UsageError for what can be told before anything is written."""
    if folder.exists() and not _may_be_written(folder):
        raise UsageError(f"{folder} already exists and is not a site; name another folder with -o")
    if inside := [file for file in files if folder.resolve() in file.resolve().parents]:
        raise UsageError(
            f"{inside[0]} is in {folder}, which will be rebuilt; move the file elsewhere first"
        )
    if not all(map(find_spec, _NEEDED)):
        raise UsageError(f"JupyterLite is not installed; to install it: {_install_line()}")
    if pyodide is not None and not (pyodide / "pyodide.mjs").is_file():
        raise UsageError(f"{pyodide} has no pyodide.mjs; name the folder that has it")


def _install_line() -> str:
    """The line that installs what is needed, in its exact versions."""
    found = [line.partition(";") for line in requires("mm_magic") or []]
    needed = [f'"{name.strip()}"' for name, _, marker in found if "site" in marker]
    return f"{sys.executable} -m pip install {' '.join(needed)}"


def _may_be_written(folder: Path) -> bool:
    """Whether it is empty, or a site of ours: `jupyter-lite.json` alone is a project's, too."""
    if not folder.is_dir():
        return False
    is_site = (folder / "jupyter-lite.json").is_file() and any(folder.glob("wheels/mm_magic-*.whl"))
    return is_site or not any(folder.iterdir())


def _built(files: Sequence[Path], folder: Path, pyodide: Path | None) -> str:
    """The name of the first notebook of the site that was built."""
    from mm_magic.cli.site.build import build  # with jupyter_core, which may be missing

    with tempfile.TemporaryDirectory(prefix="mm_magic_site_") as temporary:
        contents = Path(temporary, "contents")
        contents.mkdir()
        notebooks = write_contents(files, contents)
        build(contents, folder, Path(temporary), pyodide=pyodide)
    return notebooks[0]


def _check_port(port: int) -> None:
    """Before the site is built: is anybody else at this port?"""
    try:
        with ThreadingHTTPServer((_HERE, port), SiteHandler):
            return
    except OSError as error:
        raise UsageError(f"port {port} can't be used: {error.strerror}; try --port N") from None


def _told(folder: Path, first: str, *, is_local: bool, is_served: bool) -> str:
    """How large it is, and what to do with it."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    lines = [
        f"The site is in {folder}: {counted(len(sizes), 'file')}, {sum(sizes) / 1e6:.0f} MB.",
        *([] if is_served else ["To look at it, run the same command with --serve."]),
        "To publish it, copy the folder to a web server or to GitHub Pages. To link to its "
        f"first notebook, add this to the site's address: {_link(first)}",
    ]
    if not is_local:
        lines.append(
            "The page loads Python (Pyodide) from a CDN, so its readers need internet access."
        )
    return "\n".join(lines)


def _link(notebook: str) -> str:
    """The address of a notebook in its place, from the site's root."""
    return f"notebooks/index.html?path={quote(notebook)}"


def _serve(folder: Path, port: int, first: str) -> None:
    """Serve the folder on this machine until Ctrl-C, and open its first notebook."""
    handler = partial(SiteHandler, directory=str(folder))
    with ThreadingHTTPServer((_HERE, port), handler) as server:
        address = f"http://{_HERE}:{server.server_port}/{_link(first)}"
        print(f"The site is at {address}\nPress Ctrl-C here to stop it.", flush=True)
        if has_display(sys.platform, os.environ):
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


class SiteHandler(SimpleHTTPRequestHandler):
    """Serves the files of a site, each as what it is."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | _TYPES

    def log_message(self, *_: object) -> None:
        """A page has hundreds of files."""
