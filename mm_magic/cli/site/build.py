"""A JupyterLite folder: JupyterLab and Notebook, Pyodide as their kernel, and mm_magic in it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from jupyter_core.paths import jupyter_path

from mm_magic.cli.site.wheels import write_wheels
from mm_magic.errors import UsageError

_CONFIG = "jupyter-lite.json"
_EXTENSIONS = (
    "@jupyter-widgets/jupyterlab-manager", "@jupyterlite/pyodide-kernel-extension", "mm_magic",
)  # fmt: skip
_KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
FROM_PYODIDE = (
    "micropip", "ipython", "jedi", "pygments", "nh3", "httpx", "anyio", "certifi", "httpcore",
    "idna",
)  # fmt: skip
"""What is loaded with the page, of Pyodide's own packages. Its httpx does not name what it
imports."""
_APPS = ("lab", "notebooks", "tree", "edit")
"""In Notebook 7 a link leads to the tree, which opens notebooks, and pages of text in an editor."""
_DOCUMENTS = "@jupyterlab/docmanager-extension:plugin"
_WHEELS = "wheels"
_TO_ROOT = "../../../.."
"""From the worker's script, beside which the page looks for a package, to the root of the site."""


def build(contents: Path, folder: Path, work: Path, *, pyodide: Path | None) -> None:
    """Make a site of `contents` in `folder`; `work` is a temporary folder. Raises UsageError.

    With `pyodide`, a folder that has Pyodide, the page loads that; else it loads it from its CDN.
    """
    made = work / "site"
    source = work / "source"
    wheels = write_wheels(work / _WHEELS)
    source.mkdir()
    _write(source / _CONFIG, _page_config(wheels, is_local=pyodide is not None))
    (source / "lab").mkdir()
    _write(source / "lab" / _CONFIG, _lab_config())
    _write(source / "jupyter_lite_config.json", _build_config(contents, made))
    _run_jupyterlite(source)
    shutil.copytree(work / _WHEELS, made / _WHEELS)
    if pyodide is not None:
        shutil.copytree(pyodide, made / "static" / "pyodide")
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(made, folder)


def _page_config(wheels: list[str], *, is_local: bool) -> dict[str, object]:
    """What the page reads: which Pyodide, and which packages come with it."""
    urls = [f"{_TO_ROOT}/{_WHEELS}/{name}" for name in wheels]
    kernel: dict[str, object] = {
        "disablePyPIFallback": True,
        "loadPyodideOptions": {"packages": [*FROM_PYODIDE, *urls]},
    }
    if is_local:
        kernel["pyodideUrl"] = "./static/pyodide/pyodide.mjs"
    return _config({"appName": "mm_magic", "litePluginSettings": {_KERNEL: kernel}})


def _lab_config() -> dict[str, object]:
    """What JupyterLab reads beside it: a page of text that a notebook links to is drawn."""
    viewers = {"defaultViewers": {"markdown": "Markdown Preview"}}
    return _config({"settingsOverrides": {_DOCUMENTS: viewers}})


def _config(settings: dict[str, object]) -> dict[str, object]:
    return {"jupyter-lite-schema-version": 0, "jupyter-config-data": settings}


def _build_config(contents: Path, made: Path) -> dict[str, object]:
    """What JupyterLite's command reads."""
    return {
        "LiteBuildConfig": {
            "apps": _APPS,
            "contents": [str(contents)],
            "federated_extensions": [str(_extension(name)) for name in _EXTENSIONS],
            "ignore_sys_prefix": True,
            "no_sourcemaps": True,
            "no_unused_shared_packages": True,
            "output_dir": str(made),
        }
    }


def _extension(name: str) -> Path:
    """The folder of an installed extension for the front end."""
    here = Path(__file__).resolve().parents[2] / "labextension"
    places = [Path(each, name) for each in jupyter_path("labextensions")]
    for place in [*([here] if name == "mm_magic" else []), *places]:
        if (place / "package.json").is_file():
            return place
    raise UsageError(f"the JupyterLab extension {name} is not installed in this environment")


def _run_jupyterlite(source: Path) -> None:
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(source)]
    environ = {**os.environ, "PYTHONUTF8": "1"}  # else a pipe on Windows lacks what it prints
    done = subprocess.run(
        command, cwd=source, env=environ, capture_output=True, encoding="utf-8", errors="replace",
        check=False,
    )  # fmt: skip
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise UsageError(f"JupyterLite could not build the site: {told[-1] if told else ''}")


def _write(path: Path, content: object) -> None:
    path.write_bytes(json.dumps(content, indent=1).encode())
