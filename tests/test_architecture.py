"""The shape of the package: who imports whom, what lies at its root, and what is imported late."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mm_magic"

ROOMS = (
    "__main__", "cli", "jupyter", "session", "rendering", "conversation", "transport", "prompt",
    "protocol", "errors", "web_page", "wording",
)  # fmt: skip
"""Imports go down this list only, those for types and those inside functions included."""
STRANGERS = {"session", "rendering"}
"""Two rooms that do not know each other."""
EXEMPT = {("errors", "conversation.reply")}
"""For types alone: an error carries the reply that had arrived, and a reply can't import less."""
MOST_AT_ROOT = 14
ONLY_IN: Mapping[str, str | tuple[str, ...]] = {
    "httpx": "transport/network.py",
    "IPython": ("jupyter/", "__init__.py"),
    "traitlets": "jupyter/",
    "ipywidgets": "jupyter/",
    "nest_asyncio2": "session/sync.py",
    "markdown_it": (
        "rendering/code.py",
        "rendering/dialect.py",
        "rendering/markdown.py",
        "rendering/markup.py",
    ),
    "nh3": "rendering/markdown.py",
    "pygments": "rendering/code.py",
    "PIL": "prompt/pictures.py",
    "pydantic": ("session/validation.py", "session/values.py"),
}
TWICE = {
    "Columns",  # of a table that is asked about, and of answers on a page
    "Row",  # of a table that is asked about, and of the table of options
    "Taken",  # out of a notebook, and of what arrives
}
"""Names of two classes, each of which its module makes plain."""
IMPURE = {
    "asyncio", "io", "logging", "os", "pathlib", "random", "select", "shutil", "signal", "socket",
    "ssl", "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip


def modules(package: Path) -> dict[str, Path]:
    """The modules of a package by their dotted names below it; folders bear their own name."""
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def dotted_imports(path: Path) -> Iterator[str]:
    """All that a module imports, wherever in it that stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(package: Path) -> dict[str, set[str]]:
    """For each module of a package, the modules of that package that it imports."""
    known = modules(package)
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        inner = [
            dotted.removeprefix("mm_magic.")
            for dotted in dotted_imports(path)
            if dotted.startswith("mm_magic.")
        ]
        targets = {dotted if dotted in known else dotted.rpartition(".")[0] for dotted in inner}
        found[name] = {target for target in targets if (name, target) not in EXEMPT} - {""}
    return found


def upward(found: Mapping[str, set[str]]) -> list[str]:
    """The imports that go up the list of rooms, or between two rooms that are strangers."""
    wrong = []
    for name, targets in found.items():
        room = name.partition(".")[0]
        for target in targets if room else ():
            other = target.partition(".")[0]
            if ROOMS.index(other) < ROOMS.index(room) or {room, other} == STRANGERS:
                wrong.append(f"{name} imports {target}")
    return wrong


def circle(found: Mapping[str, set[str]]) -> list[str]:
    """The modules of one circle of imports, in order; none where there is no circle."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_go_down() -> None:
    """A room imports from itself and from the rooms below it, for types as well."""
    assert upward(arrows(PACKAGE)) == []


def test_there_is_no_circle() -> None:
    """No module imports itself by way of others, in its own folder or outside it."""
    assert circle(arrows(PACKAGE)) == []


@pytest.mark.parametrize(
    ("planted", "text", "check"),
    [
        ("protocol/sse.py", "from mm_magic.session.options import Options", upward),
        ("rendering/tables.py", "def f():\n    import mm_magic.session.usage", upward),
        (
            "transport/exchange.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            "    from mm_magic.conversation.turn import Turn",
            upward,
        ),
        (
            "conversation/turn.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            "    from mm_magic.conversation.history import History",
            circle,
        ),
    ],
    ids=["upward", "between strangers", "type-only", "circle"],
)
def test_a_planted_import_is_found(planted: str, text: str, check: object, tmp_path: Path) -> None:
    """These tests can fail: an import that breaks a rule is found in a copy of the package."""
    copy = tmp_path / "mm_magic"
    for path in PACKAGE.rglob("*.py"):
        target = copy / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        more = f"\n{text}\n" if path == PACKAGE / planted else ""
        target.write_text(path.read_text("utf-8") + more, "utf-8")
    assert callable(check)
    assert check(arrows(copy)) != []


def test_the_root_is_small() -> None:
    """The package's root has few entries, and its folders' `__init__` files are empty."""
    entries = [p for p in PACKAGE.iterdir() if p.name not in ("py.typed", "__pycache__")]
    assert len(entries) <= MOST_AT_ROOT
    inner = [path for path in PACKAGE.rglob("*/__init__.py") if path.parent != PACKAGE]
    assert [path for path in inner if path.read_text("utf-8").strip()] == []


def test_a_library_has_one_place() -> None:
    """Each outside library is imported in its one module or folder, and `protocol/` is pure."""
    misplaced = []
    for path in modules(PACKAGE).values():
        name = path.relative_to(PACKAGE).as_posix()
        roots = {dotted.split(".")[0] for dotted in dotted_imports(path)}
        misplaced += [(name, r) for r in roots & ONLY_IN.keys() if not name.startswith(ONLY_IN[r])]
        if name.startswith("protocol/"):
            strange = (roots - sys.stdlib_module_names - {"mm_magic"}) | roots & IMPURE
            misplaced += [(name, root) for root in strange]
    assert misplaced == []


def test_a_class_has_its_name_for_itself() -> None:
    """No two public classes have one name, but for those that are listed."""
    names = Counter(
        node.name
        for path in modules(PACKAGE).values()
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in names.items() if count > 1} == TWICE


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after running `code`, and their packages."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_a_file_is_the_same_on_every_system() -> None:
    """Text is written as bytes, since Windows would change its line ends, and read with a named
    encoding."""
    odd = []
    for path in modules(PACKAGE).values():
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                is_guessed = call.func.attr == "read_text" and not call.args
                if is_guessed or call.func.attr == "write_text":
                    odd.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    assert odd == []


LATE = {"httpx", "ipywidgets", "markdown_it", "nh3", "nest_asyncio2", "pydantic"}
LATE_HERE = {
    f"mm_magic.{name}"
    for name in (
        *("rendering", "transport.network", "protocol.last_json", "protocol.failure"),
        *("prompt.values", "prompt.template", "prompt.error_text"),
        *("session.turn_request", "session.build_request", "session.run", "session.variants"),
        *("session.turns", "session.sender", "session.commits", "session.comparisons"),
        *("session.validation", "session.tools.tool", "session.tools.calling"),
        *("jupyter.arguments", "jupyter.mistakes", "jupyter.commands.table", "jupyter.magics"),
        *("jupyter.offered_words", "jupyter.cell_turn", "jupyter.resume", "jupyter.panel"),
    )
}
"""What the first prompt, command, mistake, Tab or error needs, and the loading does not."""


def test_import_is_light() -> None:
    """`import mm_magic` loads neither IPython nor any other outside library."""
    assert loaded_by("import mm_magic") & (LATE | {"IPython", "pygments", "traitlets"}) == set()


def test_load_ext_is_light() -> None:
    """`%load_ext mm_magic` loads no library beyond IPython's own, and of this package no more than
    what every cell needs."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance().run_line_magic('load_ext', 'mm_magic')"
    )
    assert loaded_by(code) & (LATE | LATE_HERE) == set()


def test_what_comes_late_exists() -> None:
    """The modules that must not be loaded early are there: a renamed one would be looked for in
    vain."""
    there = {f"mm_magic.{name}" for name in modules(PACKAGE)}
    assert there >= LATE_HERE
