"""`--reuse` and `--fresh` in real kernels: Run All for nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support.kernels import TURN, Cell, clean_environment
from support.loopback import Loopback, failure, numbered
from support.pages import Page

COMMANDS = {
    "nbclient": ("-c", "from nbclient.cli import main; main()", "--inplace"),
    "nbconvert": ("-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"),
}
NOTE = "reused; `%%minimax --fresh` asks again."
LESSON = {
    "a": "%%minimax\nWhy is the sky blue?",
    "b": "%%minimax -t 0.3\nAnd at night?",
    "list": "%%minimax -t 0.1,1\nName a colour.",
    "n": "%%minimax -n 2 --alone\nName one.",
    "c": "%%minimax\nAnd at dawn?",
}


def run_all(page: Page, **edited: str) -> dict[str, Cell]:
    page.run("reuse", "%minimax --reuse")
    return {name: page.run(name, code) for name, code in {**LESSON, **edited}.items()}


def test_run_all_twice_sends_nothing(page: Page, server: Loopback) -> None:
    """In the same kernel and in a new one each cell gets its answers again, under a line that says
    so; what is edited is asked, and what depends on it."""
    first = run_all(page)
    assert len(server.requests) == 7
    again = run_all(page)
    page.save(trusted=True)
    page.load(server.url)
    anew = run_all(page)
    assert len(server.requests) == 7
    for name in LESSON:
        assert NOTE not in first[name].shown
        assert NOTE in again[name].shown
        assert anew[name].shown == again[name].shown
        saved = [{**each[name].saved, "state": None} for each in (first, again, anew)]
        assert saved[0] == saved[1] == saved[2]

    cells = run_all(page, list="%%minimax -t 0.1,0.5,1\nName a colour.")
    assert len(server.requests) == 8
    assert "2 of 3 answers were reused; `%%minimax --fresh` asks again." in cells["list"].shown
    run_all(page, b="%%minimax -t 0.4\nAnd at night?")
    assert len(server.requests) == 8 + 1 + 2 + 1


def test_fresh_asks_one_cell_again(page: Page, server: Loopback) -> None:
    """`--fresh` asks, and its answer is the one that is reused from then on; so is that of all
    answers of a comparison."""
    run_all(page)
    for name, number in (("a", 1), ("n", 2)):
        before = len(server.requests)
        head, prompt = LESSON[name].split("\n")
        cell = page.run(name, f"{head} --fresh\n{prompt}")
        assert len(server.requests) == before + number
        assert f"answer {before + 1}" in cell.shown
        again = page.run(name, LESSON[name])
        assert f"answer {before + 1}" in again.shown
        assert NOTE in again.shown
        assert len(server.requests) == before + number


def test_fresh_beside_a_recording(page: Page, server: Loopback) -> None:
    """With an answers file the new answer takes the place of the recorded one there."""
    file = page.path.with_name("lesson.jsonl")
    page.run("fill", f"%minimax replay {file} --fill")
    page.run("a", LESSON["a"])
    page.run("a", LESSON["a"].replace("%%minimax", "%%minimax --fresh"))
    assert len(server.requests) == 2
    page.load("")
    page.run("fill", f"%minimax replay {file} --fill")
    for line in ("%%minimax", "%%minimax --fresh"):
        assert "answer 2" in page.run("a", LESSON["a"].replace("%%minimax", line)).shown


def test_each_way_to_set_it(page: Page, server: Loopback) -> None:
    """A line of one cell, `%config`, and back."""
    page.run("a", LESSON["a"])
    page.run("a", "%%minimax --reuse\nWhy is the sky blue?")
    assert len(server.requests) == 1
    page.run("a", LESSON["a"])
    assert len(server.requests) == 2
    page.run("set", "%config MiniMax.reuse = True")
    page.run("a", LESSON["a"])
    assert len(server.requests) == 2
    assert (
        "Nothing is sent: this notebook has the answer."
        in page.run("a", "%%minimax --dry-run\nWhy is the sky blue?").stdout
    )
    page.run("a", "%%minimax --no-reuse\nWhy is the sky blue?")
    assert len(server.requests) == 3


def test_loop_from_python(page: Page, server: Loopback) -> None:
    """`mm.ask` in a loop gets its answers again when the cell runs again."""
    code = "import mm_magic as mm\nprint([mm.ask('Name one.').text for _ in range(2)])"
    page.run("set", "%minimax --reuse")
    shown = [page.run("loop", code).stdout for _ in range(2)]
    assert shown[0] == shown[1]
    assert len(server.requests) == 2


def test_nobody_watches(page: Page, server: Loopback) -> None:
    """A headless run in a new kernel reuses nothing: it does not know the notebook's file."""
    run_all(page)
    page.save(trusted=True)
    page.load(server.url, allow_stdin=False)
    before = len(server.requests)
    page.run("set", "%minimax --reuse", allow_stdin=False)
    page.run("a", LESSON["a"], allow_stdin=False)
    assert len(server.requests) == before + 1


def test_untrusted_file(page: Page, server: Loopback) -> None:
    """What Jupyter does not trust is reused, too, as nothing is sent; its turns are sent only after
    `%minimax restore`."""
    cells = {name: LESSON[name] for name in ("a", "n")}
    for name, code in cells.items():
        page.run(name, code)
    page.save(trusted=False)
    for line, number in (("%minimax restore", 3), ("%minimax", 1)):
        page.load(server.url)
        before = len(server.requests)
        page.run("first", line)
        page.run("set", "%minimax --reuse")
        for name, code in cells.items():
            assert NOTE in page.run(name, code).shown
        assert len(server.requests) == before
        page.run("new", f"%%minimax --fresh\nAnything else about {number}?")
        assert len(server.requests[-1].json["messages"]) == number


# What comes between


def restart(page: Page, server: Loopback) -> int:
    """A new kernel for the file as it is, with reuse; returns how many requests there were."""
    page.load(server.url)
    page.run("reuse", "%minimax --reuse")
    return len(server.requests)


def test_autosave_in_the_middle(page: Page, server: Loopback) -> None:
    """Run All clears the outputs of all cells, and a save writes that: the answers are known."""
    first = run_all(page)
    page.save(trusted=True)
    before = restart(page, server)
    again: dict[str, Cell] = {}
    for name, code in LESSON.items():
        for waiting in [*LESSON][len(again) :]:
            page.cells[waiting]["outputs"] = []
        page.save(trusted=True)
        again[name] = page.run(name, code)
    assert len(server.requests) == before
    assert [each.saved["id"] for each in again.values()] == [
        each.saved["id"] for each in first.values()
    ]
    page.save(trusted=True)
    restart(page, server)
    run_all(page)
    assert len(server.requests) == before


def test_error_in_the_middle(page: Page) -> None:
    """What was answered before an error is not asked again; the rest is, once."""
    first, second, *more = numbered(10)
    with Loopback(first, second, failure(401, "no"), *more) as server:
        restart(page, server)
        cells = {name: LESSON[name] for name in "abc"}
        assert [page.run(*each).status for each in cells.items()] == ["ok", "ok", "error"]
        page.save(trusted=True)
        restart(page, server)
        assert [page.run(*each).status for each in cells.items()] == ["ok", "ok", "ok"]
        assert len(server.requests) == 4
        assert [NOTE in page.run(*each).shown for each in cells.items()] == [True] * 3
        assert len(server.requests) == 4


def test_one_cell_alone(page: Page, server: Loopback) -> None:
    """After a restart any cell by itself gets its answer again, behind the turns of the file."""
    run_all(page)
    page.save(trusted=True)
    for name in reversed(LESSON):
        before = restart(page, server)
        assert NOTE in page.run(name, LESSON[name]).shown
        assert len(server.requests) == before


def test_copied_cells(page: Page, server: Loopback) -> None:
    """A copy of a cell holds the same turn, which is one answer: it asks once, then has its own."""
    cells = {"alone": "%%minimax --alone\nWhy?", "a": LESSON["a"]}
    for name, code in cells.items():
        page.run(name, code)
    for name in cells:
        page.copy(name, f"{name}-too")
    cells |= {f"{name}-too": code for name, code in cells.items()}
    page.save(trusted=True)
    for sent in (4, 4):
        restart(page, server)
        shown = [page.run(*each).shown for each in cells.items()]
        found = ["answer 1", "answer 2", "answer 3", "answer 4"]
        assert [text in each for text, each in zip(found, shown, strict=True)] == [True] * 4
        assert len(server.requests) == sent
        page.save(trusted=True)


def test_cells_that_the_front_end_names_otherwise(page: Page, server: Loopback) -> None:
    """In VS Code, whose names of cells are not the file's, each cell gets its answers again."""
    names = {name: f"vscode-notebook-cell:/lesson.ipynb#{name}" for name in (*LESSON, "load")}
    page.file_ids = {address: name for name, address in names.items()}
    page.cells.clear()
    page.run("reuse", "%minimax --reuse")
    for name, code in LESSON.items():
        page.run(names[name], code)
    page.save(trusted=True)
    page.kernel.run(f"__vsc_ipynb_file__ = {str(page.path)!r}")
    page.load(server.url, cell_id=names["load"])
    page.run("reuse", "%minimax --reuse")
    cells = [page.run(names[name], code) for name, code in LESSON.items()]
    page.kernel.run("del __vsc_ipynb_file__")
    assert [NOTE in each.shown for each in cells] == [True] * 5
    assert len(server.requests) == 7


def test_notebook_of_version_0_1(page: Page, server: Loopback) -> None:
    """Run All of what version 0.1 saved shows the same texts; only what is outdated is asked."""
    path = Path(__file__).parent.parent / "data" / "v0_1" / "lesson.ipynb"
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    page.cells = {cell["id"]: cell for cell in notebook.cells}
    saved = {cell["id"]: turns_of(cell) for cell in notebook.cells if cell.cell_type == "code"}
    page.save(trusted=True)
    restart(page, server)
    page.run("setup", page.cells["setup"].source)
    asked = []
    for name in (name for name, turns in saved.items() if turns):
        cell = page.run(name, page.cells[name].source)
        text = "".join(block.get("text", "") for block in cell.saved["steps"][-1]["content"])
        if NOTE not in cell.shown or text.strip() not in str(saved[name]):
            asked.append(name)
    assert asked == ["sum", "mars"]  # a turn above them is gone since
    assert len(server.requests) == 2


def turns_of(cell: Any) -> list[Any]:
    """What a cell of a file keeps of its turns."""
    return [each["data"][TURN] for each in cell.outputs if TURN in each.get("data", {})]


# The story of a lesson


def test_lesson_from_both_sides(page: Page, server: Loopback) -> None:
    """One line and one full run record a lesson; without a key it is the same, and nothing is
    edited in between. A teacher who runs all again, or edits one prompt, asks what is due."""
    recording = page.path.with_name("lesson.jsonl")
    line = f"%minimax replay {recording.name} --fill --speed max"
    page.run("line", line)
    taught = {name: page.run(name, code) for name, code in LESSON.items()}
    page.save(trusted=True)
    assert len(server.requests) == 7
    before = recording.read_bytes()

    page.load("")
    page.run("line", line)
    read = {name: page.run(name, code) for name, code in LESSON.items()}
    for name in LESSON:
        assert read[name].saved["steps"] == taught[name].saved["steps"]
        assert "recorded 20" in read[name].shown
    assert recording.read_bytes() == before
    changed = page.run("b", "%%minimax -t 0.4\nAnd at night?")
    assert "The options have changed; the answer below was given with the old ones" in changed.shown

    page.load(server.url)
    page.run("line", line)
    for edited, requests in (({}, 7), ({"b": "%%minimax -t 0.4\nAnd at night?"}, 7 + 1 + 2 + 1)):
        for name, code in (LESSON | edited).items():
            page.run(name, code)
        assert len(server.requests) == requests


# Headless


def test_headless_run_with_an_answers_file(page: Page, server: Loopback) -> None:
    """Where no front end tells which cell runs, an answers file gives the same outputs each time;
    without one, a new run asks everything again."""
    line = f"%minimax replay {page.path.with_name('lesson.jsonl')} --fill --speed max"
    shown = []
    for first, sent in ((line, 7), (line, 7), (line, 7), ("%minimax --reuse", 14)):
        page.load(server.url, allow_stdin=False)
        codes = (first, *LESSON.values())
        cells = [page.kernel.run(code, allow_stdin=False) for code in codes]
        assert len(server.requests) == sent
        shown.append([each.displays for each in cells[1:]])
    assert shown[1] == shown[2]
    assert shown[1] != shown[3]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["nbclient", "nbconvert"])
def test_programs_that_run_notebooks(server: Loopback, tmp_path: Path, program: str) -> None:
    """nbclient and nbconvert ask once with an answers file, and write the same bytes again."""
    line = "%minimax replay lesson.jsonl --fill --speed max"
    cells = [
        nbformat.v4.new_code_cell(code, id=f"c{number}")  # type: ignore[no-untyped-call]
        for number, code in enumerate(("%load_ext mm_magic", line, *LESSON.values()))
    ]
    path = tmp_path / "lesson.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)  # type: ignore[no-untyped-call]
    written = []
    for url in (server.url, server.url, ""):
        environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": url}
        run = [sys.executable, *COMMANDS[program], path.name]
        subprocess.run(run, cwd=tmp_path, env=environment, check=True, capture_output=True)
        assert len(server.requests) == 7
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        written.append([cell.outputs for cell in notebook.cells[2:]])
    assert written[1] == written[2]
