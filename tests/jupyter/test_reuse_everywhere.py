"""`--reuse` and `--fresh` in every place: docs/options.md has the table.

What is not here is in `test_run_all.py` beside it, and in `tests/session/test_reuse.py`.
"""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from support.loopback import Loopback, captured, chunk, head, sse, stall
from support.pages import Page
from support.terminal import in_terminal

from mm_magic.cli.main import main

NOTE = "reused; `%%minimax --fresh` asks again."


@pytest.fixture
def page(page: Page) -> Page:
    """A new notebook where saved answers are reused."""
    page.run("reuse", "%minimax --reuse")
    return page


@pytest.mark.parametrize("options", ["--alone", "-c side", "-o found", "--no-stream"])
def test_beside_other_options(page: Page, server: Loopback, options: str) -> None:
    """The same cell sends nothing; `--fresh` asks, and its answer is the one from then on."""
    first = page.ask("a", options=options)
    assert NOTE not in first.shown
    assert NOTE in page.ask("a", options=options).shown
    assert len(server.requests) == 1

    page.ask("a", options=f"{options} --fresh")
    assert "answer 2" in page.ask("a", options=options).shown
    assert len(server.requests) == 2
    if "-o" in options:
        assert page.run("v", "print(found)").stdout == "answer 2\n"


def test_drawn_once(page: Page) -> None:
    """An answer that comes again is there at once: each part is drawn in its last form alone."""
    first = page.ask("a")
    again = page.ask("a")
    assert first.of("update_display_data")
    assert not again.of("update_display_data")
    assert "answer 1" in again.shown


def test_dry_run(page: Page, server: Loopback) -> None:
    """It says that nothing would be sent; with `--fresh` it shows the request as ever."""
    page.ask("a")
    told = page.ask("a", options="--dry-run").shown
    assert (
        "Nothing is sent: this notebook has the answer. With `--fresh`, this would be sent:" in told
    )
    told = page.ask("a", options="--dry-run --fresh").shown
    assert "Nothing is sent: this notebook" not in told
    assert "prompt a" in told
    assert len(server.requests) == 1


def test_dry_run_of_several(page: Page, server: Loopback) -> None:
    """Of several it says how many the notebook has, and shows the first that would be sent."""
    page.ask("a", options="-n 2")
    told = page.ask("a", options="-n 3 --dry-run").shown
    assert told.startswith("1 request: about ")
    assert " Of 3 answers, 2 are in this notebook. " in told
    assert "Nothing is sent" not in told
    told = page.ask("a", options="-n 2 --dry-run").shown
    assert told.startswith("No requests: both answers are in this notebook.\n")
    assert "Nothing is sent: this notebook has the answer." in told
    told = page.ask("a", options="-n 3 --dry-run --fresh").shown
    assert "3 requests: about " in told
    assert len(server.requests) == 2


def test_confirmation(page: Page, server: Loopback) -> None:
    """Only what must be asked counts: of 20 answers 15 are there, so nobody has to confirm."""
    page.ask("a", options="-n 15 --yes")
    assert "20 answers" not in page.ask("a", options="-n 20").traceback
    assert len(server.requests) == 20
    assert "this would send 13 requests" in page.ask("a", options="-n 33").traceback
    assert "this would send 20 requests" in page.ask("a", options="-n 20 --fresh").traceback
    assert len(server.requests) == 20


def test_for_all_cells(page: Page, server: Loopback) -> None:
    """`--fresh` is for one cell alone; `--no-reuse` undoes `--reuse`."""
    assert "--fresh applies to a single cell" in page.run("set", "%minimax --fresh").traceback
    page.ask("a")
    page.run("set", "%minimax --no-reuse")
    page.ask("a")
    assert len(server.requests) == 2


def test_panel(page: Page) -> None:
    """The panel's line has it, for a cell that stands alone."""
    assert "--reuse" in page.run("panel", "%minimax panel", allow_stdin=False).shown


def test_demo(page: Page) -> None:
    """The demo's answers come again where the demo answers, and nowhere else."""
    page.run("offline", "%minimax offline")
    first = page.ask("a", allow_stdin=False)
    again = page.ask("a")
    assert NOTE not in first.shown
    assert NOTE in again.shown
    page.run("live", "%minimax live")
    assert "answer 1" in page.ask("a").shown
    page.run("offline", "%minimax offline")
    assert "answer 1" not in page.ask("a").shown


def test_stop(page: Page, server: Loopback) -> None:
    """A stopped answer does not come again; the complete one before it does."""
    page.ask("a")
    begun = [head(), chunk(sse(*captured()[:-3])), stall]
    with Loopback(begun) as slow:
        page.run("slow", f"import os; os.environ['MINIMAX_BASE_URL'] = {slow.url!r}")
        stopped = page.ask(
            "a", options="--fresh", when=lambda cell: "Rayleigh" in str(cell.displays)
        )
    assert stopped.ename == "Stopped"
    page.run("back", f"os.environ['MINIMAX_BASE_URL'] = {server.url!r}")
    assert "answer 1" in page.ask("a").shown
    assert len(server.requests) == 1


def test_terminal(server: Loopback, tmp_path: Path) -> None:
    """In a terminal what was asked in this run comes again; nothing of an earlier one does."""
    cell = "get_ipython().run_cell('%%minimax --alone\\nWhy?')\n"
    code = f"%load_ext mm_magic\n%minimax --reuse\n{cell}"
    for number in (1, 2):
        in_terminal(code, tmp_path, server.url)
        assert len(server.requests) == number


def test_strip_and_extract(page: Page) -> None:
    """A reused turn is like any other; a stripped file has nothing to reuse."""
    page.ask("a")
    page.ask("a")
    page.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(page.path), "--format", "jsonl"])
        main(["strip", str(page.path)])
    (row,) = map(json.loads, out.getvalue().splitlines()[:1])
    assert (row["prompt"], row["answer"]) == ("prompt a", "answer 1")
    assert row["state"] == "remembered"


def test_python(page: Page, server: Loopback) -> None:
    """`mm.ask` and `mm.compare` take it; where it is on, `reuse=False` asks again."""
    page.run("import", "import mm_magic as mm")
    for given, sent in (("", 1), ("", 1), ("reuse=False", 2), ("", 2)):
        page.run("ask", f"print(mm.ask('Why?', {given}))")
        assert len(server.requests) == sent
    for given, sent in (("", 4), ("", 4), ("reuse=False", 6)):
        page.run("compare", f"mm.compare('How?', n=2, {given})")
        assert len(server.requests) == sent


def test_pick_and_fork(page: Page, server: Loopback) -> None:
    """What follows a picked answer, or copies of turns, is reused: Run All sends nothing, in a new
    kernel, too."""
    lesson = {
        "n": "%%minimax -n 2\nName a lake.",
        "pick": "%minimax pick 2",
        "c": "%%minimax\nHow deep is it?",
        "fork": "%minimax fork idea",
        "g": "%%minimax -c idea\nHow long is it?",
    }
    for restarted in (False, False, True):
        if restarted:
            page.save(trusted=True)
            page.load(server.url)
            page.run("reuse", "%minimax --reuse")
        cells = {name: page.run(name, code) for name, code in lesson.items()}
        assert "answer 3" in cells["c"].shown
        assert "answer 4" in cells["g"].shown
        assert len(server.requests) == 4
