"""The shape of the package: who imports whom, how large files are, and what is imported late."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mm_magic"
MAX_LINES = 400

# Imports go down this list only. A name stands for a module or for a whole folder.
LAYERS = (
    ("notebook", "__main__"),
    ("cli_strip",),
    ("api", "cli_extract"),
    ("recorded_turns",),
    ("pasts", "visible"),
    ("ipynb",),
    ("saved", "status", "tables", "wire"),
    ("session",),
    ("notes", "preparing", "recordings"),
    ("run", "meter"),
    ("advice", "rendering", "driving", "window"),
    ("conversation",),
    ("chain", "cells"),
    ("turns",),
    ("reply", "heartbeat", "blocks", "markdown", "template"),
    ("dataframes", "formulas", "settings"),
    ("catalog", "transport", "ranges", "turnstile"),
    ("protocol",),
    ("errors",),
    ("quoting",),
    ("files", "plain"),
)
ONLY_IN = {
    "httpx": "transport/client.py",
    "IPython": "notebook/",
    "traitlets": "notebook/",
    "ipywidgets": "notebook/",
    "nest_asyncio2": "driving.py",
    "markdown_it": "markdown.py",
    "nh3": "markdown.py",
    "pygments": "markdown.py",
}
IMPURE = {
    "asyncio", "io", "logging", "os", "pathlib", "random", "select", "shutil", "signal", "socket",
    "ssl", "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports at run time; type-only imports don't count."""
    tree = ast.parse(path.read_text("utf-8"))
    type_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in type_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(dotted: str) -> int:
    """The layer of `mm_magic.conversation.Turn`, counted from the top."""
    part = dotted.split(".")[1]
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_down(path: Path) -> None:
    """A module imports from its own folder, or from a layer below its own."""
    own = ".".join(("mm_magic", *path.relative_to(PACKAGE).with_suffix("").parts))
    if own == "mm_magic.__init__":
        return
    folder = own.split(".")[1]
    upward = [
        name
        for name in imports(path)
        if name.startswith("mm_magic.")
        and name.split(".")[1] != folder
        and layer_of(name) <= layer_of(own)
    ]
    assert upward == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_library_has_one_place(path: Path) -> None:
    """Each outside library is imported in its one module or folder."""
    name = name_of(path)
    roots = {dotted.split(".")[0] for dotted in imports(path)}
    misplaced = {r for r in roots if r in ONLY_IN and not name.startswith(ONLY_IN[r])}
    assert misplaced == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "protocol").glob("*.py")), ids=name_of)
def test_the_protocol_is_pure(path: Path) -> None:
    """`protocol/` imports the standard library's pure parts, itself and the errors."""
    roots = {dotted.split(".")[0] for dotted in imports(path)}
    assert roots <= sys.stdlib_module_names | {"mm_magic"}
    assert roots & IMPURE == set()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_files_are_small(path: Path) -> None:
    """No file has more than 400 lines."""
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has after running `code`."""
    script = f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


LATE = {"httpx", "ipywidgets", "markdown_it", "nh3", "nest_asyncio2"}


def test_import_is_light() -> None:
    """`import mm_magic` loads neither IPython nor any other outside library."""
    assert loaded_by("import mm_magic") & (LATE | {"IPython", "pygments", "traitlets"}) == set()


def test_load_ext_is_light() -> None:
    """`%load_ext mm_magic` loads no library beyond IPython's own."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance().run_line_magic('load_ext', 'mm_magic')"
    )
    assert loaded_by(code) & LATE == set()
