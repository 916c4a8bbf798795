"""A lesson from both sides: a teacher makes it, and a student without a key runs it."""

from collections.abc import Mapping

import pytest
from support.kernels import Cell
from support.loopback import Loopback
from support.pages import Page, sent

LESSON = {
    "a": "%%minimax\nWhy is the sky blue?",
    "list": "%%minimax -t 0.1,1\nName a colour.",
    "pick": "%minimax pick 2",
    "b": "%%minimax -o found\nAnd at night?",
    "alone": "%%minimax --alone\nName one.",
    "n": "%%minimax -n 2 --alone\nName two.",
    "fork": "%minimax fork idea",
    "c": "%%minimax -c idea\nAnd at dawn?",
}
REUSED = "reused; asking again needs a key."
CHANGED = "This prompt has changed; the answer below is to the old one. A new answer needs a key."
OTHER_OPTIONS = (
    "The options have changed; the answer below was given with the old ones. "
    "A new answer needs a key."
)
NOT_SENT = "from an untrusted file were not sent. To send them: `%minimax restore`."


def run_all(page: Page, **edited: str) -> dict[str, Cell]:
    return {name: page.run(name, code) for name, code in {**LESSON, **edited}.items()}


def turns(cells: Mapping[str, Cell]) -> dict[str, object]:
    """The saved turn of each cell, without the state of its conversation."""
    return {
        name: {**cell.saved, "state": None, "untrusted": None}
        for name, cell in cells.items()
        if name not in ("pick", "fork")
    }


@pytest.fixture
def lesson(page: Page) -> dict[str, Cell]:
    """The cells that a teacher ran; the file is not trusted where it is opened next."""
    cells = run_all(page)
    page.save(trusted=False)
    return cells


def test_lesson_from_both_sides(lesson: dict[str, Cell], page: Page, server: Loopback) -> None:
    """A student's Run All leaves it whole, in the file that is saved and in the next kernel, too;
    with a key nothing of it is sent before `restore`."""
    asked = len(server.requests)
    told = " ".join(page.load("").split())
    assert (
        "Jupyter does not trust it, so they are not sent. To send them: `%minimax restore`" in told
    )
    for is_first in (True, False):
        cells = run_all(page)
        assert turns(cells) == turns(lesson)
        assert all(REUSED in cells[name].shown for name in turns(cells))
        edited = run_all(page, a="%%minimax\nWhy is it red?", n="%%minimax -n 3\nName three.")
        assert turns(edited) == turns(lesson)
        for name in ("a", "n"):
            assert CHANGED in edited[name].shown
        assert REUSED in edited["b"].shown
        assert page.run("v", "print(found)").stdout == "answer 4\n"
        history = page.run("history", "%minimax history").shown
        assert history.count("shown, not sent") == 3
        page.save(trusted=True)
        if is_first:
            told = " ".join(page.load("").split())
            assert "7 turns from an untrusted file are not sent" in told

    page.load(server.url)
    new = page.run("new", "%%minimax\nAnd in space?")
    assert f"3 turns {NOT_SENT}" in new.shown
    assert sent(server) == ["And in space?"]
    restored = page.run("restore", "%minimax restore").shown
    assert "Conversation main: a new cell sends 4 earlier turns with its prompt." in restored
    assert "Turn 4 is outdated" in restored
    page.run("new", "%%minimax\nAnd in space?")
    assert sent(server)[::2] == [
        *("Why is the sky blue?", "Name a colour.", "And at night?", "And in space?")
    ]
    page.save(trusted=True)
    page.load(server.url)
    assert "shown, not sent" not in page.run("history", "%minimax history").shown
    page.run("last", "%%minimax\nAnd at noon?")
    assert len(sent(server)) == 9
    assert len(server.requests) == asked + 3


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("list", "%%minimax -t 0.1,0.5,1\nName a colour.", OTHER_OPTIONS),
        ("list", "%%minimax\nName a color.", CHANGED),
        ("n", "%%minimax -n 3 --alone\nName two.", OTHER_OPTIONS),
        ("alone", "%%minimax --alone\nName some.", CHANGED),
        ("b", "%%minimax -t 0.1,1 -o found\nAnd at night?", OTHER_OPTIONS),
        ("a", "%%minimax -m MiniMax-M3\nWhy is the sky blue?", OTHER_OPTIONS),
    ],
)
def test_edited_cells_keep_their_answers(
    lesson: dict[str, Cell], page: Page, name: str, code: str, told: str
) -> None:
    """Whatever kind of cell it was and is, all its old answers stand below one line."""
    page.load("")
    cells = run_all(page, **{name: code})
    assert told in cells[name].shown
    assert turns(cells) == turns(lesson)
    assert cells[name].shown.count("answer ") >= lesson[name].shown.count("answer ")


def test_python(page: Page, server: Loopback) -> None:
    """What `mm.ask` added to a conversation is kept, too, under a warning."""
    page.run("import", "import mm_magic as mm")
    page.run("ask", "print(mm.ask('Why?', conversation='main'))")
    page.save(trusted=True)
    page.load("")
    asked = page.run("ask", "print(mm.ask('How?', conversation='main'))")
    assert "answer 1" in asked.shown
    assert CHANGED in asked.stdout
    assert len(server.requests) == 1


@pytest.mark.usefixtures("lesson")
def test_demo_only_where_it_was_chosen(page: Page) -> None:
    """New cells get the demo's answer, and all do after `%minimax offline`."""
    page.load("")
    cell = page.run("new", "%%minimax\nAnd in space?", allow_stdin=False)
    assert "Offline demo" in cell.shown
    page.run("offline", "%minimax offline")
    assert "Offline demo" in page.run("b", LESSON["b"], allow_stdin=False).shown


@pytest.mark.usefixtures("lesson")
def test_replay_without_a_key(page: Page) -> None:
    """What a recording lacks comes from the notebook; an edited cell keeps its answer; a new one
    is an error as ever."""
    file = page.path.with_name("lesson.jsonl")
    page.run("fill", f"%minimax replay {file} --fill")
    page.run("a", LESSON["a"])
    page.load("")
    page.run("replay", f"%minimax replay {file}")
    cells = run_all(page, b="%%minimax -o found\nAnd by day?")
    assert "recorded" in cells["a"].shown
    assert CHANGED in cells["b"].shown
    assert "answer 4" in cells["b"].shown
    assert "is not in" in page.run("new", "%%minimax\nAnd in space?").traceback


@pytest.mark.usefixtures("lesson")
def test_dry_run(page: Page) -> None:
    """It says that nothing is sent without a key."""
    page.load("")
    told = page.run("a", f"%%minimax --dry-run\n{LESSON['a'].splitlines()[1]}").shown
    assert "Nothing is sent: this notebook has the answer. With a key and `--fresh`, this" in told
    told = page.run("a", "%%minimax --dry-run\nWhy is it red?").shown
    assert (
        "Nothing is sent: this cell keeps its old answer. With a key, this would be sent:" in told
    )
    assert "Why is it red?" in told
    told = page.run("list", "%%minimax -t 0.1,1 --dry-run\nName a tone.").shown
    assert (
        "Nothing is sent: this cell keeps its old answer. With a key, this would be sent:" in told
    )


@pytest.mark.usefixtures("lesson")
def test_restore_one_turn(page: Page) -> None:
    """`%minimax restore N` includes one turn, in the file and the next kernel, too."""
    page.load("")
    run_all(page)
    shown = page.run("one", "%minimax restore 1").shown
    assert "Turn 1 is sent with each new prompt from now on." in shown
    assert "already sent" in page.run("again", "%minimax restore 1").traceback
    run_all(page)
    page.save(trusted=True)
    page.load("")
    history = page.run("history", "%minimax history").shown
    assert history.count("shown, not sent") == 2
    assert "a new cell sends 1 earlier turn" in history


def test_another_server(page: Page, server: Loopback) -> None:
    """Where another kind of server would be asked, the line names both."""
    page.run("a", "%%minimax\nWhy?")
    page.save(trusted=True)
    page.path.write_text(page.path.read_text().replace('"backend": "url"', '"backend": "minimax"'))
    page.load(server.url)
    shown = page.run("a", "%%minimax --reuse\nWhy?").shown
    assert "MiniMax gave this answer; now, your own server would answer." in shown


@pytest.mark.parametrize("line", ["", " --fill"])
def test_recording_comes_first(page: Page, server: Loopback, line: str) -> None:
    """Without a key a recorded answer comes before the notebook's, with `--fresh`, too."""
    file = page.path.with_name("lesson.jsonl")
    page.run("a", LESSON["a"])
    page.save(trusted=True)
    page.run("fill", f"%minimax replay {file} --fill")
    assert "answer 2" in page.run("a", LESSON["a"]).shown
    page.load("")
    page.run("fill", f"%minimax replay {file}{line}")
    for options in ("", " --fresh"):
        shown = page.run("a", LESSON["a"].replace("%%minimax", f"%%minimax{options}")).shown
        assert "answer 2" in shown
    assert len(server.requests) == 2


def test_confirmation(page: Page) -> None:
    """What a cell keeps is not asked for, so nobody has to confirm it."""
    page.ask("n", options="-n 3")
    page.save(trusted=True)
    page.load("")
    page.run("limit", "%config MiniMax.confirm_above = 2")
    told = page.ask("n", "Name three.", options="-n 3 --dry-run").shown
    assert told.startswith("No requests: this cell keeps its old answers.\n")
    assert CHANGED in page.ask("n", "Name three.", options="-n 3").shown


@pytest.mark.parametrize("prompt", ["", "Changed"])
def test_pick_of_what_is_kept(page: Page, prompt: str) -> None:
    """A new cell picks from the cell that ran last, whether that kept its old answers or not."""
    page.ask("a", options="-n 2")
    page.ask("b", options="-n 2")
    page.save(trusted=True)
    page.load("")
    page.ask("a", prompt, options="-n 2")
    assert "Turn 1 (“prompt a”) now uses answer 2." in page.run("new", "%minimax pick 2").shown
