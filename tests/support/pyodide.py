"""A folder with Pyodide, as `--pyodide` takes it: npm has its core, PyPI the pure packages.

nh3 is compiled, and nobody but Pyodide has it for a page: a stand-in lets all HTML pass. So no
test in the page is about what nh3 takes out.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

VERSION = "314.0.6"
_PYTHON = "3.14"
_CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
_LOCK = "pyodide-lock.json"
_NH3 = "nh3-0.3.4-py3-none-any.whl"
_STAND_IN = """\
class Cleaner:
    def __init__(self, **_): ...
    def clean(self, html): return html
"""


def local_pyodide(folder: Path, names: Iterable[str]) -> Path:
    """The core, and the packages of these names with all that they need. It downloads 13 MB."""
    lock = _take_core(folder)
    packages = {name: lock["packages"][name] for name in _closure(lock["packages"], names)}
    _take_wheels(folder, packages)
    for package in packages.values():
        data = (folder / package["file_name"]).read_bytes()
        package["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / _LOCK).write_text(json.dumps(lock | {"packages": packages}), "utf-8")
    return folder


def _take_core(folder: Path) -> Any:
    """Put the core into the folder, and return the lock of all of Pyodide's packages."""
    folder.mkdir(parents=True)
    _run("npm", "pack", "--silent", f"pyodide@{VERSION}", "--pack-destination", str(folder))
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        for name in (*_CORE, _LOCK):
            file = archive.extractfile(f"package/{name}")
            assert file is not None
            (folder / name).write_bytes(file.read())
    packed.unlink()
    return json.loads((folder / _LOCK).read_text("utf-8"))


def _closure(packages: Any, names: Iterable[str]) -> Iterator[str]:
    """These packages, and those that they name as needed."""
    due, found = [*names], set[str]()
    while due:
        name = due.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            yield name
            due += packages[name]["depends"]


def _take_wheels(folder: Path, packages: dict[str, Any]) -> None:
    with zipfile.ZipFile(folder / _NH3, "w") as wheel:
        wheel.writestr("nh3/__init__.py", _STAND_IN)
        wheel.writestr(
            "nh3-0.3.4.dist-info/METADATA", "Metadata-Version: 2.1\nName: nh3\nVersion: 0.3.4\n"
        )
    packages["nh3"]["file_name"] = _NH3
    wanted = [f"{name}=={each['version']}" for name, each in packages.items() if name != "nh3"]
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    _run(*pip, "--python-version", _PYTHON, "--dest", str(folder), *wanted)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=120)
