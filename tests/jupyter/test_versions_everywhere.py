"""`%minimax diff` and `restore N --version K` in every place: docs/options.md has the table."""

import io
import json
import re
from contextlib import redirect_stdout

import pytest
from support.kernels import Cell, Kernel
from support.loopback import Loopback, captured, chunk, head, sse, stall, streamed
from support.pages import Page, sent
from support.shells import fresh_shell

from mm_magic.cli.main import main


def shown(cell: Cell) -> str:
    assert cell.status == "ok", cell.traceback
    return cell.shown.strip()


def test_alone(page: Page) -> None:
    """Nothing is kept of a cell that stands alone, and so nothing can come back."""
    page.ask("a", options="--alone")
    assert "earlier answer" not in shown(page.ask("a", options="--alone"))
    assert "has no turns" in page.run("r", "%minimax restore 1 --version 1").traceback


def test_conversation(page: Page, server: Loopback) -> None:
    """The commands work on the conversation that was chosen."""
    page.ask("a", options="-c side")
    page.ask("a", options="-c side")
    assert "has no turns" in page.run("r", "%minimax restore 1 --version 1").traceback
    page.run("c", "%minimax -c side")
    assert "answer [-1-]{+2+}" in shown(page.run("d", "%minimax diff 1"))
    page.run("r", "%minimax restore 1 --version 1")
    page.ask("b")
    assert sent(server) == ["a", "1", "b"]


def test_variable(page: Page) -> None:
    """`-o` has the newest answer, which a restored one does not replace."""
    page.ask("a", options="-o kept")
    page.ask("a", options="-o kept")
    page.run("d", "%minimax diff")
    page.run("r", "%minimax restore 1 --version 1")
    assert page.run("p", "print(kept.text)").stdout.strip() == "answer 2"


def test_dry_run(page: Page) -> None:
    """A cell that only shows its request keeps its answers."""
    page.ask("a")
    page.ask("a")
    page.ask("a", options="--dry-run")
    assert "answer [-1-]{+2+}" in shown(page.run("d", "%minimax diff"))
    page.run("r", "%minimax restore 1 --version 1")
    page.ask("a", options="--dry-run")
    assert "answer [-2-]{+1+}" in shown(page.run("d", "%minimax diff 1"))


def test_demo(page: Page, server: Loopback) -> None:
    """The demo's answers are compared like any others, and never sent to a model."""
    page.run("offline", "%minimax offline")
    page.ask("a", "Name a lake.", allow_stdin=False)
    assert "1 earlier answer; to compare: `%minimax diff`" in shown(
        page.ask("a", "Name a river.", allow_stdin=False)
    )
    assert "answers a different prompt: “Name a lake.”" in shown(page.run("d", "%minimax diff"))
    page.run("r", "%minimax restore 1 --version 1")
    page.run("live", "%minimax live")
    page.ask("b")
    assert sent(server) == ["b"]


def test_record_and_replay(page: Page) -> None:
    """A replayed answer is no new version; one to an edited cell is, and it comes back."""
    page.run("record", "%minimax record lesson.jsonl")
    page.ask("a", "Name a lake.")
    page.ask("b")
    page.ask("a", "Name a river.")
    page.run("r", "%minimax restore 1 --version 1")
    assert len((page.path.parent / "lesson.jsonl").read_text("utf-8").splitlines()) == 4
    page.load("")
    page.run("replay", "%minimax replay lesson.jsonl")
    page.ask("a", "Name a lake.")
    assert "earlier answer" not in shown(page.ask("a", "Name a lake."))
    assert "1 earlier answer; to compare: `%minimax diff`" in shown(page.ask("a", "Name a river."))
    assert "answer [-1-]{+3+}" in shown(page.run("d", "%minimax diff"))
    page.run("r", "%minimax restore 1 --version 1")
    assert "answer 2" in shown(page.ask("b"))


def test_stop(process: Kernel, page: Page) -> None:
    """A stopped answer is a version like any other, and `diff` says that it was stopped."""
    begins = [head(), chunk(sse(*captured(text="Ray")[:8])), stall]
    with Loopback(begins, streamed(captured(text="Rayleigh scattering."))) as server:
        process.run(f"%env MINIMAX_BASE_URL={server.url}")
        page.ask("a", when=lambda cell: "Ray" in str(cell.messages))
        page.ask("a")
        stopped = "Version 1 was stopped before it was complete."
        assert stopped in shown(page.run("d", "%minimax diff"))
        told = shown(page.run("r", "%minimax restore 1 --version 1"))
        assert "\nRay\n" in told


def test_headless(page: Page) -> None:
    """Where nothing runs twice `diff` is a sentence, so that the next cells run."""
    page.ask("a", allow_stdin=False)
    assert "has only one answer" in shown(page.run("d", "%minimax diff", allow_stdin=False))
    assert page.run("r", "%minimax restore 1 --version 1", allow_stdin=False).status == "error"
    page.ask("b", options="-n 2", allow_stdin=False)
    cell = page.run("d", "%minimax diff", allow_stdin=False)
    assert shown(cell).startswith("Turn 2, from answer 1 to answer 2: ")
    assert len(cell.displays) == 1


def test_terminal(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There each prompt is a turn; the answers of a compare are compared in plain text."""
    monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
    with fresh_shell() as shell:
        shell.run("%%minimax\nWhy?")
        shell.run("%%minimax\nWhy?")
        capsys.readouterr()
        shell.run("%minimax diff")
        told = capsys.readouterr().out
        assert told == (
            "Turn 2 has only one answer. To compare, ask for two answers with `%%minimax -n 2`.\n"
        )
        assert "no earlier answers" in str(shell.error("%minimax restore 2 --version 1"))
        shell.run("%%minimax -n 2\nWhy?")
        capsys.readouterr()
        shell.run("%minimax diff")
        told = capsys.readouterr().out
        assert re.search(r"\n\nanswer \[-([34])-\]\{\+(?!\1)[34]\+\}\n", told)  # in any order


def test_strip_and_extract(page: Page) -> None:
    """The restored answer is the one that is remembered; nothing else of it stays behind."""
    page.ask("a")
    page.ask("a")
    page.run("r", "%minimax restore 1 --version 1")
    page.run("d", "%minimax diff 1")
    page.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(page.path), "--format", "jsonl"])
    rows = map(json.loads, out.getvalue().splitlines())

    assert {row["answer"]: row["state"] for row in rows} == {
        "answer 1": "remembered",
        "answer 2": "not remembered",
    }
    assert main(["strip", str(page.path)]) == 0
    text = page.path.read_text("utf-8")
    assert "request_key" not in text
    assert "answer [-2-]{+1+}" in text
