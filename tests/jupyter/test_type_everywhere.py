"""`--type` in every place where it can stand: docs/options.md has the table."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.kernels import TURN, clean_environment
from support.loopback import Connection, Loopback, captured, chunk, head, sse, stall, streamed
from support.pages import Page, sent

from mm_magic.cli.main import main

pytestmark = pytest.mark.slow

REVIEW = "from dataclasses import dataclass\n@dataclass\nclass Review:\n    year: int"
GOOD, WRONG = '{"year": 1815}', '{"title": "Emma"}'
VALUE = "field  value\nyear   1815"


def said(connection: Connection) -> None:
    """A typed prompt gets JSON: the wrong one first where it says so. Others get "moo"."""
    body = connection.request.json
    text = GOOD if "JSON Schema" in body.get("system", "") else "moo"
    is_never = body["messages"][0]["content"] == "never"
    if text == GOOD and (is_never or body["messages"][-1]["content"] == "wrong"):
        text = WRONG
    for step in streamed(captured(text=text)):
        step(connection)


@pytest.fixture
def server() -> Any:
    with Loopback(said) as server:
        yield server


@pytest.fixture
def typed(page: Page) -> Page:
    """A page with the type."""
    page.run("class", REVIEW)
    return page


def last(server: Loopback) -> Any:
    return server.requests[-1].json


@pytest.mark.parametrize("more", ["--alone", "-c side", "-o reply", "--no-stream", ""])
def test_with_other_options(typed: Page, server: Loopback, more: str) -> None:
    """It is read beside `--alone`, `-c`, `-o` and `--no-stream`; the next cell has no type."""
    cell = typed.ask("a", "wrong", options=f"--type Review {more}")

    assert cell.status == "ok"
    assert VALUE in cell.shown
    assert (
        "The first answer did not fit the type (“year” is missing), so the model was asked again."
        in cell.shown
    )
    assert typed.kernel.run("print(_.value)").stdout == "Review(year=1815)\n"
    assert len(server.requests) == 2
    assert "moo" in typed.ask("b").shown
    assert "system" not in last(server)


def test_dry_run(typed: Page, server: Loopback) -> None:
    """`--dry-run` shows the schema, and sends nothing."""
    shown = typed.ask("a", options="--type Review --dry-run").shown

    assert "JSON Schema" in shown
    assert server.requests == []


def test_for_all_cells(typed: Page) -> None:
    """`%minimax --type` is an error that gives the line for one cell."""
    assert "`%%minimax --type Review`" in typed.run("set", "%minimax --type Review").traceback


def test_panel(typed: Page, server: Loopback) -> None:
    """The panel does not have it; its settings hold beside it."""
    assert "--type" not in typed.run("panel", "%minimax panel", allow_stdin=False).shown
    typed.run("set", "%minimax -s Brief")
    typed.ask("a", options="--type Review")

    assert last(server)["system"].startswith("Brief\n\nAnswer only with JSON")


def test_lists(typed: Page) -> None:
    """Each of several answers is read, and drawn as a value under its label."""
    cell = typed.ask("a", "wrong", options="--type Review -n 2")

    assert cell.status == "ok"
    assert (
        "Answer 1: the first try did not fit the type (“year” is missing), so the model was asked "
        "again." in cell.shown
    )
    assert typed.kernel.run("print([r.value.year for r in _])").stdout == "[1815, 1815]\n"


def test_demo(typed: Page) -> None:
    """The demo makes its JSON from the schema."""
    typed.run("offline", "%minimax offline")

    assert "field  value\nyear   " in typed.ask("a", options="--type Review").shown


def test_record_and_replay(typed: Page, server: Loopback) -> None:
    """Both requests are recorded; the replay asks once more, too, and gives the same value."""
    typed.run("record", "%minimax record lesson.jsonl")
    typed.ask("a", "wrong", options="--type Review")
    typed.ask("b")
    for _ in range(2):
        typed.load("")
        typed.run("class", REVIEW)
        typed.run("replay", "%minimax replay lesson.jsonl --speed 100")
        again = typed.ask("a", "wrong", options="--type Review")
        assert VALUE in again.shown
        assert "so the model was asked again" in again.shown
        assert "moo" in str(typed.ask("b").displays)
    typed.load("")
    typed.run("replay", "%minimax replay lesson.jsonl")

    without = typed.ask("a", "wrong").traceback
    assert "This prompt was recorded with --type Review: `%%minimax --type Review`" in without
    assert "no `--type`" in typed.ask("b", options="--type Review").traceback
    assert len(server.requests) == 3


def test_replay_of_the_notebook(typed: Page, server: Loopback) -> None:
    """The notebook's own turns give the answer that fits, at once."""
    typed.ask("a", "wrong", options="--type Review")
    typed.save()
    typed.load("")
    typed.run("class", REVIEW)
    typed.run("replay", "%minimax replay --speed 100")

    assert VALUE in typed.ask("a", "wrong", options="--type Review").shown
    assert len(server.requests) == 2


@pytest.mark.parametrize("more", ["--alone", "-n 2", ""])
def test_a_wrong_answer_is_not_replayed(typed: Page, server: Loopback, more: str) -> None:
    """An answer that was not of its type is none that the notebook has: its cell only keeps it."""
    typed.ask("a", "never", options=f"--type Review {more}")
    typed.ask("b")
    sent = len(server.requests)
    typed.save()
    typed.load("")
    typed.run("class", REVIEW)
    typed.run("replay", "%minimax replay --speed 100")
    again = typed.ask("a", "never", options=f"--type Review {more}")

    assert "The answer below is not of the requested type. A new answer needs a key." in again.shown
    assert len(server.requests) == sent


def test_reuse(typed: Page, server: Loopback) -> None:
    """The final answer comes again and is read; a wrong one is asked for again."""
    typed.ask("a", "wrong", options="--type Review")
    again = typed.ask("a", "wrong", options="--type Review --reuse")

    assert VALUE in again.shown
    assert len(server.requests) == 2
    for _ in range(2):
        assert typed.ask("c", "never", options="--type Review --reuse --alone").status == "error"
    assert len(server.requests) == 6


def test_fill(typed: Page, server: Loopback) -> None:
    """With `--fill` both requests are asked for once."""
    for _ in range(2):
        typed.load(server.url)
        typed.run("class", REVIEW)
        typed.run("replay", "%minimax replay lesson.jsonl --fill")
        assert VALUE in typed.ask("a", "wrong", options="--type Review").shown

    assert len(server.requests) == 2


def test_run_again(typed: Page, server: Loopback) -> None:
    """A cell that runs again asks the same, in the same place, and has one turn."""
    for _ in range(2):
        typed.ask("a", "wrong", options="--type Review")
    typed.ask("b")

    requests = [request.json for request in server.requests]
    assert requests[:2] == requests[2:4]
    assert sent(server) == ["wrong", GOOD, "b"]


@pytest.mark.parametrize("is_repair", [False, True])
def test_stop(typed: Page, is_repair: bool) -> None:
    """What came before a stop stays and is no value; a first answer is not lost."""
    begun = [head(), chunk(sse(*captured(text="half of it")[:-3])), stall]
    before = [streamed(captured(text=WRONG))] * is_repair
    with Loopback(*before, begun) as server:
        typed.load(server.url)
        typed.run("class", REVIEW)
        stopped = typed.ask(
            "a", options="--type Review -o r", when=lambda cell: "half of it" in str(cell.displays)
        )

    assert stopped.ename == "Stopped"
    assert "half of it" in str(stopped.displays)
    assert (WRONG in str(stopped.displays[-1]["application/vnd.minimax.turn+json"])) == is_repair
    assert typed.kernel.run("print(hasattr(r, 'value'))").stdout == "False\n"


@pytest.mark.parametrize("trusted", [True, False])
def test_restart(typed: Page, server: Loopback, trusted: bool) -> None:
    """The file keeps what was asked and answered; the turn is sent later like any other."""
    typed.ask("a", "wrong", options="--type Review")
    typed.save(trusted=trusted)
    typed.load(server.url)
    if not trusted:
        typed.run("restore", "%minimax restore")  # it works in a cell that the file has
        typed.save(trusted=False)
        typed.run("restore", "%minimax restore")
    assert VALUE in typed.run("show", "%minimax show 1").shown
    typed.ask("b")

    assert sent(server) == ["wrong", GOOD, "b"]
    turn = typed.cells["a"]["outputs"][-1]["data"][TURN]
    assert turn["first_try"]["problem"] == "`year` is missing"


def test_headless(server: Loopback, tmp_path: Path) -> None:
    """nbclient draws the table once, with the answer below it."""
    cells = ["%load_ext mm_magic", REVIEW, "%%minimax --type Review\nwrong"]
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)

    _, value, status = made[2]["outputs"]
    assert value["data"]["text/plain"] == VALUE
    assert "mm-answer" in value["data"]["text/html"]
    assert "so the model was asked again" in status["data"]["text/plain"]


def test_strip_and_extract(typed: Page) -> None:
    """`extract` has the answer's text; `strip` takes out what the page does not show."""
    typed.ask("a", "wrong", options="--type Review")
    typed.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(typed.path), "--format", "jsonl"])
        main(["strip", str(typed.path)])

    row = json.loads(out.getvalue().splitlines()[0])
    assert (row["prompt"], row["answer"]) == ("wrong", GOOD)
    assert TURN not in typed.path.read_text("utf-8")
