"""The file as the store: save, restart, and go on, in a real kernel with the ids of JupyterLab."""

import json
import os
from pathlib import Path

import pytest
from support.kernels import Kernel
from support.loopback import Loopback, failure, numbered, streamed
from support.pages import Page, sent
from support.printed import on_one_line


def test_request_after_a_restart_is_the_same_to_the_byte(
    page: Page, server: Loopback, tmp_path: Path
) -> None:
    """Save, restart, run only the last cell: the request is that of a kernel that went on."""
    for name in "abc":
        page.ask(name, options="-t 0.3" if name == "b" else "")
    page.ask("a", "prompt a, again")
    page.ask("b")
    page.save()
    page.ask("last")

    environment = {"JUPYTER_DATA_DIR": str(page.data), "JPY_SESSION_NAME": str(page.path)}
    with Kernel(tmp_path, environment | {"MINIMAX_BASE_URL": server.url}) as kernel:
        told = kernel.run("%load_ext mm_magic", cell_id="load").stdout
        kernel.run("%%minimax\nprompt last", cell_id="last")

    went_on, restarted = (request.body for request in server.requests[-2:])
    assert restarted == went_on
    messages = json.loads(restarted)["messages"]
    assert [len(message["content"]) for message in messages[1::2]] == [2, 2, 1]
    assert messages[1]["content"][0]["signature"] == "5f" * 32
    assert "This file holds 3 turns, saved " in told
    assert (
        "A new cell sends 3 earlier turns of main with its prompt; `%minimax history` lists them."
        in on_one_line(told)
    )


def test_conversations_are_told_apart(page: Page, server: Loopback) -> None:
    """Of several conversations, a new cell sends the turns of its own."""
    page.ask("a")
    page.ask("b", options="-c side")
    page.ask("c")
    page.save()
    told = on_one_line(page.load(server.url))
    assert (
        "A new cell sends the earlier turns of its own conversation with its prompt (2 of main, 1 "
        "of side); `%minimax history` lists them." in told
    )


def test_cells_are_known_again(page: Page, server: Loopback) -> None:
    """After a restart a cell that runs again replaces its turn, and all its turns of `ask`."""
    code = "import mm_magic as mm\nfor p in 'xyz': mm.ask(p, conversation='main')"
    page.ask("a")
    page.run("loop", code)
    page.ask("b")
    page.save()
    page.load(server.url)
    page.run("loop", code.replace("xyz", "uv"))
    page.ask("end")

    assert sent(server) == ["a", "1", "u", "6", "v", "7", "b", "5", "end"]


def test_untrusted_file_waits(page: Page, server: Loopback) -> None:
    """A file that Jupyter does not trust is told of; nothing is sent before `%minimax restore`."""
    page.ask("a")
    page.ask("b")
    page.save(trusted=False)

    assert on_one_line(page.load(server.url)).endswith(
        " model MiniMax-M2.7. This file holds 2 earlier turns. Jupyter does not trust it, so they "
        "are not sent. To send them: `%minimax restore`."
    )
    page.ask("alone", options="--alone")
    assert sent(server) == ["alone"]

    shown = page.run("restore", "%minimax restore").shown  # the cell is new, and not saved yet
    assert "'lesson.ipynb' holds 2 turns; it was saved " in shown
    assert "Conversation main: a new cell sends 2 earlier turns with its prompt." in shown
    page.ask("d")
    assert sent(server) == ["a", "1", "b", "2", "d"]


def test_turn_of_the_file_is_shown_in_a_new_cell(page: Page, server: Loopback) -> None:
    """`%minimax show N` in a new cell draws a turn of the file that is not sent."""
    page.ask("a")
    page.save(trusted=False)
    page.load(server.url)

    assert "Turn 1: prompt a" in page.run("new", "%minimax show 1").shown


@pytest.mark.parametrize("who", ["demo", "recording"])
def test_nothing_to_warn_of(page: Page, who: str) -> None:
    """Turns of the demo and of a recording need no trust: their file is loaded without a word."""
    if who == "recording":
        page.ask("a")
        page.save()
        page.load("")
        page.run("replay", f"%minimax replay {page.path}")
    else:
        page.load("")
    cell = page.ask("a", allow_stdin=False)
    assert cell.saved["backend"] == {"demo": "offline", "recording": "recorded"}[who]
    page.save(trusted=False)

    assert on_one_line(page.load("")).endswith("asks the offline demo, not a language model.")
    assert "holds 1 turn" in page.run("new", "%minimax restore").shown


def test_only_turns_of_a_model_are_counted(page: Page, server: Loopback) -> None:
    """The line counts the turns that a model answered, and none of a deleted cell."""
    page.load("")
    page.ask("demo", allow_stdin=False)
    page.run("setup", f"import os; os.environ['MINIMAX_BASE_URL'] = {server.url!r}")
    for name in "abc":
        page.ask(name)
    page.ask("c", deleted=["b"])
    page.save(trusted=False)
    assert "holds 2 earlier turns. " in page.load(server.url)

    page.ask("a", options="--alone")
    page.save(trusted=False)
    told = on_one_line(page.load(server.url))
    assert "holds 1 earlier turn. " in told
    assert "so the turn is not sent. To send it: `%minimax restore`." in told


def test_no_trust_without_signatures(page: Page, server: Loopback, tmp_path: Path) -> None:
    """Where Jupyter never signed anything nothing is trusted, and no file is made for it."""
    page.ask("a")
    page.save(trusted=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    page.kernel.run(f"import os; os.environ['JUPYTER_DATA_DIR'] = {str(empty)!r}")
    told = page.load(server.url)
    page.kernel.run(f"os.environ['JUPYTER_DATA_DIR'] = {str(page.data)!r}")

    assert "does not trust" in told
    assert list(empty.iterdir()) == []


def test_never_headless(page: Page, server: Loopback) -> None:
    """A run that nobody watches resumes nothing, and says nothing of it."""
    page.ask("a")
    page.save()

    assert "found" not in page.load(server.url, allow_stdin=False)
    page.ask("b")
    assert sent(server) == ["b"]


@pytest.mark.parametrize("cell_id", ["new", None])
def test_file_without_the_running_cell_is_not_resumed(
    page: Page, server: Loopback, cell_id: str | None
) -> None:
    """A file that does not hold the running cell may be another notebook's: it is not resumed."""
    page.ask("a")
    page.save()
    page.kernel.run("%unload_ext mm_magic")
    told = page.kernel.run("%load_ext mm_magic", cell_id=cell_id).stdout

    advice = "To send it, save the notebook, then run `%minimax restore`."
    assert (advice in told) is (cell_id is not None)
    if cell_id is not None:
        shown = page.kernel.run("%minimax restore", cell_id=cell_id).traceback
        assert "this cell is not in 'lesson.ipynb'" in shown
        assert "Save the notebook, then run this cell again." in shown
    page.ask("b")
    assert sent(server) == ["b"]


@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("forget 2", "acd"),
        ("reset", ""),
        ("forget", "abc"),
        (
            "panel\nfrom mm_magic.session.api import session\n"
            "reset = session().watchers[-1].__self__.controls.reset\n"
            "reset.click()\nreset.click()",
            "",
        ),
    ],
    ids=["forget 2", "reset", "forget", "Reset in the panel"],
)
def test_forgotten_turns_stay_forgotten(
    page: Page, server: Loopback, command: str, left: str
) -> None:
    """reset and forget leave a mark that holds after a restart; numbers are not used again."""
    for name in "abcd":
        page.ask(name)
    page.run("mark", f"%minimax {command}")
    page.save()
    page.load(server.url)
    cell = page.ask("e")

    assert sent(server)[::2] == [*left, "e"]
    assert cell.saved["number"] == 5


@pytest.mark.parametrize("command", ["restore", "restore 2"])
def test_turn_that_was_brought_back_stays(page: Page, server: Loopback, command: str) -> None:
    """What `restore` brought back after `forget` is sent after a restart, its cell cleared or not.

    The outputs of the command hold the turn.
    """
    for name in "abc":
        page.ask(name)
    page.run("mark", "%minimax forget 2")
    page.run("undo", f"%minimax {command}")
    page.cells["b"]["outputs"] = []
    page.save()
    page.load(server.url)
    page.ask("d")

    assert sent(server) == ["a", "1", "b", "2", "c", "3", "d"]


def test_hidden_turn_stays_hidden(page: Page, server: Loopback) -> None:
    """A turn of a deleted cell that the page shows again stays unsent until it is restored."""
    for name in "abc":
        page.ask(name)
    page.ask("d", deleted=["b"])
    page.save()
    page.load(server.url)
    page.ask("e")
    assert sent(server)[::2] == ["a", "c", "d", "e"]

    page.run("r", "%minimax restore 2")
    page.save()
    page.load(server.url)
    page.ask("f")
    assert sent(server)[::2] == ["a", "b", "c", "d", "e", "f"]


def test_failed_rerun_keeps_its_turn(process: Kernel, data: Path, tmp_path: Path) -> None:
    """The turn that a failed re-run leaves in place is in the file, too."""
    with Loopback(*numbered(2), [failure(400, "no (2013)")], streamed()) as server:
        page = Page(tmp_path / "a.ipynb", data, process)
        page.load(server.url)
        page.ask("a")
        page.ask("b")
        assert page.ask("a").status == "error"
        page.save()
        page.load(server.url)
        page.ask("c")

        assert sent(server) == ["a", "1", "b", "2", "c"]


def test_answers_that_were_not_saved(page: Page, server: Loopback) -> None:
    """Answers newer than the save from which a kernel went on stay out, as they were not sent."""
    page.ask("a")
    page.save()
    page.ask("b")
    page.ask("b2")
    page.load(server.url)
    page.ask("c")
    assert sent(server) == ["a", "1", "c"]
    page.save()

    told = page.load(server.url)
    page.ask("d")
    assert sent(server) == ["a", "1", "c", "4", "d"]
    assert "1 turn of main was left out (turn 3): not in the older version of the file" in told


def test_copies_count_once(page: Page, server: Loopback) -> None:
    """A copied cell, and a turn that was drawn again, are no turns of their own."""
    page.ask("a")
    page.run("show", "%minimax show 1")
    page.ask("b")
    page.copy("a", "a2")
    page.save()
    page.load(server.url)
    page.ask("c")
    assert sent(server) == ["a", "1", "b", "2", "c"]

    del page.cells["a"], page.cells["a2"]
    page.save()
    page.load(server.url)
    page.ask("d")
    assert sent(server) == ["a", "1", "b", "2", "c", "3", "d"]


def test_old_copy_of_a_cell_is_out_of_date(page: Page, server: Loopback) -> None:
    """A copy that holds the answer before the last does not come back, and nobody misses it."""
    page.ask("a")
    page.copy("a", "copy")
    page.ask("a")
    page.save()
    told = page.load(server.url)
    page.ask("b")

    assert sent(server) == ["a", "2", "b"]
    assert "left out" not in told


def test_answers_that_a_re_run_replaced_are_not_missed(page: Page, server: Loopback) -> None:
    """Where a pick, `forget` and `restore` kept the old answers, the new ones stand, unsaid."""
    page.ask("a")
    page.ask("b", options="-n 2")
    page.run("pick", "%minimax pick 2")
    page.run("forget", "%minimax forget 1")
    page.run("restore", "%minimax restore 1")
    page.ask("a")
    page.ask("b", options="-n 2")
    page.save()
    told = page.load(server.url)
    assert "This file holds 2 turns, saved " in told
    assert "left out" not in told


def test_settings_are_not_restored(page: Page, server: Loopback) -> None:
    """Model and options of a file's turns are not taken over."""
    page.ask("a", options='-m Other -t 0.1 -s "Be evil"')
    page.save()
    page.load(server.url)
    page.ask("b")

    body = server.requests[-1].json
    assert body["model"] == "MiniMax-M2.7"
    assert body.keys().isdisjoint({"temperature", "system"})
    assert len(body["messages"]) == 3
    assert os.fspath(page.path) not in json.dumps(body)


def test_turn_that_a_reloaded_page_lost_is_told_once(page: Page) -> None:
    """A page that was loaded again before it was saved says in its next cell which turn it lost."""
    page.ask("a")
    page.copy("a", "b")
    page.cells["b"]["outputs"] = []
    page.save()
    page.ask("b")
    page.kernel.page = "loaded again"
    told = (
        "This page was reloaded before turn 2 was saved; the kernel still has it. "
        "To show it: `%minimax show 2`"
    )

    assert told in page.run("c", "1 + 1").shown
    assert "answer 2" in page.run("c", "%minimax show 2").shown
    page.kernel.page = "and again"
    assert "reloaded" not in page.run("d", "1 + 1").shown


def test_turn_that_a_reloaded_page_lost_and_makes_again(page: Page) -> None:
    """Nothing is said of a lost turn whose own cell runs now; another lost turn is told there."""
    page.run("a", "1 + 1")
    page.run("b", "1 + 1")
    page.save()
    page.ask("a")
    page.ask("b")
    page.kernel.page = "loaded again"
    again = page.ask("b").shown

    assert "before turn 1 was saved" in again
    assert "turn 2 was" not in again
    page.kernel.page = "and again"
    assert "reloaded" not in page.ask("b").shown


def test_reloaded_page_whose_cell_was_deleted(page: Page) -> None:
    """The turn of a cell that was deleted is not lost, though the file lacks it."""
    page.ask("a")
    page.ask("b")
    page.ask("c", deleted=["b"])
    del page.cells["b"]
    page.save()
    page.kernel.page = "loaded again"

    assert "reloaded" not in page.run("d", "1 + 1").shown


def test_reloaded_page_that_lost_nothing(page: Page) -> None:
    """Nothing is said where the file holds all turns, nor where it is another notebook's."""
    page.ask("a")
    page.save()
    page.kernel.page = "loaded again"
    assert "reloaded" not in page.run("b", "1 + 1").shown

    page.ask("c")
    page.copy("b", "x")
    page.cells = {"x": page.cells["x"]}
    page.save()
    page.kernel.page = "and again"
    assert "reloaded" not in page.run("d", "1 + 1").shown
