"""`--without` in every place where an option can stand: docs/options.md has the table."""

import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.echo import echo, in_short, thinks
from support.kernels import Cell, clean_environment
from support.loopback import Connection, Loopback, captured, chunk, failure, head, sse, stall
from support.pages import Page
from support.shells import fresh_shell
from support.terminal import in_terminal

from mm_magic.cli.main import main

LINE = "-s Brief --without 2,system,notes"
PROMPT = "{{notes}} d"
ANSWERS = ["Brief: a, b, c, N d", "Brief: a, c, N d", "a, b, c, N d", "Brief: a, b, c,  d"]
LABELS = ["full request", "without turn 2", "without the system prompt", "without {{notes}}"]
TURN_MIME = "application/vnd.minimax.turn+json"


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Its answers say what arrived."""
    with Loopback(echo) as server:
        yield server


@pytest.fixture
def talk(page: Page) -> Page:
    """A page whose conversation has the turns a, b and c, and whose kernel has `notes`."""
    begin(page)
    return page


def begin(page: Page, options: str = "") -> None:
    page.run("notes", "notes = 'N'")
    for name in "abc":
        page.ask(name, name, options)


def left_out(page: Page, more: str = "", cell_id: str = "d") -> Cell:
    """The cell that leaves each of the three out; `kept` has its answers."""
    return page.ask(cell_id, PROMPT, f"{LINE} -o kept {more}")


def texts(page: Page) -> list[str]:
    """The texts of the replies in `kept`, in their order."""
    code = "import json; print(json.dumps([reply.text for reply in kept]))"
    found: list[str] = json.loads(page.run("texts", code).stdout)
    return found


def heard(server: Loopback) -> list[str]:
    """What the requests had, in short."""
    return [in_short(request.json) for request in server.requests]


def last_sent(page: Page, server: Loopback) -> Any:
    """What a later prompt sends."""
    page.ask("later", "e", "-s Brief")
    return server.requests[-1].json


# How it is asked


@pytest.mark.parametrize("more", ["", "--no-stream", "-c main"])
def test_with_other_options(talk: Page, server: Loopback, more: str) -> None:
    """Each request lacks what was left out; `-o` holds Replies, and the table names it."""
    cell = left_out(talk, more)

    assert texts(talk) == ANSWERS
    assert sorted(heard(server)[3:]) == sorted(ANSWERS)
    assert {each.json["stream"] for each in server.requests[3:]} == {more != "--no-stream"}
    frame = talk.run("frame", "print(kept.to_frame().without.tolist())").stdout
    assert frame == "['', '2', 'system', 'notes']\n"
    table = cell.displays[0]["text/plain"]
    words = [re.split(r"  +", line)[1] for line in table.split("\n")]
    assert words == ["--without", "nothing", "turn 2", "the system prompt", "{{notes}}"]


def test_in_another_conversation(page: Page) -> None:
    """With `-c NAME`, the number is that of a turn of NAME."""
    page.ask("x", "x")
    begin(page, "-c side")
    left_out(page, "-c side")

    assert texts(page) == ANSWERS


def test_alone(talk: Page, server: Loopback) -> None:
    """What is no turn can be left out with `--alone`; for a turn there is a line that works."""
    talk.ask("d", PROMPT, "--alone -s Brief --without system,notes -o kept")
    refused = talk.ask("d", PROMPT, "--alone --without 2")

    assert texts(talk) == ["Brief: N d", "N d", "Brief:  d"]
    assert "Without --alone: `%%minimax --without 2`" in refused.traceback
    assert len(server.requests) == 6


def test_for_all_cells(page: Page) -> None:
    """`%minimax` refuses it, with the line for one cell."""
    assert f"`%%minimax {LINE}`" in page.run("set", f"%minimax {LINE}").traceback


def test_panel(talk: Page) -> None:
    """The panel has no such setting, and one cell's line changes none that it has."""
    left_out(talk)
    shown = talk.run("panel", "%minimax panel", allow_stdin=False).shown

    assert "--without" not in shown
    assert "Brief" not in shown


def test_dry_run(talk: Page, server: Loopback) -> None:
    """`--dry-run` gives number, forecast, what varies and the full request; nothing is sent."""
    cell = left_out(talk, "--dry-run")

    assert "4 requests: about " in cell.shown
    listed = [line.strip() for line in cell.shown.split("\n") if line.startswith("  Answer ")]
    assert listed == [f"Answer {n} · {label}" for n, label in enumerate(LABELS, start=1)]
    body = json.loads(cell.shown[cell.shown.index("\n{") : cell.shown.rindex("}") + 1])
    assert in_short(body) == ANSWERS[0]
    assert len(server.requests) == 3


def test_tab(talk: Page) -> None:
    """Tab offers turns, the system prompt and the prompt's variables, also behind a comma."""
    below = "\n{{notes}} and {{ more.x }} {{notes}}"
    found = talk.kernel.complete("%%minimax --without ", below)

    assert found == ["1", "2", "3", "system", "notes", "more"]
    assert talk.kernel.complete("%%minimax --without 1,s", below) == ["1,system"]
    assert talk.kernel.complete("%%minimax --wit") == ["--without"]


# Who answers


def test_demo(talk: Page) -> None:
    """Each answer of the demo names what arrived, so that the comparison shows what is missing."""
    talk.run("offline", "%minimax offline")
    first = left_out(talk, "-t 0.1", "demo")
    drawn = texts(talk)
    talk.ask("between", "between", "--alone")
    again = left_out(talk, "-t 0.1", "demo")

    for label, text in zip(LABELS, drawn, strict=True):
        assert text.startswith("**System prompt** (1 word): `Brief`") is ("system" not in label)
        prompts = "ac" if "turn 2" in label else "abc"
        earlier = f"({len(prompts)} turns sent along): {' · '.join(prompts)}\n\n"
        prompt = "(1 word): `d`" if "notes" in label else "(2 words): `N d`"
        assert f"**Earlier prompts** {earlier}**Prompt** {prompt}\n\n**Sent:** " in text
    shown = next(each for each in first.displays if each["text/plain"].startswith("From "))
    assert "([-3-] {+2+} turns sent along): a · [-b ·-] c" in shown["text/plain"]
    assert "[-**System prompt** (1 word): `Brief`-]" in shown["text/plain"]
    assert first.displays[:-1] == again.displays[:-1]


def test_page_without_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a web page, where only the demo answers, it works as anywhere."""
    for name in ("MINIMAX_API_KEY", "MINIMAX_BASE_URL", "MINIMAX_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "emscripten")
    with fresh_shell() as shell:
        shell.run("%%minimax\na")
        replies = shell.run("%%minimax --without 1\nd")

    named = "**Earlier prompts** (1 turn sent along): a"
    assert [named in reply.text for reply in replies] == [True, False]


# Recorded, replayed, reused


def test_record_and_replay(page: Page, server: Loopback) -> None:
    """Each has its own answer in a recording; what was not recorded is an error that says so."""
    page.run("record", "%minimax record lesson.jsonl")
    begin(page)
    recorded = left_out(page)
    assert "not in lesson.jsonl" not in recorded.shown
    asked = len(server.requests)
    page.load("")
    page.run("replay", "%minimax replay lesson.jsonl --speed 100")
    begin(page)
    missing = page.ask("d", PROMPT, "-s Brief --without 1 -o kept")
    again = left_out(page)

    assert again.status == "ok"
    assert _compared(again) == _compared(recorded)
    assert "1 of 2 answers failed: this request without turn 1 is not in" in missing.traceback
    assert "Recorded" not in missing.traceback
    assert "--loose" not in missing.traceback
    assert len(server.requests) == asked


def _compared(cell: Cell) -> list[str]:
    """The answers and the comparisons, as text."""
    return [each["text/plain"] for each in cell.displays if "Answer" in each["text/plain"][:7]]


def test_loose_replay(talk: Page) -> None:
    """`--loose` takes the answer to the same prompt for the full request alone."""
    talk.run("record", "%minimax record lesson.jsonl")
    talk.ask("d", "d")
    talk.load("")
    talk.run("replay", "%minimax replay lesson.jsonl --loose --speed 100")
    talk.ask("a", "d", "-c side")
    cell = talk.ask("e", "d", "-c side --without 1 -o kept")

    assert "1 of 2 answers failed: this request without turn 1 is not in" in cell.traceback
    assert texts(talk) == ["a, b, c, d", ""]


def test_fill(page: Page, server: Loopback) -> None:
    """With `--fill` only those requests are sent that the recording does not hold."""
    page.run("replay", "%minimax replay lesson.jsonl --fill")
    begin(page)
    page.ask("d", PROMPT, "-s Brief --without notes")
    page.load(server.url)
    server.requests.clear()
    page.run("replay", "%minimax replay lesson.jsonl --fill")
    begin(page)
    left_out(page)

    assert texts(page) == ANSWERS
    assert sorted(heard(server)) == sorted(ANSWERS[1:3])


def test_replay_of_the_notebook(talk: Page, server: Loopback) -> None:
    """`%minimax replay` finds each answer in the turn that the notebook keeps, in any order."""
    left_out(talk)
    talk.ask("e", "e")
    talk.save()
    asked = len(server.requests)
    talk.load("")
    talk.run("replay", "%minimax replay --speed 100")
    begin(talk)
    talk.ask("d", PROMPT, "-s Brief --without notes,system,2 -o kept")

    assert texts(talk) == [ANSWERS[0], *ANSWERS[:0:-1]]
    assert talk.ask("e", "e").status == "ok"
    assert len(server.requests) == asked


def test_reuse_and_fresh(talk: Page, server: Loopback) -> None:
    """Each answer is reused by itself, whatever is left out beside it; with --fresh none is."""
    left_out(talk)
    server.requests.clear()
    again = left_out(talk, "--reuse")
    assert "All 4 answers were reused;" in again.shown
    assert texts(talk) == ANSWERS
    assert server.requests == []
    some = talk.ask("d", PROMPT, "-s Brief --without notes,1 --reuse -o kept")
    assert "2 of 3 answers were reused" in some.shown
    assert heard(server) == ["Brief: b, c, N d"]
    left_out(talk, "--reuse --fresh")

    assert len(server.requests) == 5


@pytest.mark.parametrize("trusted", [True, False])
def test_no_key(talk: Page, server: Loopback, trusted: bool) -> None:
    """A reader without a key sees the saved answers, with the same comparisons."""
    first = left_out(talk)
    talk.save(trusted=trusted)
    asked = len(server.requests)
    talk.load("")
    begin(talk)
    again = left_out(talk)
    assert "All 4 answers were reused; asking again needs a key." in again.shown
    assert _compared(again) == _compared(first)
    assert len(server.requests) == asked


def test_no_key_and_another_line(talk: Page, server: Loopback) -> None:
    """Where something else is left out now, a reader without a key sees the old answers."""
    talk.ask("d", PROMPT, "--without 2")
    talk.save()
    asked = len(server.requests)
    talk.load("")
    begin(talk)
    other = talk.ask("d", PROMPT, "--without 1 -o kept")

    assert "The options have changed; the answer below was given with the old ones." in other.shown
    assert texts(talk) == ["a, b, c, N d", "a, c, N d"]
    assert len(server.requests) == asked


def test_recorded_behind_turns_that_are_not(talk: Page) -> None:
    """While recording, one line says which earlier turns the recording lacks."""
    talk.run("record", "%minimax record lesson.jsonl")
    cell = talk.ask("d", "d", "--without 2")

    assert "This request builds on turns 1 to 3, which are not in lesson.jsonl." in cell.shown
    assert cell.shown.count("This request builds on") == 1


# Later


def test_run_again(talk: Page, server: Loopback) -> None:
    """A cell that runs again asks the same requests, with the turns that are there then."""
    first = left_out(talk)
    server.requests.clear()
    second = left_out(talk)
    assert sorted(heard(server)) == sorted(ANSWERS)
    assert first.saved["number"] == second.saved["number"] == 4
    talk.ask("a", "A")
    left_out(talk)

    assert texts(talk) == [answer.replace("a,", "A,") for answer in ANSWERS]


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("trusted", [True, False])
def test_pick_and_restart(talk: Page, server: Loopback, number: int, trusted: bool) -> None:
    """The full prompt stays with the picked answer: the kernel and the file send the same."""
    left_out(talk)
    told = talk.run("pick", f"%minimax pick {number}").shown
    assert "That answer was given without" in told
    before = last_sent(talk, server)
    talk.save(trusted=trusted)
    talk.load(server.url)
    if not trusted:
        talk.run("restore", "%minimax restore")
    after = last_sent(talk, server)

    assert before == after
    assert in_short(before) == "Brief: a, b, c, N d, e"
    assert before["messages"][7]["content"][-1]["text"] == ANSWERS[number - 1]
    assert thinks(before)[3] is False
    assert "outdated" not in talk.run("history", "%minimax history").shown
    saved = talk.cells["d"].outputs[-1]["data"][TURN_MIME]
    assert [each.get("without", {}).get("what") for each in saved["answers"]] == [
        "2", "system", "notes",
    ]  # fmt: skip


def test_pick_recorded_and_replayed(page: Page, server: Loopback) -> None:
    """A later prompt is recorded and replayed behind the full prompt and the picked answer."""
    page.run("record", "%minimax record lesson.jsonl")
    begin(page)
    left_out(page)
    page.run("pick", "%minimax pick 4")
    page.ask("later", "e", "-o kept")
    before = server.requests[-1].json
    assert in_short(before) == "a, b, c, N d, e"
    page.load("")
    page.run("replay", "%minimax replay lesson.jsonl --speed 100")
    begin(page)
    left_out(page)
    page.run("pick", "%minimax pick 4")

    assert page.ask("later", "e").status == "ok"


def test_fork(talk: Page, server: Loopback) -> None:
    """A copy has the full prompt and the picked answer, and its thinking stays behind, too."""
    left_out(talk)
    talk.run("pick", "%minimax pick 4")
    talk.run("fork", "%minimax fork idea")
    talk.ask("later", "e", "-c idea -s Brief")
    body = server.requests[-1].json

    assert in_short(body) == "Brief: a, b, c, N d, e"
    assert body["messages"][7]["content"][-1]["text"] == ANSWERS[3]
    assert thinks(body)[3] is False


@pytest.mark.parametrize("number", [1, 2])
def test_own_and_later_turns(talk: Page, server: Loopback, number: int) -> None:
    """A cell that runs again can leave out the turns above it, and neither its own nor later."""
    asked = len(server.requests)
    cell = talk.ask("a", "a", f"--without {number}")

    told = f"turn {number} is not sent with this prompt, so it can't be left out"
    assert told in cell.traceback
    assert "Sent with this prompt: no earlier turn." in cell.traceback
    assert len(server.requests) == asked


def test_deleted_cell(talk: Page, server: Loopback) -> None:
    """A turn that is not sent any more can't be left out; the card says how to send it again."""
    asked = len(server.requests)
    cell = talk.run("d", f"%%minimax {LINE}\n{PROMPT}", deleted=("b",))

    assert "turn 2 is not sent with this prompt, so it can't be left out" in cell.traceback
    assert "Sent with this prompt: turns 1 and 3." in cell.traceback
    assert "To send it again: `%minimax restore 2`" in cell.traceback
    assert len(server.requests) == asked


def test_untrusted_file(talk: Page, server: Loopback) -> None:
    """Turns of an untrusted file are not sent, so they can't be left out until `restore`."""
    talk.save(trusted=False)
    talk.load(server.url)
    talk.run("notes", "notes = 'N'")
    refused = left_out(talk)
    assert "turn 2 is not sent with this prompt" in refused.traceback
    assert "To send it again: `%minimax restore 2`" in refused.traceback
    talk.run("restore", "%minimax restore")
    left_out(talk)

    assert texts(talk) == ANSWERS


def test_demo_turns(talk: Page, server: Loopback) -> None:
    """A turn of the demo goes to no model, so it can't be left out there."""
    talk.run("offline", "%minimax offline")
    talk.ask("b", "b")
    talk.run("live", "%minimax live")
    cell = talk.ask("d", "d", "--without 2")

    assert "turn 2 is not sent with this prompt, so it can't be left out" in cell.traceback
    assert len(server.requests) == 3


PARTS = [chunk(sse(event)) for event in captured(text="so far")]


def test_stop(talk: Page) -> None:
    """■ closes all connections; what came stays, and complete answers are compared."""
    there, lock = threading.Event(), threading.Lock()
    stalled: list[Connection] = []

    def answer(connection: Connection) -> None:
        body = connection.request.json
        is_stalled = in_short(body) == "a, b, c, N d"
        if not is_stalled:
            echo(connection)
        with lock:
            stalled.extend([connection] * is_stalled)
        if is_stalled:
            for step in [head(), *PARTS[:8]]:
                step(connection)
            there.set()
            stall(connection)

    with Loopback(answer) as server:
        talk.load(server.url)
        begin(talk)
        cell = talk.run(
            "d", f"%%minimax {LINE} -o kept\n{PROMPT}",
            when=lambda cell: there.wait(30) and _answered(cell) == 3,
        )  # fmt: skip
        assert stalled[0].closed.wait(30)

    assert cell.ename == "Stopped"
    assert texts(talk) == [*ANSWERS[:2], "so far", ANSWERS[3]]
    compared = [each["text/plain"] for each in cell.displays if "From answer" in each["text/plain"]]
    assert re.findall(r"to answer (\d)", "".join(compared)) == ["2", "4"]


def _answered(cell: Cell) -> int:
    """How many answers the page says have come."""
    found = re.findall(r"(\d) of 4 answered", cell.shown)
    return int(found[-1]) if found else 0


def test_one_fails(talk: Page) -> None:
    """The others finish and are compared; the cell raises at the end."""

    def answer(connection: Connection) -> None:
        if in_short(connection.request.json) == ANSWERS[1]:
            failure(400, "no (2013)", "invalid_request_error")(connection)
        else:
            echo(connection)

    with Loopback(answer) as server:
        talk.load(server.url)
        begin(talk)
        cell = left_out(talk)

    assert "1 of 4 answers failed: " in cell.traceback
    compared = [each["text/plain"] for each in cell.displays if "From answer" in each["text/plain"]]
    assert re.findall(r"to answer (\d)", "".join(compared)) == ["3", "4"]


# Where it is shown


def test_drawn(talk: Page) -> None:
    """One comparison is drawn below the answers; several are folded, each under its sentence."""
    one = talk.ask("d", PROMPT, "--without 2")
    many = left_out(talk)

    (drawn,) = _comparisons(one)
    assert "<details" not in drawn["text/html"]
    assert ">b,</del>" in drawn["text/html"]
    (folded,) = _comparisons(many)
    assert folded["text/html"].count("<details ") == 3
    assert folded["text/html"].count("<summary") == 3
    assert [each["text/plain"][:6] for each in many.displays[-2:-1]] == ["From a"]


def _comparisons(cell: Cell) -> list[Any]:
    return [each for each in cell.displays if "mm-differences" in each.get("text/html", "")]


def test_headless(server: Loopback, tmp_path: Path) -> None:
    """nbclient runs the cell as a front end does, and each part is drawn once."""
    cells = ["%load_ext mm_magic\nnotes = 'N'", *(f"%%minimax\n{name}" for name in "abc")]
    cells.append(f"%%minimax {LINE}\n{PROMPT}")
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)

    assert sorted(heard(server)[3:]) == sorted(ANSWERS)
    shown = [output["data"]["text/plain"] for output in notebook.cells[-1].outputs]
    assert [text[:6] for text in shown] == ["answer", *["Thinki"] * 4, "Answer", "From a", "MiniMa"]


def test_terminal(server: Loopback, tmp_path: Path) -> None:
    """IPython in a terminal prints all of it."""
    asked = "".join(f"ask('%%minimax\\n{name}')\n" for name in "abc")
    code = (
        "%load_ext mm_magic\nask = get_ipython().run_cell\nnotes = 'N'\n"
        f"{asked}ask('%%minimax {LINE}\\n{PROMPT}')\n"
    )
    printed = in_terminal(code, tmp_path, server.url)

    assert sorted(heard(server)[3:]) == sorted(ANSWERS)
    assert "[-1 word removed-]" in printed
    assert "Answer 2 · without turn 2" in printed


def test_strip_and_extract(talk: Page) -> None:
    """`extract` has a row for each answer that names what was left out; `strip` removes them."""
    left_out(talk)
    talk.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(talk.path), "--format", "jsonl"])
    rows = [json.loads(each) for each in out.getvalue().splitlines()][3:]
    markdown = io.StringIO()
    with redirect_stdout(markdown):
        main(["extract", str(talk.path), "--format", "md"])
        main(["strip", str(talk.path)])

    assert [row["without"] for row in rows] == [None, "2", "system", "notes"]
    assert [row["answer"] for row in rows] == ANSWERS
    assert {row["prompt"] for row in rows} == {"N d"}
    assert " · without 2 · " in markdown.getvalue()
    assert TURN_MIME not in talk.path.read_text("utf-8")
