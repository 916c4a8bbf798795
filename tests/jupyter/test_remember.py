"""What a conversation remembers, in a real kernel: history, show, forget, reset, restore N."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.kernels import TURN, Cell, Kernel
from support.loopback import (
    END,
    Loopback,
    captured,
    delta,
    failure,
    head,
    numbered,
    pause,
    sse,
    stall,
    streamed,
)
from support.loopback import chunk as chunk_of
from support.pages import Page
from support.printed import on_one_line


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Its answers are "answer 1", "answer 2" and so on."""
    with Loopback(*numbered()) as server:
        yield server


@pytest.fixture
def kernel(process: Kernel, server: Loopback) -> Kernel:
    """The module's kernel, with nothing remembered."""
    process.fresh(server.url)
    return process


def ask(kernel: Kernel, cell: str, prompt: str = "", **more: Any) -> Cell:
    return kernel.run(f"%%minimax\n{prompt or f'prompt {cell}'}", cell_id=cell, **more)


def sent(server: Loopback, number: int = -1) -> list[str]:
    """The texts of one request, in order."""
    texts = []
    for message in server.requests[number].json["messages"]:
        content = message["content"]
        texts += (
            [content]
            if isinstance(content, str)
            else [b["text"] for b in content if b["type"] == "text"]
        )
    return texts


def rows(cell: Cell) -> list[list[str]]:
    """The table of `%minimax history`, without its heading: its columns by two spaces or more."""
    lines = cell.shown.strip().split("\n")
    return [[part.strip() for part in line.split("  ") if part.strip()] for line in lines[1:]]


def test_history_is_a_readable_table(kernel: Kernel) -> None:
    """One row a turn: number, state, cell, prompt, answer, model, tokens; then what is sent."""
    ask(kernel, "a")
    b = ask(kernel, "b", "  A long prompt\n" + "word " * 50)
    cell = kernel.run("%minimax history", cell_id="h")

    (bundle,) = cell.displays
    first, second, last = rows(cell)
    assert first[0] == "1"
    assert second[2] == f"[{b.reply['execution_count']}]"
    assert first[1] == "sent"
    assert first[3:] == ["prompt a", "answer 1", "MiniMax-M2.7", "39 in / 41 out"]
    assert second[3] == "A long prompt word word word wo…"
    assert last == ["Conversation main: a new cell sends 2 earlier turns with its prompt."]
    assert bundle["text/html"].count("<tr>") == 3
    assert TURN not in bundle


def test_history_names_the_demo_in_one_column(process: Kernel) -> None:
    """The excerpt of a demo's answer begins behind the demo's name."""
    process.fresh()
    process.run("%%minimax\nWhy?", cell_id="a")
    process.run("%%minimax\ndemo maths", cell_id="b")

    first, second = (row[4:6] for row in rows(process.run("%minimax history"))[:2])

    assert first == ["it echoes your request and shows what c…", "offline demo"]
    assert "emo" not in second[0]


def test_history_without_turns_is_a_sentence(kernel: Kernel) -> None:
    """Where nothing is remembered yet, or any more, history says so, and draws no table."""
    none = "Conversation main has no turns."
    assert kernel.run("%minimax history").shown.strip() == none
    ask(kernel, "a")
    kernel.run("%%minimax -c side\nHi", cell_id="b")
    kernel.run("%minimax reset", cell_id="r")

    cell = kernel.run("%minimax history")

    assert cell.shown.strip() == f"{none}\nOther conversations: side"
    assert "<table" not in cell.displays[0]["text/html"]


def test_history_counts_whole_answers_only(process: Kernel, tmp_path: Path) -> None:
    """What a server counts before the end is a guess: a stopped turn has no count, nor later."""
    events = captured(text="Ray")
    events[0]["message"]["usage"] = {"input_tokens": 2, "output_tokens": 0}
    uncounted = [event for event in captured() if event["type"] != "message_delta"]
    uncounted[0]["message"]["usage"] = {}
    answers = ([head(), chunk_of(sse(*events[:8])), stall], streamed(uncounted), streamed())
    with Loopback(*answers) as server:
        page = Page(tmp_path / "talk.ipynb", tmp_path / "data", process)
        process.fresh(server.url)
        page.ask("a", when=lambda cell: "Ray" in str(cell.messages))
        page.ask("b")
        page.ask("c")
        before = rows(process.run("%minimax history"))
        page.save()
        process.fresh(server.url)
        process.run(f"%minimax restore {page.path}")
        after = rows(process.run("%minimax history"))

    for stopped, unknown, known, _ in (before, after):
        assert (stopped[1], stopped[-1]) == ("sent, stopped", "—")
        assert unknown[-1] == "—"
        assert known[-1] == "39 in / 41 out"


def test_later_turns_are_marked(kernel: Kernel) -> None:
    """A turn that was made with an older answer above says so, until it runs again."""
    for name in "abc":
        ask(kernel, name)
    note = (
        "Turns 2 and 3 are outdated: an earlier turn has changed since. "
        "Run their cells again, in order."
    )
    assert note in ask(kernel, "a", "changed").shown
    history = kernel.run("%minimax history")
    assert [row[1] for row in rows(history)[:3]] == ["sent", *["sent, outdated"] * 2]
    assert history.shown.count(note) == 1

    assert "outdated" not in ask(kernel, "b").shown
    history = kernel.run("%minimax history")
    assert [row[1] for row in rows(history)[:3]] == ["sent", "sent", "sent, outdated"]
    assert "Turn 3 is outdated: an earlier turn has changed since. Run its cell" in history.shown


def test_note_lists_all_outdated_turns(kernel: Kernel) -> None:
    """A note that names a turn that became outdated names those that were so before, too."""
    ask(kernel, "a")
    ask(kernel, "b")
    assert "Turn 2 is outdated" in ask(kernel, "a", "changed").shown
    ask(kernel, "c")
    ask(kernel, "d")
    assert "Turns 2 to 4 are outdated" in ask(kernel, "a", "changed again").shown
    assert "Turns 2 to 4 are outdated" in kernel.run("%minimax history").shown
    ask(kernel, "c")
    ask(kernel, "d")
    assert "Turns 2 and 4 are outdated" in ask(kernel, "c", "changed").shown


def test_note_is_not_repeated_below_each_cell_of_a_run(kernel: Kernel) -> None:
    """Where all cells run in order after a change, only the first one says what is outdated."""
    for name in "abc":
        ask(kernel, name)
    assert "Turns 2 and 3 are outdated" in ask(kernel, "a", "changed").shown
    assert "outdated" not in ask(kernel, "b").shown
    assert "outdated" not in ask(kernel, "c").shown


def test_turn_of_a_deleted_cell_is_hidden_and_comes_back(kernel: Kernel, server: Loopback) -> None:
    """A deleted cell's turn is not sent, the next line says so, and `restore N` undoes it."""
    for name in "abc":
        ask(kernel, name)
    note = (
        "Turn 2 is not sent: its cell was deleted. To bring it back: `%minimax restore 2`, or "
        "undo the deletion (Edit > Undo Cell Operation) and run the cell."
    )

    assert note in ask(kernel, "d", deleted=["b"]).shown
    assert sent(server) == ["prompt a", "answer 1", "prompt c", "answer 3", "prompt d"]
    assert note not in ask(kernel, "e").shown
    table = rows(kernel.run("%minimax history"))
    assert table[1][1] == "not sent: its cell was deleted"
    assert table[-1][0].startswith("To bring turn 2 back: `%minimax restore 2`, or undo the ")

    restored = kernel.run("%minimax restore 2", cell_id="r")
    told = "Turn 2 is back in its old place and is sent with each new prompt."
    assert restored.shown.strip() == told
    ask(kernel, "f")
    assert sent(server)[2:4] == ["prompt b", "answer 2"]
    assert "is already sent" in kernel.run("%minimax restore 2").traceback


def test_running_a_deleted_cell_brings_its_turn_back_in_place(
    kernel: Kernel, server: Loopback
) -> None:
    """A cell that was cut and pasted is reported as deleted; when it runs, its place is its own."""
    for name in "ab":
        ask(kernel, name)
    cell = ask(kernel, "a", "again", deleted=["a"])
    assert "deleted" not in cell.shown
    assert sent(server) == ["again"]
    ask(kernel, "c", deleted=["b"])
    ask(kernel, "b", "once more")
    assert sent(server) == ["again", "answer 3", "once more"]
    ask(kernel, "d")
    assert sent(server)[::2] == ["again", "once more", "prompt c", "prompt d"]


def test_forget_and_reset(kernel: Kernel, server: Loopback) -> None:
    """`forget N` drops one turn, `reset` all; numbers go on, and the file is told of both."""
    for name in "abc":
        ask(kernel, name)
    forgotten = kernel.run("%minimax forget 2", cell_id="f")
    assert forgotten.shown.strip() == (
        "Conversation main: turn 2 was forgotten. The answers stay on the page. To undo this: "
        "`%minimax restore 2` (works until the kernel ends)."
    )
    state = forgotten.saved["states"]["main"]
    assert (state["gone"], state["changes"]) == ([[2, 2]], 1)
    assert "turn 4, 2 earlier sent" in ask(kernel, "b").shown

    reset = kernel.run("%minimax reset", cell_id="r")
    assert "turns 1, 3 and 4 were forgotten" in reset.shown
    assert reset.saved["states"]["main"]["gone"] == [[1, 4]]
    assert "turn 5 ·" in ask(kernel, "a").shown
    assert sent(server) == ["prompt a"]
    assert "has no turns" in kernel.run("%minimax reset\n%minimax reset").traceback


def test_reset_is_undone(kernel: Kernel, server: Loopback) -> None:
    """`restore` right after `forget` or `reset` brings back what was forgotten, the last first."""
    for name in "abcd":
        ask(kernel, name)
    ask(kernel, "b", deleted=["c"])
    kernel.run("%minimax forget 1", cell_id="f")
    reset = kernel.run("%minimax reset", cell_id="r", deleted=["d"])
    assert "To undo this: `%minimax restore` now, or `%minimax restore N` until" in reset.shown

    back = kernel.run("%minimax restore", cell_id="u")
    assert back.shown.strip() == "Conversation main: turns 2 to 4 were restored."
    assert back.saved["states"]["main"]["hidden"] == [[3, 4]]
    assert [turn["number"] for turn in back.saved["turns"]] == [2, 3, 4]
    assert "turn 1 was restored" in kernel.run("%minimax restore", cell_id="u").shown
    assert (
        "can't tell which file this notebook is saved in"
        in kernel.run("%minimax restore", cell_id="u").traceback
    )
    ask(kernel, "e")
    assert sent(server)[::2] == ["prompt a", "prompt b", "prompt e"]


def test_forgotten_turn_comes_back_by_number(kernel: Kernel, server: Loopback) -> None:
    """`restore N` brings back a forgotten turn until the kernel ends, however much ran since."""
    for name in "abc":
        ask(kernel, name)
    kernel.run("%minimax reset", cell_id="r")
    ask(kernel, "d")
    assert (
        "can't tell which file this notebook is saved in"
        in kernel.run("%minimax restore", cell_id="u").traceback
    )
    told = kernel.run("%minimax show 2", cell_id="v").traceback
    assert "→ Turn 2 was forgotten; to bring it back: `%minimax restore 2`" in told
    restored = kernel.run("%minimax restore 2", cell_id="u")
    told = "Turn 2 is back in its old place and is sent with each new prompt."
    assert restored.shown.strip() == told
    ask(kernel, "e")
    assert sent(server)[::2] == ["prompt b", "prompt d", "prompt e"]
    ask(kernel, "b", "again")
    assert sent(server) == ["again"]
    assert "has no turn '9'" in kernel.run("%minimax restore 9").traceback


def test_forgotten_turn_whose_cell_has_another_stays_out(kernel: Kernel, server: Loopback) -> None:
    """A cell has one turn: where it ran since, the error names the turn to forget first."""
    for name in "ab":
        ask(kernel, name)
    kernel.run("%minimax forget 1", cell_id="f")
    kernel.run("%%minimax -c side\nnew", cell_id="a")

    refused = kernel.run("%minimax restore 1", cell_id="u").traceback
    assert "turn 1 can't be restored: its cell has since made turn 1 of side" in on_one_line(
        refused
    )
    assert "`%minimax -c side`, then `%minimax forget 1`" in refused
    kernel.run("%minimax -c side\n%minimax forget 1\n%minimax -c main", cell_id="f")
    kernel.run("%minimax restore 1", cell_id="u")
    ask(kernel, "c")
    assert sent(server)[::2] == ["prompt a", "prompt b", "prompt c"]


def test_undo_in_another_conversation(kernel: Kernel) -> None:
    """After `reset NAME` the line says how to come to the conversation of `restore N`."""
    kernel.run("%%minimax -c 'my talk'\nHi", cell_id="b")
    reset = kernel.run("%minimax reset 'my talk'", cell_id="r")
    assert reset.shown.strip().endswith(
        "To undo this: `%minimax restore` now, or "
        '`%minimax -c "my talk"`, then `%minimax restore 1` until the kernel ends.'
    )
    assert "my talk: turn 1 was restored" in kernel.run("%minimax restore", cell_id="u").shown


def test_forget_without_a_number_takes_the_last(kernel: Kernel) -> None:
    """`%minimax forget` drops the last turn."""
    for name in "ab":
        ask(kernel, name)
    assert "turn 2 was forgotten" in kernel.run("%minimax forget").shown
    assert "no turn '2'; its turns: 1" in kernel.run("%minimax forget 2").traceback


def test_named_conversations(kernel: Kernel, server: Loopback) -> None:
    """history and reset take a name; each conversation has numbers of its own."""
    ask(kernel, "a")
    kernel.run("%%minimax -c 'my talk'\nHi", cell_id="b")
    shown = kernel.run("%minimax history 'my talk'").shown
    assert "Hi" in shown
    assert "Other conversations: main" in shown
    assert "there is no conversation 'nope'" in kernel.run("%minimax history nope").traceback

    kernel.run("%minimax reset 'my talk'")
    ask(kernel, "c")
    assert sent(server)[0] == "prompt a"


def test_show_draws_a_turn_again(kernel: Kernel) -> None:
    """`show N` draws prompt, thinking, answer and status, and keeps the turn in the file."""
    first = ask(kernel, "a", "Why $x$ & <b>?")
    ask(kernel, "b")
    again = kernel.run("%minimax show 1", cell_id="s")

    prompt, thinking, answer, status = again.displays
    assert prompt["text/plain"] == "Turn 1: Why $x$ & <b>?"
    assert "<b>" not in prompt["text/html"]
    assert [thinking, answer] == first.displays[:2]
    assert status["text/plain"] == first.displays[2]["text/plain"]
    assert again.saved == {**first.saved, "copy": True, "state": again.saved["state"]}
    assert kernel.run("%minimax show").displays[0]["text/plain"] == "Turn 2: prompt b"
    assert "no turn '9'" in kernel.run("%minimax show 9").traceback


@pytest.mark.parametrize("hide", ["", "--hide-thinking"])
@pytest.mark.parametrize("kinds", ["text thinking", "thinking text thinking"])
def test_thinking_that_comes_last_is_titled(process: Kernel, kinds: str, hide: str) -> None:
    """Thinking behind the text ends under the time that it took, on the page and in `show`."""
    start, end = captured()[0], captured()[-2:]
    steps = [head(), chunk_of(sse(start))]
    for place, kind in enumerate(kinds.split()):
        event = delta(place, f"{kind}_delta", **{kind: f"some {kind} "})
        steps += [chunk_of(sse(event)), pause(0.2)]
    with Loopback([*steps, chunk_of(sse(*end)), END]) as server:
        process.fresh(server.url)
        *drawn, _ = process.run(f"%%minimax {hide}\nWhy?", cell_id="a").displays
        _, *again, _ = process.run("%minimax show").displays

    titles = [b["text/plain"] for b in drawn if b["text/plain"].startswith("Thinking (")]
    assert len(titles) == 1
    assert "(0.0 s)" not in titles[0]
    assert sorted(map(str, drawn)) == sorted(map(str, again))


def test_show_hides_the_thinking_that_its_cell_hid(kernel: Kernel) -> None:
    """`show N` draws hidden thinking as its cell did, also beside a turn that shows it."""
    hidden = kernel.run("%%minimax --hide-thinking\na", cell_id="a")
    ask(kernel, "b")

    again = kernel.run("%minimax show 1", cell_id="s")

    assert again.displays[1:3] == hidden.displays[:2]
    assert "hid" not in json.dumps(hidden.saved)
    assert "blue light" not in json.dumps([shown["text/html"] for shown in again.displays])
    assert "blue light" in kernel.run("%minimax show 2").displays[1]["text/html"]


def test_thinking_that_is_hidden_everywhere(kernel: Kernel) -> None:
    """Where the settings hide thinking, replies and turns that are shown later hide it, too."""
    ask(kernel, "a")
    shown = kernel.run("_").displays
    assert "blue light" in shown[0]["text/html"]

    kernel.run("%config MiniMax.hide_thinking = True")
    replies = kernel.run("_").displays
    turn = kernel.run("%minimax show 1").displays[1:3]
    kernel.run("%config MiniMax.hide_thinking = False")

    assert replies == turn
    assert "<details" not in replies[0]["text/html"]
    assert replies[1] == shown[1]
    assert kernel.run("_").displays == shown


def test_request_shows_what_was_and_what_would_be_sent(kernel: Kernel, server: Loopback) -> None:
    """`request N` is the body that was sent, and what running the cell again would send."""
    for name in "ab":
        ask(kernel, name)
    shown = kernel.run("%minimax request 2").shown
    assert json.loads(shown) == server.requests[1].json

    ask(kernel, "a", "changed")
    was, would = kernel.run("%minimax request 2").shown.split(
        "\nIf the cell ran again now, it would send:\n"
    )
    assert json.loads(was) == server.requests[1].json
    assert json.loads(would)["messages"][0] == {"role": "user", "content": "changed"}
    ask(kernel, "b")
    assert json.loads(would) == server.requests[3].json


def test_turns_asked_from_python(kernel: Kernel, server: Loopback) -> None:
    """Turns that a cell asks are its turns: kept in its outputs, replaced together, surplus too."""
    loop = "import mm_magic as mm\nfor n in range({}): mm.ask(f'q{{n}}', conversation='main')"
    cell = kernel.run(loop.format(3), cell_id="a")
    assert cell.shown.strip() == "Remembered: turns 1 to 3 of main."
    assert [turn["prompt"] for turn in cell.saved["turns"]] == ["q0", "q1", "q2"]

    kernel.run(loop.format(2), cell_id="a")
    ask(kernel, "b")
    assert sent(server) == ["q0", "answer 4", "q1", "answer 5", "prompt b"]
    kernel.run("1", cell_id="a")
    ask(kernel, "c")
    assert sent(server) == ["prompt b", "answer 6", "prompt c"]


def test_cell_that_fails_keeps_its_turns(process: Kernel) -> None:
    """A failed run changes nothing; its outputs carry the turn that the kernel still sends."""
    with Loopback(streamed(), failure(400, "no (2013)"), streamed()) as server:
        process.fresh(server.url)
        first = ask(process, "a", "good")
        failed = ask(process, "a", "bad")
        assert failed.status == "error"
        assert "Kept from an earlier run of this cell: turn 1 of main." in failed.shown
        (kept,) = failed.saved["turns"]
        assert kept == first.saved
        ask(process, "b")
        assert sent(server)[0] == "good"


def test_loop_that_fails_keeps_what_it_did_not_reach(process: Kernel) -> None:
    """Turns before the failure are replaced, those behind it stay; all are in the outputs."""
    answer = streamed(captured(text="x"))
    with Loopback(*[answer] * 4, failure(400, "no (2013)"), answer) as server:
        process.fresh(server.url)
        loop = "import mm_magic as mm\nfor n in range(3): mm.ask(f'{}{{n}}', conversation='main')"
        process.run(loop.format("old"), cell_id="a")
        failed = process.run(loop.format("new"), cell_id="a")
        assert [turn["prompt"] for turn in failed.saved["turns"]] == ["new0", "old1", "old2"]
        assert [turn.get("nth", 0) for turn in failed.saved["turns"]] == [0, 1, 2]
        ask(process, "b")
        assert sent(server)[::2] == ["new0", "old1", "old2", "prompt b"]


def test_cell_that_only_shows_keeps_its_turn(kernel: Kernel, server: Loopback) -> None:
    """`--dry-run` and `-h` in a cell leave its turn as it is, also in its outputs."""
    first = ask(kernel, "a")
    for option in ("--dry-run", "-h"):
        cell = kernel.run(f"%%minimax {option}\nprompt a", cell_id="a")
        assert cell.saved["turns"] == [first.saved]
    ask(kernel, "b")
    assert sent(server)[0] == "prompt a"


def test_stopped_turn_without_text_changes_nothing(process: Kernel) -> None:
    """A run that was stopped while it thought keeps the turn of before, also with `--alone`."""
    thinks = [head(), chunk_of(sse(*captured()[:4])), stall]
    with Loopback(streamed(), thinks, thinks, streamed()) as server:
        process.fresh(server.url)
        ask(process, "a")
        for options in ("", "--alone"):
            cell = process.run(
                f"%%minimax {options}\nother",
                cell_id="a",
                when=lambda cell: bool(cell.of("display_data")),
            )
            assert cell.ename == "Stopped"
            assert "Kept from an earlier run of this cell" in cell.shown
        ask(process, "b")
        assert sent(server)[0] == "prompt a"


def test_same_prompt_again_names_alone(kernel: Kernel) -> None:
    """The same prompt in another cell says how to compare without memory; a re-run does not."""
    note = "Same prompt as turn 1. With `--alone`, earlier turns do not influence the answer."
    assert note not in ask(kernel, "a", "Why?").shown
    assert note not in ask(kernel, "a", "Why?").shown
    assert note in ask(kernel, "b", "Why?").shown


def test_unfinished_thinking_is_never_sent(process: Kernel) -> None:
    """A turn that was stopped in its text goes back without a block that is cut off."""
    begun = [*captured()[:7], delta(1, "text_delta", text="Ray")]
    with Loopback([head(), chunk_of(sse(*begun)), stall], streamed()) as server:
        process.fresh(server.url)
        cell = ask(process, "a", when=lambda cell: "Ray" in str(cell.messages))
        assert cell.ename == "Stopped"
        ask(process, "b")
        (_, answer, _) = server.requests[1].json["messages"]
    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    assert answer["content"][1]["text"] == "Ray"


def test_demo_turns_are_told_apart(process: Kernel, server: Loopback) -> None:
    """A demo turn says in the table that it is not sent to a server."""
    process.fresh()
    process.run("import mm_magic as mm")
    process.run("mm.ask('Hi', conversation='main', thinking='disabled', max_tokens=3)")
    assert rows(process.run("%minimax history"))[0][1] == "sent"
    process.run(f"import os; os.environ['MINIMAX_BASE_URL'] = {server.url!r}")
    cell = process.run("%minimax history")
    assert rows(cell)[0][1] == "demo turn, not sent"
    assert "a new cell sends 0 earlier turns" in cell.shown
