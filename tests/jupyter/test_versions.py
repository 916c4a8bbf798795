"""Former answers of a cell that ran again: `%minimax diff` and `restore N --version K`."""

import json
from typing import Any

import pytest
from support.kernels import TURN, Cell, Kernel
from support.loopback import Connection, Loopback, captured, failure, streamed
from support.pages import Page, sent
from support.printed import on_one_line


def shown(cell: Cell) -> str:
    assert cell.status == "ok", cell.traceback
    return cell.shown.strip()


def in_file(page: Page) -> str:
    page.save()
    return page.path.read_text("utf-8")


def test_line_under_a_cell_that_ran_again(page: Page) -> None:
    """It counts the earlier answers, the last three at most, and names the turn if it must."""
    assert "earlier" not in shown(page.ask("a")).partition("\n")[0]
    assert shown(page.ask("a")).endswith("1 earlier answer; to compare: `%minimax diff`")
    assert shown(page.ask("a")).endswith("2 earlier answers; to compare: `%minimax diff`")
    page.ask("b")
    page.ask("c", options="-c side")
    told = shown(page.ask("a"))
    assert "3 earlier answers; to compare: `%minimax diff 1`" in told
    assert "3 earlier answers; to compare: " in shown(page.ask("a"))
    told = shown(page.ask("c", options="-c side"))
    assert told.endswith("1 earlier answer; to compare: `%minimax -c side`, then `%minimax diff 1`")


def test_diff_compares_with_the_answer_before(page: Page) -> None:
    """Without a number it is the last turn, with its newest former answer; both words stand."""
    page.ask("a")
    page.ask("b")
    page.ask("b")
    cell = page.run("d", "%minimax diff")

    assert shown(cell) == (
        "Turn 2, from version 1 to version 2: [-1 word removed-], {+1 word added+}\n\n"
        "answer [-2-]{+3+}\nTo bring version 1 back: `%minimax restore 2 --version 1`"
    )
    html = cell.displays[0]["text/html"]
    assert "answer <del" in html
    assert html.index(">2</del>") < html.index(">3</ins>")
    assert TURN not in str(cell.displays)


def test_diff_with_each_version(page: Page) -> None:
    """Versions are counted from the first answer on, and keep their numbers."""
    for _ in range(5):
        page.ask("a")
    told = shown(page.run("d", "%minimax diff 1"))

    assert told.startswith("Turn 1, from version 4 to version 5:")
    assert "Earlier versions: 2 to 4." in told
    assert "answer [-2-]{+5+}" in shown(page.run("d", "%minimax diff 1 --version 2"))
    error = page.run("d", "%minimax diff 1 --version 1").traceback
    assert "turn 1 has no earlier version 1; earlier versions: 2 to 4" in error
    assert "`%minimax diff 1 --version 4`" in error
    error = page.run("d", "%minimax diff 1 --version 5").traceback
    assert "version 5 is the answer that turn 1 has now" in error


def test_same_text_is_no_new_version(page: Page) -> None:
    """The same text again is the same version, whether it is the last one or an earlier one."""
    texts = ["Blue.", "Blue.", "Red.", "Blue.", "Green."]
    with Loopback(*(streamed(captured(text=text)) for text in texts)) as server:
        page.load(server.url)
        page.ask("a")
        assert "earlier" not in shown(page.ask("a"))
        assert "1 earlier answer;" in shown(page.ask("a"))
        assert "1 earlier answer;" in shown(page.ask("a"))
        assert "from version 2 to version 1:" in shown(page.run("d", "%minimax diff"))
        assert "2 earlier answers;" in shown(page.ask("a"))
        assert "from version 1 to version 3:" in shown(page.run("d", "%minimax diff"))


def test_failed_run_makes_no_version(page: Page) -> None:
    """An answer that did not come changes nothing; the former ones stay."""
    page.ask("a")
    page.ask("a")
    with Loopback(failure(401, "no")) as server:
        page.run("url", f"%env MINIMAX_BASE_URL={server.url}")
        assert page.ask("a").status == "error"
    assert "answer [-1-]{+2+}" in shown(page.run("d", "%minimax diff"))


def test_another_prompt_is_told(page: Page) -> None:
    """Where the cell was edited meanwhile, the prompt of the former answer stands beside it."""
    page.ask("a", "Name a lake.")
    page.ask("a", "Name a river.")
    told = shown(page.run("d", "%minimax diff"))

    assert "Version 1 answers a different prompt: “Name a lake.”" in told


def test_one_answer_only(page: Page) -> None:
    """Where there is nothing to compare, a sentence says what to do, and Run All goes on."""
    page.ask("a")
    told = shown(page.run("d", "%minimax diff"))
    assert told == (
        "Turn 1 has only one answer. To compare, run its cell again and then run "
        "`%minimax diff 1`, or ask for two answers with `%%minimax -n 2`."
    )
    page.ask("b", options="--alone")
    assert "With --alone no earlier answers are kept." in shown(page.run("d", "%minimax diff"))


def test_nothing_to_compare_yet(page: Page) -> None:
    """Before the first turn it is an error, as with `%minimax show`."""
    for line in ("%minimax diff", "%minimax show"):
        told = page.run("d", line).traceback
        assert "there are no turns yet" in told
        assert "→ Ask something first: write `%%minimax`" in told


def test_diff_of_a_compare(page: Page) -> None:
    """Right after a cell with several answers it compares answers 1 and 2; `--answer` others."""
    page.ask("a", options="-t 0.1,0.5,1 --alone")
    cell = page.run("d", "%minimax diff")
    told = shown(cell)
    assert told.startswith("From answer 1 (-t 0.1) to answer 2 (-t 0.5): ")
    assert "To compare answer 1 with another one: `%minimax diff --answer K`" in told
    told = shown(page.run("d", "%minimax diff --answer 3"))
    assert told.startswith("From answer 1 (-t 0.1) to answer 3 (-t 1): ")
    error = on_one_line(page.run("d", "%minimax diff --answer 1").traceback)
    assert "answer 1 is the one that the others are compared with; other answers: 2 and 3" in error
    assert "`%minimax diff --answer 2`" in error
    assert "has no answer 7" in page.run("d", "%minimax diff --answer 7").traceback


def test_compare_that_ran_again(page: Page) -> None:
    """Its former answer comes first; the answers that it has now are one option away."""
    page.ask("a", options="-n 2")
    assert "1 earlier answer; to compare: `%minimax diff`" in shown(page.ask("a", options="-n 2"))
    told = shown(page.run("d", "%minimax diff"))
    assert told.startswith("Turn 1, from version 1 to version 2: ")
    assert "the answers that the cell has now: `%minimax diff 1 --answer K`" in told
    told = shown(page.run("d", "%minimax diff 1 --answer 2"))
    assert told.startswith("Turn 1, from answer 1 to answer 2: ")


def test_version_and_answer_together(page: Page) -> None:
    """They are refused, with the line that works."""
    page.ask("a")
    page.ask("a")
    error = page.run("d", "%minimax diff --version 1 --answer 2").traceback
    assert "`%minimax diff 1 --version 1`" in error


def test_restore_a_version(page: Page, server: Loopback) -> None:
    """It stands in the place of the turn, is drawn and is sent; later turns become outdated."""
    page.ask("a")
    page.ask("a")
    page.ask("b")
    cell = page.run("r", "%minimax restore 1 --version 1")
    told = shown(cell)

    assert told.startswith("Turn 1: prompt a\n")
    assert "\nanswer 1\n" in told
    assert "Turn 1 is back to version 1 of its answer." in told
    assert "To undo this: `%minimax restore 1 --version 2`" in told
    assert "Turn 2 is outdated: an earlier turn has changed since." in told
    page.ask("c")
    assert sent(server) == ["a", "1", "b", "3", "c"]
    assert "answer [-2-]{+1+}" in shown(page.run("d", "%minimax diff 1"))


def test_undo_of_a_restored_version(page: Page, server: Loopback) -> None:
    """The line that it gives brings the other one back, and nothing is outdated any more."""
    page.ask("a")
    page.ask("a")
    page.ask("b")
    page.run("r", "%minimax restore 1 --version 1")
    told = shown(page.run("r", "%minimax restore 1 --version 2"))

    assert "outdated" not in told
    page.ask("b")
    assert sent(server) == ["a", "2", "b"]


@pytest.mark.parametrize(
    ("line", "error", "step"),
    [
        ("1 --version 7", "no earlier version 7; earlier versions: 1", "restore 1 --version 1"),
        ("1 --version 2", "version 2 is the answer that turn 1 has now", "restore 1 --version 1"),
        ("2 --version 1", "turn 2 has no earlier answers in this kernel", "Run its cell again"),
        ("9 --version 1", "has no turn '9'", ""),
        ("--version 1", "--version needs the number of a turn", "restore N --version 1"),
        ("1 --version x", "version must be a whole number, got 'x'", ""),
    ],
)
def test_versions_that_are_not_there(page: Page, line: str, error: str, step: str) -> None:
    """The error says which versions there are, with the line that works; nothing changes."""
    page.ask("a")
    page.ask("a")
    page.ask("b")
    told = page.run("r", f"%minimax restore {line}").traceback

    assert error in told
    assert step in told


def test_forgotten_turn_keeps_its_versions(page: Page) -> None:
    """`forget` and `reset` take them along with the turn, and `restore` brings them back."""
    page.ask("a")
    page.ask("a")
    page.run("f", "%minimax forget 1")
    assert "has no turns" in page.run("d", "%minimax diff 1").traceback
    page.run("r", "%minimax restore 1")
    assert "answer [-1-]{+2+}" in shown(page.run("d", "%minimax diff 1"))
    page.run("f", "%minimax reset")
    page.run("r", "%minimax restore")
    assert "answer [-1-]{+2+}" in shown(page.run("d", "%minimax diff"))


def test_no_former_answer_in_the_file(page: Page) -> None:
    """A text that the user ran again to get rid of is in no output of the saved notebook."""
    page.ask("a")
    page.ask("a")
    page.ask("b")
    page.run("h", "%minimax history")
    page.run("s", "%minimax show 1")

    assert "answer 1" not in in_file(page)
    page.run("d", "%minimax diff 1")
    file = json.loads(in_file(page))
    kept = [
        output["data"].get(TURN)
        for cell in file["cells"]
        for output in cell["outputs"]
        if "data" in output
    ]
    assert "answer 1" not in json.dumps(kept)
    assert kept.count(None) < len(kept)


def test_restart_forgets_them(page: Page, server: Loopback) -> None:
    """A new kernel knows the answers of the file alone."""
    page.ask("a")
    page.ask("a")
    page.save()
    page.load(server.url)

    assert "Turn 1 has only one answer." in shown(page.run("d", "%minimax diff 1"))


def saved(cell: Cell) -> list[Any]:
    return [bundle[TURN] for bundle in cell.displays if TURN in bundle]


def test_restored_version_is_saved_once(page: Page) -> None:
    """The restoring cell holds what it drew, and the turn's JSON one time."""
    page.ask("a")
    page.ask("a")
    cell = page.run("r", "%minimax restore 1 --version 1")

    (record,) = saved(cell)
    assert [turn["copy"] for turn in record["turns"]] == [True]


@pytest.mark.parametrize(
    "lines",
    [
        ["1 --version 1"],
        ["1 --version 1", "1 --version 3"],
        ["1 --version 1", "1 --version 3", "1 --version 2"],
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_restart_after_a_restored_version(
    page: Page, server: Loopback, lines: list[str], trusted: bool
) -> None:
    """The file restores what the kernel sent, and the cell still has its place."""
    for name in "aaab":
        page.ask(name)
    for number, line in enumerate(lines):
        page.run(f"r{number}", f"%minimax restore {line}")
    page.ask("c")
    before = sent(server)
    page.save(trusted=trusted)
    page.load(server.url)
    if not trusted:
        page.run("restore", "%minimax restore")
        page.save(trusted=False)
        told = shown(page.run("restore", "%minimax restore"))
        assert "not on its page" not in told
    page.ask("c")
    assert sent(server) == before
    page.ask("a", "changed")
    assert sent(server) == ["changed"]
    page.ask("c")
    assert sent(server)[::2] == ["changed", "b", "c"]
    last = sent(server)
    page.save(trusted=True)
    page.load(server.url)
    page.ask("c")
    assert sent(server) == last


def test_a_sentence_shows_the_line_to_type_as_code(page: Page) -> None:
    """What `forget` and `reset` say has its lines as code on the page, as a note has."""
    page.ask("a")
    page.ask("b")
    page.ask("c")
    for command, line in (("forget 1", "%minimax restore 1"), ("reset", "%minimax restore")):
        html = page.run("f", f"%minimax {command}").displays[0]["text/html"]
        assert f"<code>{line}</code>" in html
        assert "`" not in html


def test_version_restored_after_another_one_in_the_file(page: Page, server: Loopback) -> None:
    """A turn with a restored answer stays its cell's, also where an older one is further down."""
    page.run("another", "")
    page.ask("a")
    page.ask("a")
    page.run("first", "%minimax restore 1 --version 1")
    page.ask("a")
    page.ask("a")
    page.run("another", "%minimax restore 1 --version 3")
    page.save()
    page.load(server.url)
    page.ask("b")
    assert sent(server) == ["a", "3", "b"]

    page.ask("a")
    assert sent(server) == ["a"]
    assert "turn 1 " in shown(page.ask("a"))


def test_answer_that_comes_back_twice_is_no_other_turn(page: Page, server: Loopback) -> None:
    """After a pick, a version and its undoing, no turn is said to be left out."""
    page.ask("a", options="-n 2")
    page.run("p", "%minimax pick 2")
    page.ask("a", options="-n 2")
    page.run("one", "%minimax restore 1 --version 1")
    page.run("two", "%minimax restore 1 --version 2")
    page.save()
    told = page.load(server.url)
    assert "This file holds 1 turn, saved " in told
    assert "left out" not in told


def test_same_answer_twice_after_a_restored_version(process: Kernel, page: Page) -> None:
    """The answer of the last run is resumed, also where it came a second time."""
    texts = "blue", "red", "red", "red", "green"
    with Loopback(*(streamed(captured(text=text)) for text in texts)) as server:
        process.run(f"%env MINIMAX_BASE_URL={server.url}")
        page.ask("a")
        page.ask("a")
        page.run("r", "%minimax restore 1 --version 1")
        page.ask("a")
        page.ask("a")
        page.save()
        page.load(server.url)
        page.ask("b")
        assert sent(server) == ["a", "red", "b"]


def said_back(connection: Connection) -> None:
    """An answer that says its temperature: it does not depend on who comes first."""
    temperature = connection.request.json["temperature"]
    for step in streamed(captured(text=f"at {temperature}")):
        step(connection)


def test_picked_answer_with_the_text_of_a_version(process: Kernel, page: Page) -> None:
    """The same text again is the same version, also where it stood there by a pick."""
    with Loopback(said_back) as server:
        process.run(f"%env MINIMAX_BASE_URL={server.url}")
        page.ask("a", options="-t 0.1,1")
        page.ask("a", options="-t 1,0.1")
        page.run("p", "%minimax pick 2")
        assert "earlier answer" not in shown(page.ask("a", options="-t 0.1"))
