"""Wheels for the page, made of the packages that are installed here.

They are pure Python and small, so nothing is built or downloaded. All else that the page needs
Pyodide brings itself. Everybody can read them, so only modules go in: beside those of a checkout
may be anything.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

PACKAGES = {
    "mm_magic": "mm_magic",
    "comm": "comm",
    "ipywidgets": "ipywidgets",
    "markdown-it-py": "markdown_it",
    "mdurl": "mdurl",
}
"""What Pyodide does not bring: distributions, and the folders that they consist of."""

_WHEEL = "Wheel-Version: 1.0\nGenerator: mm_magic\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_DAY = (1980, 1, 1, 0, 0, 0)  # the same files make the same wheel


def write_wheels(folder: Path) -> list[str]:
    """Write a wheel of each package into `folder`; return their names."""
    folder.mkdir(parents=True)
    return [_write_wheel(folder, *each) for each in PACKAGES.items()]


def _write_wheel(folder: Path, name: str, package: str) -> str:
    installed = distribution(name)
    stem = f"{name.replace('-', '_')}-{installed.version}"
    info = f"{stem}.dist-info"
    texts = {"METADATA": installed.read_text("METADATA") or "", "WHEEL": _WHEEL}
    files = dict(_files(package)) | {
        f"{info}/{name}": text.encode() for name, text in texts.items()
    }
    lines = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    wheel = f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(folder / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, _DAY), data, zipfile.ZIP_DEFLATED)
    return wheel


def _files(package: str) -> Iterator[tuple[str, bytes]]:
    """The modules of an installed package, by their paths in a wheel."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if all(part.removesuffix(".py").isidentifier() for part in parts):
            yield "/".join((package, *parts)), path.read_bytes()


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return digest.decode().rstrip("=")
