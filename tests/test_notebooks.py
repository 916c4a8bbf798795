"""The example notebooks as files. nbval runs them and compares their outputs, but for pictures."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.printed import on_one_line
from support.shells import fresh_shell
from traitlets.config import Config

from mm_magic.conversation.notebook_file import joined
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.reader import read

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RECORDINGS = sorted((ROOT / "notebooks").glob("*.jsonl"))
WRITTEN = "answers.csv"  # by a notebook, when it runs
TABLES = sorted(p for p in (ROOT / "notebooks").glob("*.csv") if p.name != WRITTEN)
CLASS = sorted((ROOT / "notebooks").glob("class/*.ipynb"))
OF_A_MODEL = {"09-a-real-model": "smollm2", "10-a-lesson": "dragons"}
"""Notebooks in which a real model's recording answers, and that recording."""
MAX_OUTPUT = 100_000  # bytes of JSON
MAX_CELLS = 20
MAX_LINES = 45
REAL_MODEL = "SmolLM2-135M-Instruct"
TURN = "application/vnd.minimax.turn+json"

# For whom, how long, and who answers.
FIRST_LINE = re.compile(r"\*For .+\. \d+ minutes\. .+ answers?\b.*; you need no key.*\.\*")

# matplotlib tells on stderr that it builds its cache of fonts, where that takes it long, and each
# version of it draws a figure a little differently. A server's answer says how long it took, which
# no two runs agree on.
NOT_COMPARED = {
    ("05-parameters", "imports"),
    ("06-your-data", "year"),
    ("06-your-data", "figure"),
    ("07-your-own-server", "ask"),
    ("07-your-own-server", "again"),
}
PARROT = re.compile(
    r"\(\d in all\) .* \nparrot · turn \d(, 1 earlier sent)? · 5 in / 8 out · \d\.\d s"
)

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


@every_notebook
def test_outputs_are_small(path: Path) -> None:
    """No output is larger than 100 kB."""
    sizes = [
        len(json.dumps(output, ensure_ascii=False).encode())
        for cell in cells(path, "code")
        for output in cell["outputs"]
    ]
    assert [size for size in sizes if size > MAX_OUTPUT] == []


@pytest.mark.parametrize(
    "path", [*NOTEBOOKS, *RECORDINGS, *TABLES, *CLASS], ids=lambda path: path.name
)
def test_nothing_private(path: Path) -> None:
    """No path of the machine that made it is in a file, and nothing that looks like a key."""
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
def test_the_first_line_says_for_whom(path: Path) -> None:
    """Below its title a notebook says for whom it is, how long it takes, and who answers."""
    first, *_ = cells(path)
    title, _, line, *_ = joined(first["source"]).splitlines()
    assert (first["cell_type"], title[:2]) == ("markdown", "# ")
    assert FIRST_LINE.fullmatch(line), line
    assert ("not a language model" in line) == (path.stem not in OF_A_MODEL)


@every_notebook
def test_a_notebook_is_short(path: Path) -> None:
    """No notebook has more than 20 cells."""
    assert len(cells(path)) <= MAX_CELLS


@every_notebook
def test_trust_comes_later(path: Path) -> None:
    """The first three cells say nothing about trust, in their text or in what they print."""
    assert "trust" not in json.dumps(cells(path)[:3]).lower()


@every_notebook
def test_it_was_run_from_top_to_bottom(path: Path) -> None:
    """The code cells were run once each, in their order, and whom the first line names answered."""
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    answered = {
        output["data"][TURN].get("backend", "offline")
        for cell in code
        for output in cell["outputs"]
        if TURN in output.get("data", {})
    }
    others = {
        "01-quickstart": {"recorded", "offline"},
        "07-your-own-server": {"url"},
        "09-a-real-model": {"recorded"},
        "10-a-lesson": {"recorded"},
    }
    assert answered == others.get(path.stem, {"offline"})


@every_notebook
def test_cells_are_short(path: Path) -> None:
    """No cell has more than 45 lines."""
    lengths = {cell["id"]: joined(cell["source"]).count("\n") + 1 for cell in cells(path)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_outputs_are_compared() -> None:
    """Only where matplotlib is loaded, or a server or a figure is asked, may outputs differ."""
    ignored = {
        (path.stem, cell["id"])
        for path in NOTEBOOKS
        for cell in cells(path, "code")
        if {"nbval-ignore-output", "nbval-skip"} & set(cell["metadata"].get("tags", []))
        or "NBVAL_" in joined(cell["source"])
    }
    assert ignored == NOT_COMPARED
    sources = {cell: source(_path(name), cell) for name, cell in ignored}
    assert all("import matplotlib" in sources.pop(cell) for cell in ("imports", "year"))
    assert all(text.startswith("%%minimax") for text in sources.values())


@pytest.mark.parametrize("cell", ["ask", "again"])
def test_a_server_answers(cell: str) -> None:
    """What the server of a notebook's own answers is in the file, with its status line."""
    (found,) = (c for c in cells(_path("07-your-own-server"), "code") if c["id"] == cell)
    shown = (joined(output["data"]["text/plain"]) for output in found["outputs"])
    assert PARROT.fullmatch("\n".join(shown))


def test_pictures_are_there() -> None:
    """Each plot is in the file as PNG, which GitHub shows, too."""
    plots = [cell for cell in cells(_path("05-parameters"), "code") if "plot-" in cell["id"]]
    shown = [output["data"]["image/png"][:8] for cell in plots for output in cell["outputs"]]
    assert shown == ["iVBORw0K"] * 2


def test_a_figure_is_described() -> None:
    """The figure that was sent stands above the answer, which says what arrived."""
    path = _path("06-your-data")
    (found,) = (cell["outputs"] for cell in cells(path, "code") if cell["id"] == "figure")
    (turn,) = (each for each in turns(path) if isinstance(each["prompt"], list))
    text, picture = turn["prompt"]
    assert text == {"type": "text", "text": "When are the days longest?\n\n"}
    assert found[0]["data"]["image/png"].strip() == picture["source"]["data"]
    assert re.search(
        r"1\. image/png, \d+×\d+, \d+ kB, mean colour `#", turn["steps"][0]["content"][0]["text"]
    )


def test_the_example_of_the_api_page() -> None:
    """The answer that is shown as the API page's is its example, to the letter."""
    example = json.loads((ROOT / "tests" / "data" / "answer.json").read_text("utf-8"))
    shown = source(_path("04-what-is-sent"), "model-text").split("```")[1].removeprefix("json\n")
    assert json.loads(shown) == example
    (played,) = exchanges("api-example")
    assert json.loads(b"".join(data for _, data in played.reads)) == example
    turn = next(each for each in turns(_path("01-quickstart")) if each["backend"] == "recorded")
    (step,) = turn["steps"]
    assert step["content"] == example["content"]


@pytest.mark.parametrize(("notebook", "recording"), OF_A_MODEL.items())
def test_a_real_model_is_named(notebook: str, recording: str) -> None:
    """Each answer of the recording is the real model's, and each status line says so."""
    assert {each.model for each in exchanges(recording)} == {REAL_MODEL}
    lines = [
        joined(output["data"]["text/plain"])
        for cell in cells(_path(notebook), "code")
        for output in cell["outputs"]
        if TURN in output.get("data", {})
    ]
    days = {each.day for each in exchanges(recording)}
    assert len(days) == 1
    named = f"recorded {days.pop()}, {REAL_MODEL} · "
    assert [line for line in lines if not line.startswith(named)] == []
    assert len(lines) == len(turns(_path(notebook))) > 3


def test_a_class_handed_in() -> None:
    """The students' notebooks hold recorded answers, and what the same model answered to Chi."""
    answers = [each for path in CLASS for each in turns(path)]
    assert [each["backend"] for each in answers] == ["recorded"] * 3 + ["url"] * 2
    assert {each["model"] for each in answers} == {REAL_MODEL}


def test_the_code_is_the_demos() -> None:
    """The cell that `%minimax code` is said to make is what it makes."""
    path = _path("06-your-data")
    with fresh_shell() as shell:
        shell.run(source(path, "code-ask"))
        shell.run("%minimax code")
        assert shell.ip.rl_next_input == source(path, "code")


def test_the_elements() -> None:
    """The table has the first 60 elements in their order; a stop keeps the rows that are done."""
    lines = (ROOT / "notebooks" / "elements.csv").read_text("utf-8").splitlines()
    table = [line.split(",") for line in lines]
    assert table[0] == ["number", "symbol", "name", "mass"]
    assert [row[0] for row in table[1:]] == [str(number) for number in range(1, 61)]
    assert [len({row[column] for row in table[1:]}) for column in (1, 2)] == [60, 60]
    assert table[26][:3] == ["26", "Fe", "iron"]
    shown = json.dumps([cell["outputs"] for cell in cells(_path("06-your-data"), "code")])
    assert "54 of 60 rows have an answer: run the same line again" in shown
    assert "54 answers were reused from this kernel" in shown


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
    told = on_one_line(capsys.readouterr().out)
    assert "max_tokens 1000" in told
    assert "system You help students in an introductory physics course." in told


def _path(name: str) -> Path:
    return ROOT / "notebooks" / f"{name}.ipynb"


def turns(path: Path) -> list[Cell]:
    """The saved turns of a notebook."""
    return [
        output["data"][TURN]
        for cell in cells(path, "code")
        for output in cell["outputs"]
        if "steps" in output.get("data", {}).get(TURN, {})
    ]


def exchanges(name: str) -> tuple[RecordedExchange, ...]:
    """What a recording of the notebooks holds; nothing in it is damaged."""
    path = ROOT / "notebooks" / f"{name}.jsonl"
    recording = read(path.read_bytes(), path.name)
    assert recording.damaged == ()
    return recording.exchanges
