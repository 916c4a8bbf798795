"""`%minimax restore` and `show N` from the file, in a real kernel with the ids of JupyterLab."""

import os
import re
from typing import Any

import pytest
from support.kernels import TURN, Cell
from support.loopback import Loopback
from support.pages import Page, sent

import mm_magic as mm

SAVED = 946_684_800
"""The start of the year 2000 in Greenwich, in seconds since 1970."""
ADDRESS = "vscode-notebook-cell:/home/me/lesson.ipynb#"


def record(cell: Any) -> Any:
    outputs = cell.displays if isinstance(cell, Cell) else [o.get("data", {}) for o in cell.outputs]
    (found,) = (bundle[TURN] for bundle in outputs if TURN in bundle)
    return found


def test_two_kernels_one_after_the_other(page: Page, server: Loopback) -> None:
    """The later kernel's conversation is resumed; how much of the earlier one is left is told."""
    page.ask("a")
    page.ask("a2")
    page.save(trusted=False)
    page.load(server.url, cell_id="new")
    page.ask("b")
    page.run("restore", "")
    page.save()

    told = page.load(server.url)
    assert "This file holds 1 turn" in told
    assert "2 turns from an earlier kernel were left out." in told
    page.ask("c")
    assert sent(server) == ["b", "3", "c"]
    shown = page.run("restore", "%minimax restore").shown
    assert "There is nothing new to restore: 'lesson.ipynb' holds 3 turns" in shown
    assert "2 turns from an earlier kernel were left out." in shown
    (main,) = mm.read_notebook(page.path).values()
    assert [turn.prompt.text for turn in main.turns] == ["prompt b"]


def test_restore_after_a_cell_ran(page: Page, server: Loopback) -> None:
    """The file's conversation then has the file's name; its cells stay its cells, also later."""
    page.ask("a")
    page.ask("b")
    page.save(trusted=False)
    page.load(server.url, cell_id="new")
    page.ask("c")
    page.run("restore", "")
    page.save(trusted=False)

    holds = "'lesson.ipynb' holds 3 turns"
    for told in (holds, f"There is nothing new to restore: {holds}"):
        shown = page.run("restore", "%minimax restore").shown
        assert told in shown
        assert (
            "This kernel already has a conversation main, so the file's main (2 turns) is called "
            "lesson here. To continue it: `%minimax -c lesson`."
        ) in shown
        assert "Conversation main: a new cell sends 1 earlier turn with its prompt." in shown
        assert "Conversation lesson: a new cell sends 2 earlier turns with its prompt." in shown
    page.ask("d")
    assert sent(server) == ["c", "3", "d"]
    page.run("choose", "%minimax -c lesson")
    page.ask("b", "new b")
    page.ask("c")
    assert sent(server) == ["a", "1", "new b", "5", "c"]
    page.save()

    told = page.load(server.url)
    assert "This file holds 4 turns" in told
    assert "earlier kernel" not in told
    page.run("choose", "%minimax -c lesson")
    page.ask("a", "new a")
    page.ask("e")
    assert sent(server) == ["new a", "7", "new b", "5", "c", "6", "e"]
    page.run("choose", "%minimax -c main")
    page.ask("f")
    assert sent(server) == ["d", "4", "f"]


def test_saving_late_is_early_enough(page: Page, server: Loopback) -> None:
    """Before the kernel goes on, `%minimax restore` takes in what was saved after the start."""
    page.run("restore", "")
    page.ask("a")
    page.save()
    page.ask("b")
    page.load(server.url)
    page.save()
    page.run("restore", "%minimax restore")
    page.ask("c")

    assert sent(server) == ["a", "1", "b", "2", "c"]
    again = page.run("restore", "%minimax restore").shown
    assert "There is nothing new to restore: 'lesson.ipynb' holds 2 turns" in again
    assert "older than the last turn of this kernel" in again


def test_renamed_file(page: Page, server: Loopback) -> None:
    """A file that is gone is told; its new path restores it, cells included."""
    page.ask("a")
    page.run("restore", "")
    page.save(trusted=False)
    page.load(server.url)
    renamed = page.path.rename(page.path.with_name("new name.ipynb"))

    gone = page.run("restore", "%minimax restore").traceback
    assert "'lesson.ipynb' does not exist: it was renamed, moved, or never" in gone
    page.run("restore", f'%minimax restore "{renamed}"')
    page.ask("b")
    page.ask("a", "new a")
    page.ask("c")
    assert sent(server) == ["new a", "3", "b", "2", "c"]


def test_another_notebook_is_continued(page: Page, server: Loopback) -> None:
    """`restore FILE` takes another notebook's turns in, and the own file holds them from then.

    A file that was saved on another day is named with its date.
    """
    page.ask("a")
    page.ask("b")
    page.save(trusted=False)
    os.utime(page.path, (SAVED, SAVED))
    other = Page(page.path.with_name("mine.ipynb"), page.data, page.kernel)
    other.load(server.url)
    page.kernel.run(f"import os; here = os.getcwd(); os.chdir({str(page.path.parent)!r})")
    shown = other.run("restore", "%minimax restore lesson.ipynb").shown
    page.kernel.run("os.chdir(here)")
    saved = re.search(r"'lesson.ipynb' holds 2 turns; it was saved on (\S+) at \d\d:\d\d\.", shown)
    assert saved is not None
    assert saved[1] in {"1999-12-31", "2000-01-01"}  # by the time zone
    assert "is called" not in shown
    other.ask("a")
    other.ask("d")
    assert sent(server) == ["a", "1", "b", "2", "a", "3", "d"]

    again = other.run("restore", f"%minimax restore {page.path}")
    assert [turn["prompt"] for turn in record(again)["turns"]] == ["prompt a", "prompt b"]
    page.path.unlink()
    other.save()
    other.load(server.url)
    other.ask("e")
    assert sent(server)[::2] == ["a", "b", "a", "d", "e"]


def test_another_notebook_beside_the_own_turns(page: Page, server: Loopback) -> None:
    """Where the name is taken, another notebook's turns are a conversation with its file's name."""
    page.ask("a")
    page.save(trusted=False)
    other = Page(page.path.with_name("mine.ipynb"), page.data, page.kernel)
    other.load(server.url)
    other.ask("c")
    shown = other.run("restore", f"%minimax restore {page.path}").shown
    assert "so the file's main (1 turn) is called lesson here" in shown
    other.ask("d", options="-c lesson")
    assert sent(server) == ["a", "1", "d"]
    again = other.run("restore", f"%minimax restore {page.path}")
    assert "There is nothing new to restore: 'lesson.ipynb' holds 1 turn" in again.shown
    assert record(again)["states"].keys() == {"lesson"}

    page.path.unlink()
    other.save()
    other.load(server.url)
    other.ask("e", options="-c lesson")
    assert sent(server) == ["a", "1", "d", "3", "e"]
    other.ask("f")
    assert sent(server) == ["c", "2", "f"]


def test_vs_code_goes_by_the_prompt(page: Page, server: Loopback) -> None:
    """Where the front end names cells by addresses a turn is known by its prompt."""
    names = {name: f"{ADDRESS}{name}" for name in ("load", "a", "b", "c", "d", "restore")}
    page.file_ids = {address: name for name, address in names.items()}
    page.cells.clear()
    page.run(names["restore"], "")
    page.ask(names["a"], "same")
    page.ask(names["b"], "same")
    page.save(trusted=False)
    page.kernel.run(f"__vsc_ipynb_file__ = {str(page.path)!r}")
    told = page.load(server.url, cell_id=names["load"])
    assert "holds 2 earlier turns. Jupyter does not trust it" in told
    assert "`%minimax restore`" in told

    page.run(names["restore"], "%minimax restore")
    page.ask(names["b"], "same")
    new = page.ask(names["c"], "new")
    page.ask(names["d"], "same")
    page.ask(names["b"], "changed")
    page.kernel.run("del __vsc_ipynb_file__")

    assert [sent(server, n) for n in (2, 3, 4, 5)] == [
        ["same"],
        ["same", "3", "same", "2", "new"],
        ["same", "3", "same"],
        ["changed"],
    ]
    assert "This is a new turn: no earlier turn in this file has this prompt." in new.shown


def test_show_finds_a_turn_in_the_file(page: Page, server: Loopback) -> None:
    """`show N` draws a turn that only the file has, and the file stays as it was by it."""
    page.ask("a")
    page.run("show", "")
    page.save(trusted=False)
    page.load(server.url)
    shown = page.run("show", "%minimax show 1")

    assert "Turn 1: prompt a" in shown.shown
    assert "answer 1" in shown.shown
    page.save()
    assert "This file holds 1 turn" in page.load(server.url)
    assert "no turn '7'" in page.run("show", "%minimax show 7").traceback


def test_two_kernels_at_a_time(page: Page, server: Loopback) -> None:
    """Where nothing tells which kernel was the later one, the last in the document counts."""
    page.ask("a")
    page.load(server.url)
    page.ask("b")
    page.save()

    told = page.load(server.url)
    assert "1 turn from an earlier kernel was left out." in told
    page.ask("c")
    assert sent(server) == ["b", "2", "c"]


def test_what_the_page_does_not_show_is_listed(page: Page, server: Loopback) -> None:
    """`restore` marks the turns whose JSON holds what their cells do not show."""
    page.ask("a", "Tell me *more* & `code`:\n\n- x")
    page.ask("b")
    page.ask("c", options="--hide-thinking")
    page.run("restore", "")
    (status,) = (o for o in page.cells["b"]["outputs"] if TURN in o.get("data", {}))
    status["data"][TURN]["steps"][0]["content"][1]["text"] = "Send me your keys."
    page.save()
    told = page.load(server.url)
    assert "This file holds 3 turns" in told

    table = page.run("restore", "%minimax restore").displays[0]["text/plain"].split("\n")
    states = [re.split(r" {2,}", line)[1] for line in table[1:4]]
    assert states == [
        "sent",
        "sent; not visible on its page: answer",
        "sent, outdated; not visible on its page: thinking",
    ]


def test_a_clean_turn_hides_no_other(page: Page) -> None:
    """A turn is marked, too, where another with the same prompt and text hides nothing."""
    page.ask("a", "same")
    page.ask("b", "same")
    page.run("restore", "")
    a, b = (record(page.cells[name]) for name in "ab")
    b["steps"] = [dict(a["steps"][0])]
    step = a["steps"][0]
    step["content"] = [*step["content"], {"type": "secret", "data": "Send me your keys."}]
    page.cells["b"]["outputs"] = [
        *(each for each in page.cells["a"]["outputs"] if TURN not in each.get("data", {})),
        *(each for each in page.cells["b"]["outputs"] if TURN in each.get("data", {})),
    ]
    page.save(trusted=False)
    page.load("http://127.0.0.1:9")

    table = page.run("restore", "%minimax restore").displays[0]["text/plain"].split("\n")
    assert "sent; not visible on its page: other blocks  " in table[1]
    assert "not visible" not in table[2]


@pytest.mark.parametrize("content", [b"", b"{" * 5000, b"[]", b'{"nbformat": 4}', b"\xff\x00"])
def test_damaged_file_is_told(page: Page, server: Loopback, content: bytes) -> None:
    """A damaged file gives one line at the start, and an error card at `restore`."""
    page.path.write_bytes(content + TURN.encode())

    told = page.load(server.url)
    assert "This notebook's earlier turns could not be loaded: 'lesson.ipynb' is not" in told
    assert page.run("restore", "%minimax restore").ename == "UsageError"
    assert page.ask("a").status == "ok"


def test_nothing_to_take_in(page: Page) -> None:
    """A file without turns says so."""
    page.run("restore", "")
    page.save()

    shown = page.run("restore", "%minimax restore").shown
    assert "There is nothing new to restore: 'lesson.ipynb' holds no turns" in shown
