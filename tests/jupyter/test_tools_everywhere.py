"""`--tools` in every place where it can stand: docs/tools.md has the table."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from support.kernels import TURN, Cell, clean_environment
from support.loopback import Loopback
from support.pages import Page, sent
from support.terminal import in_terminal
from support.tool_pages import CARD, FUNCTION, looks, restart
from support.tool_service import CallsOnce

from mm_magic.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture
def server(calling: Loopback) -> Loopback:
    return calling


@pytest.mark.parametrize("more", ["", "--alone", "-c side", "-o reply", "--no-stream"])
def test_with_other_options(tooled: Page, service: CallsOnce, more: str) -> None:
    """The function runs once, its card and the answer are drawn; the next cell has no tools."""
    cell = tooled.ask("a", options=f"--tools look {more}")

    assert cell.status == "ok"
    assert CARD in cell.shown
    assert "It is blue 1." in cell.shown
    assert "1 call" in cell.shown
    assert "20 in / 10 out" in cell.shown
    assert looks(tooled) == "1"
    assert tooled.kernel.run("print([s.role for s in _.steps])").stdout == (
        "['assistant', 'user', 'assistant']\n"
    )
    assert len(service.bodies) == 2
    assert "moo" in tooled.ask("b").shown
    assert "tools" not in service.bodies[-1]


def test_remembered(tooled: Page, service: CallsOnce) -> None:
    """A later prompt is sent with the call and its result; `--alone` leaves them out."""
    tooled.ask("a", options="--tools look")
    tooled.ask("b")
    assert [message["role"] for message in service.bodies[-1]["messages"]] == [
        "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    tooled.ask("c", options="--alone --tools look")
    assert len(service.bodies[-1]["messages"]) == 3


def test_dry_run(tooled: Page, service: CallsOnce) -> None:
    """`--dry-run` shows the schema, and sends nothing."""
    shown = tooled.ask("a", options="--tools look --dry-run").shown

    assert '"input_schema"' in shown
    assert service.bodies == []
    assert looks(tooled) == "0"


def test_for_all_cells(tooled: Page) -> None:
    """`%minimax --tools` is an error that gives the line for one cell."""
    assert "`%%minimax --tools look`" in tooled.run("set", "%minimax --tools look").traceback


def test_panel(tooled: Page, service: CallsOnce) -> None:
    """The panel does not have it; its settings hold for each request of the turn."""
    assert "--tools" not in tooled.run("panel", "%minimax panel", allow_stdin=False).shown
    tooled.run("set", "%minimax -s Brief")
    tooled.ask("a", options="--tools look")

    assert [body["system"] for body in service.bodies] == ["Brief", "Brief"]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("-n 3", "%%minimax --tools look"),
        ("-t 0.1,0.5", "%%minimax -t 0.1 --tools look"),
        ("--without system -s A", "%%minimax --tools look"),
        ("--rows looks", "%%minimax --rows looks"),
        ("--type int", "%%minimax --type int"),
    ],
)
def test_what_does_not_go_with_it(tooled: Page, service: CallsOnce, more: str, line: str) -> None:
    """What does not go with it is an error that gives a line that works; nothing is sent."""
    assert f"`{line}`" in tooled.ask("a", options=f"--tools look {more}").traceback
    assert service.bodies == []


def test_unknown_function(tooled: Page, service: CallsOnce) -> None:
    """A name that the notebook does not have, and one that is no function, are errors."""
    assert "Did you mean look?" in tooled.ask("a", options="--tools lok").traceback
    assert "must be a function" in tooled.ask("a", options="--tools looks").traceback
    assert service.bodies == []


def test_demo(tooled: Page) -> None:
    """The demo calls the first function once, with arguments made from its schema."""
    tooled.run("offline", "%minimax offline")
    cell = tooled.ask("a", options="--tools look")

    assert "Call: look(at=" in cell.shown
    assert looks(tooled) == "1"


def test_record_and_replay(tooled: Page, server: Loopback) -> None:
    """Each request is recorded; the replay shows the recorded results, and nothing runs."""
    tooled.run("record", "%minimax record lesson.jsonl")
    tooled.ask("a", options="--tools look")
    tooled.ask("b")
    for _ in range(2):
        restart(tooled)
        tooled.run("replay", "%minimax replay lesson.jsonl --speed 100")
        again = tooled.ask("a", options="--tools look")
        assert CARD in again.shown
        assert "It is blue 1." in again.shown
        assert "moo" in tooled.ask("b").shown
        assert looks(tooled) == "0"

    restart(tooled)
    tooled.run("replay", "%minimax replay lesson.jsonl")
    without = tooled.ask("a").traceback
    assert "This prompt was recorded with --tools look: `%%minimax --tools look`" in without
    assert "no `--tools`" in tooled.ask("b", options="--tools look").traceback
    tooled.run("def", FUNCTION.replace("something", "a thing"))
    other = tooled.ask("a", options="--tools look").traceback
    different = "recorded with different type hints or docstrings for the functions."
    assert different in " ".join(other.split())
    assert len(server.requests) == 3


def test_replay_of_half_a_turn(tooled: Page, server: Loopback) -> None:
    """Where a recording ends with the call, a replay says so, and `--fill` goes on from there."""
    tooled.run("record", "%minimax record lesson.jsonl")
    hung = tooled.ask("a", "hang later", "--tools look", when=shows("half of it"))
    assert hung.ename == "Stopped"
    lines = Path(tooled.path.parent / "lesson.jsonl").read_text("utf-8").splitlines()
    Path(tooled.path.parent / "lesson.jsonl").write_text("\n".join(lines[:2]) + "\n", "utf-8")

    restart(tooled)
    tooled.run("replay", "%minimax replay lesson.jsonl")
    cell = tooled.ask("a", "hang later", "--tools look")
    assert "the results of these calls are not in 'lesson.jsonl'" in cell.traceback
    assert looks(tooled) == "0"

    restart(tooled, server.url)
    tooled.run("replay", "%minimax replay lesson.jsonl --fill")
    tooled.ask("a", "hang later", "--tools look", when=shows("half of it"))
    assert looks(tooled) == "1"


def test_replay_of_the_notebook(tooled: Page, server: Loopback) -> None:
    """The notebook's own turns give answer and results, and nothing runs."""
    tooled.ask("a", options="--tools look")
    tooled.ask("b")
    tooled.save()
    restart(tooled)
    tooled.run("replay", "%minimax replay --speed 100")

    assert CARD in tooled.ask("a", options="--tools look").shown
    assert "moo" in tooled.ask("b").shown
    assert looks(tooled) == "0"
    assert len(server.requests) == 3


def test_fill(tooled: Page, server: Loopback) -> None:
    """With `--fill` each request is asked for once, and the function runs once."""
    ran = []
    for _ in range(2):
        restart(tooled, server.url)
        tooled.run("replay", "%minimax replay lesson.jsonl --fill")
        assert CARD in tooled.ask("a", options="--tools look").shown
        ran.append(looks(tooled))

    assert ran == ["1", "0"]
    assert len(server.requests) == 2


def test_reuse(tooled: Page, server: Loopback) -> None:
    """A saved turn is shown again, with its calls; nothing is sent, and nothing runs."""
    tooled.ask("a", options="--tools look")
    again = tooled.ask("a", options="--tools look --reuse")

    assert CARD in again.shown
    assert "It is blue 1." in again.shown
    assert looks(tooled) == "1"
    assert len(server.requests) == 2
    tooled.ask("a", options="--tools look --fresh")
    assert looks(tooled) == "2"


def test_without_a_key(tooled: Page) -> None:
    """A reader without a key sees the saved turn again; nothing runs."""
    tooled.ask("a", options="--tools look")
    tooled.save()
    restart(tooled)
    again = tooled.ask("a", options="--tools look")

    assert CARD in again.shown
    assert "It is blue 1." in again.shown
    assert looks(tooled) == "0"


def test_run_again(tooled: Page, server: Loopback) -> None:
    """A cell that runs again asks anew, calls again, and has one turn."""
    for _ in range(2):
        tooled.ask("a", options="--tools look")
    tooled.ask("b")

    assert looks(tooled) == "2"
    assert sent(server) == ["a", "Let me look.", "It is blue 2.", "b"]


def shows(text: str) -> Any:
    """Whether the page shows this."""

    def found(cell: Cell) -> bool:
        return text in str(cell.displays)

    return found


@pytest.mark.parametrize("prompt", ["hang", "hang later"])
def test_stop_of_an_answer(tooled: Page, prompt: str) -> None:
    """What came before a stop stays, also the result of a call; the next request is taken."""
    stopped = tooled.ask("a", prompt, "--tools look", when=shows("half of it"))

    assert stopped.ename == "Stopped"
    assert (CARD in stopped.shown) == (prompt == "hang later")
    assert "half of it" in stopped.shown
    tooled.run("d", "%minimax forget")
    assert "moo" in tooled.ask("b").shown


SLEEPS = """\
import time
def look(at: str) -> str:
    "Look at something."
    print("sleeping")
    time.sleep(60)
"""
WAITS = """\
import asyncio
async def look(at: str) -> str:
    "Look at something."
    print("sleeping")
    await asyncio.sleep(60)
"""


@pytest.mark.parametrize("line", ["", "%%time\n"], ids=["awaited", "synchronous"])
@pytest.mark.parametrize("function", [SLEEPS, WAITS], ids=["plain", "async"])
def test_stop_of_a_function(tooled: Page, server: Loopback, function: str, line: str) -> None:
    """A stop ends a function that sleeps, and its call says so; the text before it is remembered,
    in another kernel, too."""
    tooled.run("def", function)
    code = f"{line}%%minimax --tools look\nWhy?"
    stopped = tooled.run("a", code, when=lambda cell: "sleeping" in cell.stdout)

    assert stopped.ename == ("KeyboardInterrupt" if line else "Stopped")
    assert "→ failed: The user stopped" in stopped.shown
    assert len(server.requests) == 1
    turn = stopped.saved
    assert turn["status"] == "stopped"
    assert [step["role"] for step in turn["steps"]] == ["assistant", "user", "assistant"]
    assert "moo" in tooled.ask("b").shown
    assert sent(server) == ["Why?", "Let me look.", "b"]

    tooled.save()
    restart(tooled, server.url)
    tooled.ask("c")
    assert sent(server) == ["Why?", "Let me look.", "b", "moo", "c"]


@pytest.mark.parametrize("trusted", [True, False])
def test_restart(tooled: Page, server: Loopback, trusted: bool) -> None:
    """The file keeps calls and results; the turn is sent later, of an untrusted file after
    `%minimax restore`."""
    tooled.ask("a", options="--tools look")
    tooled.save(trusted=trusted)
    restart(tooled, server.url)
    if not trusted:
        assert "moo" in tooled.ask("b", options="-c side").shown
        assert sent(server) == ["b"]
        tooled.run("restore", "%minimax restore")
        tooled.save(trusted=False)
        tooled.run("restore", "%minimax restore")
    shown = tooled.run("show", "%minimax show 1").shown
    assert CARD in shown
    assert "1 call" in shown
    tooled.ask("c")

    assert sent(server) == ["a", "Let me look.", "It is blue 1.", "c"]
    assert looks(tooled) == "0"


def test_restart_in_the_middle(tooled: Page, server: Loopback) -> None:
    """A page that is saved while a function runs holds no half turn."""
    tooled.run("def", SLEEPS)
    tooled.ask("a", options="--tools look", when=lambda cell: "sleeping" in cell.stdout)
    outputs = tooled.cells["a"]["outputs"]
    tooled.cells["a"]["outputs"] = [each for each in outputs if TURN not in str(each)]
    tooled.save()
    restart(tooled, server.url)

    assert "moo" in tooled.ask("b").shown
    assert sent(server) == ["b"]


def test_fork(tooled: Page, server: Loopback) -> None:
    """A copy has the steps, too."""
    tooled.ask("a", options="--tools look")
    tooled.run("fork", "%minimax fork idea")
    tooled.ask("b", options="-c idea")

    assert sent(server) == ["a", "Let me look.", "It is blue 1.", "b"]


def test_headless(server: Loopback, tmp_path: Path) -> None:
    """nbclient draws each part once; `--confirm` is an error before anything is sent."""
    cells = [
        "%load_ext mm_magic", FUNCTION, "%%minimax --tools look\nWhy?",
        "%%minimax --tools look --confirm\nWhy?",
    ]  # fmt: skip
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=made)  # type: ignore[no-untyped-call]
    environment = clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url}
    client = NotebookClient(
        notebook, resources={"metadata": {"path": str(tmp_path)}}, allow_errors=True
    )
    client.execute(env=environment)

    texts = [output["data"]["text/plain"] for output in made[2]["outputs"]]
    assert texts[:3] == ["Let me look.", CARD, "It is blue 1."]
    assert "no way to ask here" in str(made[3]["outputs"])
    assert len(server.requests) == 2


def test_terminal(server: Loopback, tmp_path: Path) -> None:
    """In a terminal call and result are one line."""
    out = in_terminal(
        f"%load_ext mm_magic\n{FUNCTION}\n"
        'get_ipython().run_cell_magic("minimax", "--tools look", "Why?");',
        tmp_path,
        server.url,
    )

    assert f"Let me look.\n{CARD}\nIt is blue 1.\n" in out


def test_strip_and_extract(tooled: Page) -> None:
    """`extract` has the answer and the tokens of all requests; `strip` leaves the cards."""
    tooled.ask("a", options="--tools look")
    tooled.save()
    out = io.StringIO()
    with redirect_stdout(out):
        main(["extract", str(tooled.path), "--format", "jsonl"])
        main(["strip", str(tooled.path)])

    row = json.loads(out.getvalue().splitlines()[0])
    assert (row["answer"], row["input_tokens"]) == ("It is blue 1.", 20)
    kept = tooled.path.read_text("utf-8")
    assert TURN not in kept
    assert "mm-call" in kept


def test_python(tooled: Page, server: Loopback) -> None:
    """`mm.ask(…, tools=[…])` does the same, and `show=True` draws it."""
    asked = tooled.run("a", "import mm_magic as mm\nprint(mm.ask('Why?', tools=[look]))")
    assert asked.stdout == "It is blue 1.\n"
    drawn = tooled.run("b", "mm.ask('Why?', tools=[look], show=True)")

    assert 'Call: look(at="sea") → blue 2' in drawn.shown
    for more in ("type=int, tools=[look]", "tools=look", "confirm=True", "tools=['look']"):
        assert tooled.run("c", f"mm.ask('Why?', {more})").ename == "UsageError"
    for function in ("mm.compare('Why?'", "mm.map('Why {{row}}?', ['a']"):
        assert "`mm.ask(…, tools=[f])`" in tooled.run("c", f"{function}, tools=[look])").traceback
    assert len(server.requests) == 4


def test_own_display(tooled: Page) -> None:
    """The reader gets the table or picture that a function returned, and the model its text."""
    tooled.run("def", "import pandas as pd\ndef look(at: str):\n    'Look.'\n"
               "    return pd.DataFrame({'place': ['<b>x</b>', at]})")  # fmt: skip
    cell = tooled.ask("a", options="--tools look")
    (card,) = [each["text/html"] for each in cell.displays if "mm-call" in str(each)]

    assert "<table>" in card
    assert "<td>sea</td>" in card
    assert "style scoped" not in card
    assert "| place |" in card
