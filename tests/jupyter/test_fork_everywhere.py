"""`%minimax fork` in every place: docs/options.md has the table."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from support.kernels import TURN, clean_environment
from support.loopback import Loopback
from support.pages import Page, sent

from mm_magic.cli.main import main

pytestmark = pytest.mark.slow


def test_page(page: Page) -> None:
    """A page shows one quiet line; the turns are in the file, as they are elsewhere."""
    page.ask("a", options="-n 2")
    page.ask("b")
    cell = page.run("f", "%minimax fork idea")

    (bundle,) = cell.displays
    assert "<code>%%minimax -c idea</code>" in bundle["text/html"]
    assert "answer" not in bundle["text/html"]
    first, second = bundle[TURN]["turns"]
    assert (first["copy_of"], second["copy_of"]) == (1, 2)
    assert "answers" not in first
    assert page.run("f", "%minimax fork idea").displays == cell.displays


def test_deleted_and_run_again(page: Page, server: Loopback) -> None:
    """A deleted cell's copies are hidden, in one sentence; it may come back."""
    for cell in "abc":
        page.ask(cell)
    page.run("f", "%minimax fork idea")
    told = page.ask("d", options="-c idea", deleted=["f"]).shown
    assert sent(server) == ["d"]
    assert told.count("cell was deleted") == 1
    assert "Turns 1 to 3 of idea are not sent: their cell was deleted. " in told

    page.run("f", "%minimax fork idea")
    page.ask("e", options="-c idea")
    assert sent(server) == ["a", "1", "b", "2", "c", "3", "d", "4", "e"]


@pytest.mark.parametrize("trusted", [True, False])
def test_restart(page: Page, server: Loopback, trusted: bool) -> None:
    """A new kernel sends the copies; those of a file that is not trusted wait for restore."""
    page.ask("a")
    page.ask("b")
    page.run("f", "%minimax fork idea")
    page.ask("c", options="-c idea")
    page.save(trusted=trusted)
    page.load(server.url)
    if not trusted:
        assert "shown, not sent" in page.run("h", "%minimax history idea").shown
        listed = page.run("r", "%minimax restore").shown
        assert "not visible on its page" not in listed
    page.ask("c", options="-c idea")
    assert sent(server) == ["a", "1", "b", "2", "c"]


def test_copy_of_what_the_page_does_not_show(page: Page, server: Loopback) -> None:
    """Where the original is gone, restore says that the page does not show the copy."""
    page.ask("a")
    page.run("f", "%minimax fork idea")
    page.cells["a"].outputs = []
    page.save(trusted=False)
    page.load(server.url)
    listed = page.run("r", "%minimax restore").shown
    assert "not visible on its page: prompt, thinking, answer" in listed


@pytest.mark.parametrize("file", ["lesson.jsonl", ""])
def test_replay(page: Page, server: Loopback, file: str) -> None:
    """A recording, or the notebook itself, has each answer once, and finds those behind copies."""
    page.run("record", "%minimax record lesson.jsonl")

    def run() -> list[str]:
        page.ask("a")
        page.run("f", "%minimax fork idea")
        page.ask("b")
        return [page.ask("c", options="-c idea").saved["steps"][-1]["content"][-1]["text"]]

    before = run()
    page.save()
    page.load("")
    page.run("replay", f"%minimax replay {file} --speed 100")
    assert run() == before
    assert len(server.requests) == 3


def test_headless(server: Loopback, tmp_path: Path, page: Page) -> None:
    """nbclient forks; opened later, the cell knows its copies and replaces them."""
    cells = ["%load_ext mm_magic", "%%minimax\nprompt a", "%%minimax\nprompt b"]
    cells += ["%minimax fork idea", "%%minimax -c idea\nprompt c"]
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    for cell, name in zip(made, ("load", *"abfc"), strict=True):
        cell["id"] = name
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    assert sent(server) == ["a", "1", "b", "2", "c"]

    page.cells = {cell["id"]: cell for cell in made}
    page.save()
    page.load(server.url)
    for name, code in zip("abf", cells[1:4], strict=True):
        page.run(name, code)
    page.ask("c", options="-c idea")
    assert sent(server) == ["a", "4", "b", "5", "c"]


def test_strip_and_extract(page: Page) -> None:
    """`extract` tells copies from turns and counts them apart; `strip` takes all of them out."""
    page.ask("a", options="-n 2")
    page.run("f", "%minimax fork idea")
    page.ask("b", options="-c idea")
    page.save()
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        main(["extract", str(page.path), "--format", "jsonl"])
        main(["strip", str(page.path)])

    rows = [json.loads(line) for line in out.getvalue().splitlines()[:4]]
    found = [(row["conversation"], row["answer_number"], row["state"]) for row in rows]
    assert found == [
        ("main", 1, "remembered"),
        ("main", 2, "not chosen"),
        ("idea", 1, "copied"),
        ("idea", 1, "remembered"),
    ]
    assert "2 turns (3 answers) and 1 copy from 1 notebook" in err.getvalue()
    assert "removed 3 saved turns" in out.getvalue()
    assert TURN not in page.path.read_text("utf-8")
