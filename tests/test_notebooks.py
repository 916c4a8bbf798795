"""The example notebooks as files. nbval runs them and compares their outputs, but for pictures."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.shells import fresh_shell
from traitlets.config import Config

from mm_magic.conversation.notebook_file import joined

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_OUTPUT = 100_000  # bytes of JSON
MAX_LINES = 45

# matplotlib tells on stderr that it builds its cache of fonts, where that takes it long.
NOT_COMPARED = {("05-parameters", "imports"), ("06-your-data", "figure")}

PRIVATE = re.compile(
    r"/(?:home|Users|root|tmp|work|mnt|var|opt)/|[A-Z]:\\\\|file:/"
    r"|\bsk-[\w-]{8}|\beyJ[\w-]{8}|Bearer [\w-]{4}"
)

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

Cell = dict[str, Any]


def cells(path: Path, kind: str = "") -> list[Cell]:
    """The cells of a notebook, or those of one kind."""
    found: list[Cell] = json.loads(path.read_text("utf-8"))["cells"]
    return [cell for cell in found if kind in ("", cell["cell_type"])]


def source(path: Path, cell_id: str) -> str:
    return next(joined(cell["source"]) for cell in cells(path) if cell["id"] == cell_id)


def anchors(path: Path) -> set[str]:
    """The headings of a notebook as Jupyter links to them."""
    text = "\n".join(joined(cell["source"]) for cell in cells(path, "markdown"))
    return {title.replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@every_notebook
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link names a file that is there, and a heading that it has."""
    for cell in cells(path, "markdown"):
        for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", joined(cell["source"])):
            file, _, anchor = "".join(link).partition("#")
            if re.match(r"[a-z]+:", file):
                continue
            target = path.parent / file if file else path
            assert target.is_file(), link
            assert not anchor or anchor in anchors(target), link


@every_notebook
def test_outputs_are_small(path: Path) -> None:
    """No output is larger than 100 kB."""
    sizes = [
        len(json.dumps(output, ensure_ascii=False).encode())
        for cell in cells(path, "code")
        for output in cell["outputs"]
    ]
    assert [size for size in sizes if size > MAX_OUTPUT] == []


@every_notebook
def test_nothing_private(path: Path) -> None:
    """No path of the machine that ran it is in a notebook, and nothing that looks like a key."""
    text = path.read_text("utf-8")
    assert PRIVATE.findall(text) == []
    assert str(ROOT) not in text


@pytest.mark.parametrize(
    "text",
    ["/home/ada/x.ipynb", "C:\\\\Users", "/home/bob/main", "sk-api-0123456789", "Bearer abcdefgh"],
)
def test_what_is_private(text: str) -> None:
    """The search of the test above finds paths and keys."""
    assert PRIVATE.search(text)


@every_notebook
def test_cells_have_names(path: Path) -> None:
    """Each cell has an id of its own that says what it is for."""
    names = [cell["id"] for cell in cells(path)]
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []
    assert len(set(names)) == len(names)


@every_notebook
def test_prose_comes_first(path: Path) -> None:
    """A notebook begins with a title, and says that it is no model that answers in it."""
    first, *_ = cells(path)
    text = joined(first["source"])
    assert (first["cell_type"], text[:2]) == ("markdown", "# ")
    assert re.search(r"not? (a )?language model", text)


@every_notebook
def test_it_was_run_from_top_to_bottom(path: Path) -> None:
    """The code cells were run once each, in their order, and the demo or the parrot answered."""
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    answered = [
        output["data"]["application/vnd.minimax.turn+json"].get("backend", "offline")
        for cell in code
        for output in cell["outputs"]
        if "application/vnd.minimax.turn+json" in output.get("data", {})
    ]
    assert set(answered) == ({"url"} if "own-server" in path.stem else {"offline"})


@every_notebook
def test_cells_are_short(path: Path) -> None:
    """No cell has more than 45 lines."""
    lengths = {cell["id"]: joined(cell["source"]).count("\n") + 1 for cell in cells(path)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_outputs_are_compared() -> None:
    """Only where matplotlib is loaded first may a cell print something else from run to run."""
    ignored = {
        (path.stem, cell["id"])
        for path in NOTEBOOKS
        for cell in cells(path, "code")
        if {"nbval-ignore-output", "nbval-skip"} & set(cell["metadata"].get("tags", []))
        or "NBVAL_" in joined(cell["source"])
    }
    assert ignored == NOT_COMPARED
    assert all("import matplotlib" in source(_path(name), cell) for name, cell in ignored)


def test_pictures_are_there() -> None:
    """Each plot is in the file as PNG, which GitHub shows, too."""
    plots = [cell for cell in cells(_path("05-parameters"), "code") if "plot-" in cell["id"]]
    shown = [output["data"]["image/png"][:8] for cell in plots for output in cell["outputs"]]
    assert shown == ["iVBORw0K"] * 3


def test_the_wheel_holds_them_all() -> None:
    """The wheel brings every notebook along, since `mm_magic demo` copies them from there."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    packed = build["targets"]["wheel"]["force-include"]
    assert packed == {
        f"notebooks/{path.name}": f"mm_magic/notebooks/{path.name}" for path in NOTEBOOKS
    }


def test_the_example_of_the_api_page() -> None:
    """The answer that is shown as a real model's is the API page's example, to the letter."""
    shown = source(_path("04-what-is-sent"), "model-text").split("```")[1].removeprefix("json\n")
    example = (ROOT / "tests" / "data" / "answer.json").read_text("utf-8")
    assert json.loads(shown) == json.loads(example)


def test_the_code_is_the_demos() -> None:
    """The cell that `%minimax code` is said to make is what it makes."""
    path = _path("06-your-data")
    with fresh_shell() as shell:
        shell.run(source(path, "code-ask"))
        shell.run("%minimax code")
        assert shell.ip.rl_next_input == source(path, "code")


def test_the_administrators_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """The configuration that is given for a hub sets what it says."""
    text = source(_path("07-your-own-server"), "admin-text")
    (snippet,) = re.findall(r"```python\n(c = get_config.*?)```", text, re.DOTALL)
    config = Config()
    exec(snippet, {"get_config": lambda: config})
    assert config.InteractiveShellApp.extensions == ["mm_magic"]
    with fresh_shell(config) as shell:
        capsys.readouterr()
        shell.run("%minimax")
    told = capsys.readouterr().out
    assert "max_tokens 1000" in told
    assert "system You help students of a first course in physics." in told


def _path(name: str) -> Path:
    return ROOT / "notebooks" / f"{name}.ipynb"
