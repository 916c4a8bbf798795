"""Each option of this page in every place where an option can stand: docs/options.md has the table.

A test is one column of that table; the options are its rows.
"""

import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.kernels import Kernel, clean_environment
from support.loopback import Loopback, captured, chunk, head, sse, stall
from support.pages import Page
from support.terminal import in_terminal

import mm_magic as mm
from mm_magic.cli.main import main

FLASH = "-m MiniMax-M3.1-Flash"


@dataclass(frozen=True)
class Row:
    """An option: the words of the line, the field that it sends, and its value there.

    `shown` is what the panel, the demo and a miss show of it.
    """

    line: str
    field: str
    value: object
    shown: str


ROWS = {
    "--effort": Row(f"{FLASH} --effort low", "output_config", {"effort": "low"}, "low"),
    "-s @FILE": Row("-s @role.md", "system", "Say moo.", "Say moo."),
}
each_option = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


@pytest.fixture(autouse=True)
def _role(tmp_path: Path) -> None:
    (tmp_path / "role.md").write_text("Say moo.", "utf-8")


def last(server: Loopback) -> Any:
    return server.requests[-1].json


@each_option
@pytest.mark.parametrize("more", ["--alone", "-c side", "-o reply", "--no-stream", ""])
def test_with_other_options(page: Page, server: Loopback, row: Row, more: str) -> None:
    """It is sent to one's own server beside `--alone`, `-c`, `-o` and `--no-stream`."""
    cell = page.ask("a", options=f"{row.line} {more}")

    assert cell.status == "ok"
    assert last(server)[row.field] == row.value
    page.ask("b")
    assert row.field not in last(server)


@each_option
def test_for_all_cells_and_unset(page: Page, server: Loopback, row: Row) -> None:
    """`%minimax` sets it for all cells, and a cell's own line goes before it."""
    page.run("set", f"%minimax {row.line}")
    page.ask("a")

    assert last(server)[row.field] == row.value


@each_option
def test_dry_run(page: Page, server: Loopback, row: Row) -> None:
    """`--dry-run` shows it, and sends nothing."""
    cell = page.ask("a", options=f"{row.line} --dry-run")

    shown = cell.shown[cell.shown.index("{") : cell.shown.rindex("}") + 1]
    assert json.loads(shown)[row.field] == row.value
    assert server.requests == []


@each_option
def test_panel(page: Page, row: Row) -> None:
    """The panel's summary names it, and the line for a cell has it."""
    page.run("set", f"%minimax {row.line}")
    shown = page.run("panel", "%minimax panel", allow_stdin=False).shown

    assert row.shown in shown


@each_option
def test_demo(page: Page, row: Row) -> None:
    """The demo tells that it arrived."""
    page.run("offline", "%minimax offline")

    assert row.shown in page.ask("a", options=row.line, allow_stdin=False).shown


@each_option
def test_record_and_replay(page: Page, server: Loopback, row: Row) -> None:
    """The recording answers with it; without it the error gives the line that has it."""
    page.run("record", "%minimax record lesson.jsonl")
    page.ask("a", options=row.line)
    page.load("")
    page.run("replay", "%minimax replay lesson.jsonl")
    again = page.ask("a", options=row.line)
    page.load("")
    page.run("replay", "%minimax replay lesson.jsonl")
    without = page.ask("a")

    assert "answer 1" in again.shown
    assert "This prompt was recorded with" in without.traceback
    assert row.line.split()[-2] in without.traceback
    assert len(server.requests) == 1


@each_option
def test_fill(page: Page, server: Loopback, row: Row) -> None:
    """With `--fill` it is asked for once, and so is the prompt without it."""
    shown: list[str] = []
    for _ in range(2):
        page.load(server.url)
        page.run("replay", "%minimax replay lesson.jsonl --fill")
        shown = [page.ask("a", options=f"{line} --alone").shown for line in (row.line, "")]

    assert [row.field in each.json for each in server.requests] == [True, False]
    assert ["answer 1" in shown[0], "answer 2" in shown[1]] == [True, True]


@each_option
def test_run_again(page: Page, server: Loopback, row: Row) -> None:
    """A cell that runs again asks the same request, in the same place."""
    page.ask("a", options=row.line)
    page.ask("a", options=row.line)

    first, second = (request.json for request in server.requests)
    assert first == second


@each_option
def test_stop(page: Page, row: Row) -> None:
    """What came before a stop stays, and the next cell works."""
    begun = [head(), chunk(sse(*captured()[:-3])), stall]
    with Loopback(begun) as server:
        page.load(server.url)
        stopped = page.ask(
            "a", options=row.line, when=lambda cell: "Rayleigh" in str(cell.displays)
        )
        page.ask("b", options="--dry-run")

    assert stopped.ename == "Stopped"
    assert last(server)[row.field] == row.value


@each_option
@pytest.mark.parametrize("trusted", [True, False])
def test_restart(page: Page, server: Loopback, row: Row, trusted: bool) -> None:
    """The file keeps it; a restarted kernel sends the turn on, of an untrusted file when asked."""
    page.ask("a", options=row.line)
    page.save(trusted=trusted)
    page.load(server.url)
    if not trusted:
        page.run("restore", "%minimax restore")  # it works in a cell that the file has
        page.save(trusted=False)
        page.run("restore", "%minimax restore")
    page.ask("b")

    assert (
        page.cells["a"]["outputs"][-1]["data"]["application/vnd.minimax.turn+json"]["asked"][
            row.field
        ]
        == row.value
    )
    assert len(last(server)["messages"]) == 3


@each_option
def test_headless(server: Loopback, tmp_path: Path, row: Row) -> None:
    """nbclient runs the cell as a front end does."""
    cells = ["%load_ext mm_magic", f"%%minimax {row.line}\nWhy?"]
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)

    assert last(server)[row.field] == row.value


@each_option
def test_terminal(server: Loopback, tmp_path: Path, row: Row) -> None:
    """IPython in a terminal sends it, too."""
    code = f"%load_ext mm_magic\nget_ipython().run_cell('%%minimax {row.line}\\nWhy?')\n"
    in_terminal(code, tmp_path, server.url)

    assert last(server)[row.field] == row.value


@each_option
def test_strip_and_extract(page: Page, row: Row) -> None:
    """`extract` finds the turn, and `strip` takes out all that the page does not show."""
    page.ask("a", options=row.line)
    page.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(page.path), "--format", "jsonl"])
        main(["strip", str(page.path)])

    assert json.loads(out.getvalue().splitlines()[0])["prompt"] == "prompt a"
    assert row.field not in page.path.read_text("utf-8")


@pytest.mark.parametrize("model", ["MiniMax-M2.7", "minimax-m2.5-20260211"])
def test_what_a_model_refuses_is_not_sent(process: Kernel, model: str) -> None:
    """MiniMax's own service would refuse it; so does the demo, with the line that works."""
    process.fresh()
    cell = process.run(f"%%minimax -m {model} --effort low\nWhy?")

    assert cell.status == "error"
    assert "`%%minimax --effort default`" in cell.traceback


def test_python(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mm.ask` takes it by its name."""
    monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
    mm.ask("Why?", model="MiniMax-M3.1-Flash", effort="low")

    assert last(server)["output_config"] == {"effort": "low"}
