"""Lists and `-n` in every place where an option can stand: docs/options.md has the table.

So it is with `%minimax pick`, whose table is there, too.
"""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.kernels import Cell, clean_environment
from support.loopback import Loopback
from support.pages import Page
from support.pages import sent as sent_texts
from support.terminal import in_terminal

from mm_magic.cli.main import main

LINES = {"a list": ("-t 0.1,1", [0.1, 1]), "-n": ("-n 2", [None, None])}
each_line = pytest.mark.parametrize(("line", "sent"), LINES.values(), ids=LINES)
TURN_MIME = "application/vnd.minimax.turn+json"


def temperatures(server: Loopback) -> list[Any]:
    found = [request.json.get("temperature") for request in server.requests]
    return sorted(found, key=lambda value: value or 0)


def texts(page: Page) -> list[str]:
    """The texts of the replies in `kept`, in their order."""
    found: list[str] = json.loads(
        page.run("texts", "import json; print(json.dumps([str(r) for r in kept]))").stdout
    )
    return found


def saved(cell: Cell) -> Any:
    return cell.saved


@each_line
@pytest.mark.parametrize("more", ["--alone", "-c side", "-o reply", "--no-stream", ""])
def test_with_other_options(
    page: Page, server: Loopback, line: str, sent: list[Any], more: str
) -> None:
    """All are sent to one's own server beside `--alone`, `-c`, `-o` and `--no-stream`."""
    cell = page.ask("a", options=f"{line} {more}")

    assert cell.status == "ok"
    assert temperatures(server) == sent
    assert len(saved(cell)["answers"]) == 1
    assert {request.json["stream"] for request in server.requests} == {more != "--no-stream"}


@each_line
def test_for_all_cells(page: Page, line: str, sent: list[Any]) -> None:
    """`%minimax` refuses it, with the line for one cell."""
    del sent
    assert f"`%%minimax {line}`" in page.run("set", f"%minimax {line}").traceback


@each_line
def test_dry_run(page: Page, server: Loopback, line: str, sent: list[Any]) -> None:
    """`--dry-run` gives number, forecast, what varies and the first request; nothing is sent."""
    cell = page.ask("a", options=f"{line} --dry-run")

    assert "2 requests: about " in cell.shown
    assert "The input is estimated from the " in cell.shown
    assert "The price is unknown." in cell.shown
    body = json.loads(cell.shown[cell.shown.index("{") : cell.shown.rindex("}") + 1])
    assert body.get("temperature") == sent[0]
    assert server.requests == []


@each_line
def test_demo(page: Page, line: str, sent: list[Any]) -> None:
    """The demo answers in a short form, each with draws of its own, and the same in every run."""
    del sent
    page.run("offline", "%minimax offline")
    first = page.ask("a", options=f"{line} --alone -o kept", allow_stdin=False)
    drawn = texts(page)
    page.ask("between", allow_stdin=False)
    again = page.ask("a", options=f"{line} --alone -o kept", allow_stdin=False)

    assert all("20 draws:" in text for text in drawn)
    assert len(set(drawn)) == 2
    assert first.displays == again.displays


@each_line
def test_record_and_replay(page: Page, server: Loopback, line: str, sent: list[Any]) -> None:
    """Each answer is replayed in its own place, in whatever order the file has them."""
    del sent
    page.run("record", "%minimax record lesson.jsonl")
    page.ask("a", options=f"{line} -o kept")
    recorded = texts(page)
    file = page.path.parent / "lesson.jsonl"
    first, *lines = file.read_text("utf-8").splitlines()
    file.write_text("\n".join([first, *reversed(lines), ""]), "utf-8")
    page.load("")
    page.run("replay", "%minimax replay lesson.jsonl")
    again = page.ask("a", options=f"{line} -o kept")

    assert again.status == "ok"
    assert texts(page) == recorded
    assert sorted(json.loads(each)["sample"] for each in lines) == (
        [0, 0] if "-t" in line else [0, 1]
    )
    assert len(server.requests) == 2


@each_line
def test_fill(page: Page, server: Loopback, line: str, sent: list[Any]) -> None:
    """With `--fill` only those answers are asked for that the recording does not hold."""
    page.run("replay", "%minimax replay lesson.jsonl --fill")
    page.ask("a", options=line.split(",")[0].replace("2", "1"))
    page.load(server.url)
    page.run("replay", "%minimax replay lesson.jsonl --fill")
    for _ in range(2):
        page.ask("a", options=f"{line} -o kept")

    assert temperatures(server) == sent
    assert texts(page) == ["answer 1", "answer 2"]


@each_line
def test_replay_of_the_notebook(page: Page, server: Loopback, line: str, sent: list[Any]) -> None:
    """`%minimax replay` finds all answers in the turn that the notebook keeps."""
    del sent
    page.ask("a", options=f"{line} -o kept")
    page.ask("b")
    before = texts(page)
    page.save()
    page.load("")
    page.run("replay", "%minimax replay --speed 100")
    again = page.ask("a", options=f"{line} -o kept")

    assert again.status == "ok"
    assert texts(page) == before
    assert page.ask("b").status == "ok"
    assert len(server.requests) == 3


@each_line
def test_run_again(page: Page, server: Loopback, line: str, sent: list[Any]) -> None:
    """A cell that runs again asks the same requests, in the same place, with the same samples."""
    first = page.ask("a", options=line)
    second = page.ask("a", options=line)

    assert temperatures(server) == sorted(sent * 2, key=lambda value: value or 0)
    assert {len(request.json["messages"]) for request in server.requests} == {1}
    assert saved(first)["number"] == saved(second)["number"] == 1
    assert saved(second)["answers"][0].get("sample", 0) == saved(first)["answers"][0].get(
        "sample", 0
    )
    page.ask("b")
    assert len(server.requests[-1].json["messages"]) == 3


@each_line
@pytest.mark.parametrize("trusted", [True, False])
def test_restart(page: Page, server: Loopback, line: str, sent: list[Any], trusted: bool) -> None:
    """The file keeps all answers; a restarted kernel sends the one that is the turn."""
    del sent
    cell = page.ask("a", options=f"{line} -o kept")
    first, _ = texts(page)
    page.save(trusted=trusted)
    page.load(server.url)
    if not trusted:
        page.run("restore", "%minimax restore")
        page.save(trusted=False)
        page.run("restore", "%minimax restore")
    page.ask("b")

    assert saved(cell)["answer"] == 1
    messages = server.requests[-1].json["messages"]
    assert len(messages) == 3
    assert messages[1]["content"][-1]["text"] == first


@each_line
def test_headless(server: Loopback, tmp_path: Path, line: str, sent: list[Any]) -> None:
    """nbclient runs the cell as a front end does, and each part is drawn once."""
    cells = ["%load_ext mm_magic", f"%%minimax {line}\nWhy?"]
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)

    assert temperatures(server) == sent
    shown = [output["data"]["text/plain"] for output in notebook.cells[1].outputs]
    assert shown[0].startswith("answer")
    (answers,) = (text for text in shown if text.startswith("Answer 1"))
    assert re.findall(r"^Answer \d", answers, re.MULTILINE) == ["Answer 1", "Answer 2"]


@each_line
def test_terminal(server: Loopback, tmp_path: Path, line: str, sent: list[Any]) -> None:
    """IPython in a terminal prints all of them."""
    code = f"%load_ext mm_magic\nget_ipython().run_cell('%%minimax {line}\\nWhy?')\n"
    printed = in_terminal(code, tmp_path, server.url)

    assert temperatures(server) == sent
    assert "answer 1" in printed
    assert "answer 2" in printed


@each_line
def test_strip_and_extract(page: Page, line: str, sent: list[Any]) -> None:
    """`extract` has a row for each answer, and `strip` takes all of them out."""
    del sent
    page.ask("a", options=line)
    page.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(page.path), "--format", "jsonl"])
        main(["strip", str(page.path)])

    first, second = (json.loads(each) for each in out.getvalue().splitlines()[:2])
    assert [first["answer_number"], second["answer_number"]] == [1, 2]
    assert [first["state"], second["state"]] == ["remembered", "not chosen"]
    assert {first["answer"], second["answer"]} == {"answer 1", "answer 2"}
    assert first["prompt"] == second["prompt"] == "prompt a"
    assert TURN_MIME not in page.path.read_text("utf-8")


@each_line
def test_panel(page: Page, line: str, sent: list[Any]) -> None:
    """The panel shows the values for all cells, which a list of one cell does not change."""
    del sent
    page.ask("a", options=line)
    shown = page.run("panel", "%minimax panel", allow_stdin=False).shown

    assert line not in shown


# `%minimax pick`


def pick(page: Page, number: int = 2, cell_id: str = "pick", **more: Any) -> str:
    """Run a cell that picks; what it shows."""
    return page.run(cell_id, f"%minimax pick {number}", **more).shown


def picked(page: Page, server: Loopback) -> str:
    """The first answer that the next request carries."""
    page.ask("later")
    return f"answer {sent_texts(server)[1]}"


@pytest.mark.parametrize("more", ["-c side", "--no-stream", ""])
def test_pick_with_other_options(page: Page, server: Loopback, more: str) -> None:
    """The comparison's conversation sends the picked answer; `-o` keeps all in their order."""
    page.ask("a", options=f"-n 2 -o kept {more}")
    _, second = texts(page)
    told = pick(page)
    page.ask("later", options=more if "-c" in more else "")

    where = "Turn 1 of side" if "-c" in more else "Turn 1"
    assert told.strip() == f"{where} (“prompt a”) now uses answer 2."
    assert f"answer {sent_texts(server)[1]}" == second == texts(page)[1]


def test_pick_after_a_dry_run(page: Page, server: Loopback) -> None:
    """`--dry-run` is no comparison: `pick` is about the one before it."""
    page.ask("a", options="-n 2 -o kept")
    _, second = texts(page)
    page.ask("b", options="-n 2 --dry-run")
    pick(page)

    assert picked(page, server) == second


def test_pick_in_the_demo(page: Page) -> None:
    """The demo's answers are picked as a model's are; the panel changes nothing."""
    page.run("offline", "%minimax offline")
    page.ask("a", options="-n 2", allow_stdin=False)
    page.run("panel", "%minimax panel", allow_stdin=False)

    assert "Turn 1 (“prompt a”) now" in pick(page)
    assert "sent, answer 2 of 2" in page.run("history", "%minimax history").shown


def test_pick_recorded_and_replayed(page: Page, server: Loopback) -> None:
    """A later prompt is recorded and replayed behind the answer that was picked."""
    page.run("record", "%minimax record lesson.jsonl")
    page.ask("a", options="-t 0.1,1 -o kept")
    pick(page)
    before = page.ask("later", options="-o last").shown
    page.load("")
    page.run("replay", "%minimax replay lesson.jsonl --speed 100")
    page.ask("a", options="-t 0.1,1")
    assert page.ask("later").status == "error"  # answer 1 was not what came before it
    pick(page)
    again = page.ask("later")

    assert again.status == "ok"
    assert again.shown.split("\n")[0] == before.split("\n")[0]
    assert len(server.requests) == 3


def test_pick_in_a_replayed_notebook(page: Page, server: Loopback) -> None:
    """The notebook's own turns are replayed behind the answer that was picked."""
    page.ask("a", options="-t 0.1,1")
    pick(page)
    page.ask("later")
    page.save()
    page.load("")
    page.run("replay", "%minimax replay --speed 100")
    page.ask("a", options="-t 0.1,1")
    pick(page)

    assert page.ask("later").status == "ok"
    assert len(server.requests) == 3


def test_pick_run_again(page: Page, server: Loopback) -> None:
    """A comparison that runs again begins with answer 1; a cell keeps to what it picked from."""
    page.ask("a", options="-n 2 -o kept")
    pick(page)
    page.ask("b", options="-n 2")
    assert "Turn 2 (“prompt b”) now" in pick(page, cell_id="another")
    assert "Turn 1 (“prompt a”) now" in pick(page, 1)
    pick(page)
    page.ask("a", options="-n 2 -o kept")
    first, second = texts(page)
    assert picked(page, server) == first

    pick(page)
    assert picked(page, server) == second


def test_pick_of_a_deleted_cell(page: Page, server: Loopback) -> None:
    """Without the cell that picked, the turn has its first answer again; the next answer says so.

    So it is where the cell runs again and picks nothing.
    """
    page.ask("a", options="-n 2 -o kept")
    first, second = texts(page)
    pick(page)
    assert picked(page, server) == second
    told = page.ask("later", deleted=("pick",)).shown
    assert "Turn 1 uses answer 1 again: the `pick` cell was deleted." in told
    assert picked(page, server) == first

    pick(page)
    page.run("pick", "1 + 1")
    assert picked(page, server) == first


def test_pick_that_fails_keeps_the_choice(page: Page, server: Loopback) -> None:
    """A cell that fails when it runs again keeps what it picked, in the file, too."""
    page.ask("a", options="-n 2 -o kept")
    _, second = texts(page)
    pick(page)
    failed = page.run("pick", "%minimax pick 7")
    assert failed.status == "error"
    assert "Picked: answer 2 for turn 1 of main." in failed.shown
    page.save()
    page.load(server.url)

    assert picked(page, server) == second


@pytest.mark.parametrize("trusted", [True, False])
def test_pick_after_a_restart(page: Page, server: Loopback, trusted: bool) -> None:
    """The file keeps the choice; what Jupyter does not trust waits for `%minimax restore`."""
    page.ask("a", options="-n 2 -o kept")
    first, second = texts(page)
    pick(page)
    page.ask("b", options="-n 2")
    assert picked(page, server) == second
    page.save(trusted=trusted)
    page.load(server.url)
    if not trusted:
        assert second in page.run("restore", "%minimax restore").shown
    assert picked(page, server) == second
    assert "outdated" not in page.run("history", "%minimax history").shown

    assert "Turn 1 (“prompt a”) now" in pick(page, 1)
    assert picked(page, server) == first


def test_pick_in_another_notebook(page: Page, server: Loopback) -> None:
    """`%minimax restore FILE` takes the choice along, and the file of this notebook keeps it."""
    page.ask("a", options="-n 2 -o kept")
    _, second = texts(page)
    pick(page)
    page.save()
    other = Page(page.path.parent / "other.ipynb", page.data, page.kernel)
    other.load(server.url, cell_id="load2")
    other.run("restore", f"%minimax restore {page.path}")
    assert picked(other, server) == second
    other.save()
    other.load(server.url, cell_id="load2")

    assert picked(other, server) == second


def test_pick_headless(server: Loopback, tmp_path: Path) -> None:
    """nbclient runs the cell as a front end does."""
    cells = ["%load_ext mm_magic", "%%minimax -n 2\nWhy?", "%minimax pick 2", "%%minimax\nAnd?"]
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    NotebookClient(notebook).execute(env=environment)
    second = notebook.cells[1].outputs[-2]["data"]["text/plain"]

    assert notebook.cells[2].outputs[0]["data"]["text/plain"].startswith("Turn 1 (“Why?”)")
    assert f"answer {sent_texts(server)[1]}" in second


def test_pick_stripped_and_extracted(page: Page) -> None:
    """The picked answer is the one remembered, with the ids as before; `strip` removes it all."""
    page.ask("a", options="-n 2")
    page.save()
    rows = [extracted(page)]
    pick(page)
    page.save()
    rows.append(extracted(page))
    main(["strip", str(page.path)])

    assert [[row["state"] for row in each] for each in rows] == [
        ["remembered", "not chosen"],
        ["not chosen", "remembered"],
    ]
    assert [row["turn_id"] for row in rows[0]] == [row["turn_id"] for row in rows[1]]
    assert TURN_MIME not in page.path.read_text("utf-8")


def extracted(page: Page) -> list[dict[str, Any]]:
    """The rows of `extract`."""
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(page.path), "--format", "jsonl"])
    return [json.loads(line) for line in out.getvalue().splitlines()]
