"""`%%minimax --rows` in a real kernel: stop, restart, other files, and runs that nobody watches."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from support.loopback import Connection, Loopback, stall
from support.pages import Page
from support.rows import asked, echo, prompt_of
from support.terminal import in_terminal

from mm_magic.cli.main import main

TABLE = "import pandas as pd; trees = pd.DataFrame({'name': ['oak', 'elm', 'fir']})"
SAY = "Say {{name}}"
PROMPTS = ["Say elm", "Say fir", "Say oak"]


def slow(connection: Connection) -> None:
    """Answer for the oak, and never for the others."""
    (echo if prompt_of(connection) == "Say oak" else stall)(connection)


def use(page: Page, server: Loopback) -> None:
    page.run("use", f"import os; os.environ['MINIMAX_BASE_URL'] = {server.url!r}\n{TABLE}")


@pytest.fixture
def rows(page: Page) -> Page:
    page.run("table", TABLE)
    return page


def test_stop(rows: Page, server: Loopback) -> None:
    """■ keeps what is done; the same cell asks the rest."""
    with Loopback(slow) as other:
        use(rows, other)
        cell = rows.ask("a", SAY, "--rows trees -o out", when=lambda c: "1 of 3" in str(c.displays))
        assert cell.ename == "Stopped"
        assert "3 rows · 1 answered" in cell.shown
        assert "Stopped." in cell.traceback
        assert all(connection.closed.wait(30) for connection in other.connections)
        assert "oak" in rows.run("out", "print(out.answer.dropna().tolist())").stdout
        other.requests.clear()
        again = rows.ask("a", SAY, "--rows trees", when=lambda _: len(other.requests) == 2)
        assert again.ename == "Stopped"
        assert asked(other) == ["Say elm", "Say fir"]
    use(rows, server)
    assert rows.ask("a", SAY, "--rows trees").status == "ok"  # the kernel is well


def test_headless(rows: Page) -> None:
    """The last line alone, in one display, and the table."""
    cell = rows.ask("a", SAY, "--rows trees", allow_stdin=False)
    lines = [str(each.get("text/plain")) for each in cell.displays]
    assert lines[0].startswith("3 rows · ")
    assert cell.of("update_display_data") == []
    assert "answer_seconds" in cell.shown


def test_restart(rows: Page, server: Loopback, tmp_path: Path) -> None:
    """A new kernel asks again, but for what an answers file holds."""
    path = tmp_path / "answers.jsonl"
    for sent in (3, 6):
        rows.ask("a", SAY, "--rows trees")
        assert len(server.requests) == sent
        rows.save()
        rows.load(server.url)
    for _ in range(2):
        rows.run("fill", f"%minimax replay {path} --fill")
        rows.ask("a", SAY, "--rows trees")
        assert len(server.requests) == 9
        rows.load(server.url)


def test_untrusted_file(rows: Page, server: Loopback) -> None:
    """Nothing of it is sent with a row."""
    rows.ask("turn", "Hello")
    rows.save(trusted=False)
    rows.load(server.url)
    server.requests.clear()
    rows.ask("a", SAY, "--rows trees --alone")
    assert asked(server) == PROMPTS
    assert {len(request.json["messages"]) for request in server.requests} == {1}


def test_strip_and_extract(rows: Page) -> None:
    """A table makes no turn: `extract` has the other turns, and `strip` leaves the table."""
    rows.ask("turn", "Hello")
    rows.ask("a", SAY, "--rows trees")
    rows.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(rows.path), "--format", "jsonl"])
        main(["strip", str(rows.path)])
    found = [json.loads(line)["prompt"] for line in out.getvalue().splitlines() if line[:1] == "{"]
    assert found == ["Hello"]
    assert "answer_seconds" in rows.path.read_text("utf-8")


def test_terminal(tmp_path: Path) -> None:
    """The last line, and nothing that was written over."""
    run = "get_ipython().run_cell('%%minimax --rows trees -o out\\nSay {{name}}')\n"
    code = f"%load_ext mm_magic\n{TABLE}\n{run}"
    with Loopback(echo) as server:
        printed = in_terminal(code, tmp_path, server.url)
    assert printed.count("3 rows · ") == 1
    assert "of 3 rows" not in printed
    assert "<Say oak>" in printed
