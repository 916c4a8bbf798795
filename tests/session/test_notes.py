"""What is told once, is told: also below a request that fails, and in the right words."""

import asyncio
from dataclasses import replace

import pytest
from support.asks import ask_of
from support.loopback import Loopback, failure, streamed
from support.replays import to_end
from support.shells import fresh_shell

import mm_magic as mm
from mm_magic.session.notes import UNDO_DELETION
from mm_magic.session.options import Options
from mm_magic.session.session import Session

SIDE = Options(conversation="my side", retries=0)


def test_note_below_a_refused_cell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell whose request is refused still shows the note that will not come again."""
    with Loopback(failure(400, "no (2013)", "invalid_request_error"), streamed()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        with fresh_shell() as shell:
            shell.error("%%minimax --max-tokens 5000\nWhy?")
            first = capsys.readouterr().out
            shell.run("%%minimax --max-tokens 5000\nWhy?")
            second = capsys.readouterr().out
    assert "max_tokens 5000 is above 2048," in first
    assert "max_tokens 5000" not in second


def test_note_of_a_failed_call() -> None:
    """A call from Python that fails warns of what a cell would note."""
    with Loopback(failure(400, "no (2013)", "invalid_request_error")) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        with pytest.warns(UserWarning, match="max_tokens 5000"), pytest.raises(mm.MiniMaxError):
            asyncio.run(session.turns.ask("Why?", Options(max_tokens=5000, retries=0), alone=True))


def test_note_of_a_model_that_always_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of MiniMax's model it is said once, even if it can't be reached."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody is there
    session = Session({"MINIMAX_API_KEY": "sk-not-a-key-at-all"})
    ask = Options(thinking="disabled", retries=0)
    session.cells.begin("a")
    runs = [session.turns.start(ask_of("Why?", ask, alone=True), is_drawn=True) for _ in "ab"]
    for run in runs:
        with pytest.raises(mm.NetworkError):
            asyncio.run(to_end(session, run))
    told = "MiniMax-M2.7 always thinks; `--thinking disabled` changes nothing."
    assert [run.notes.count(told) for run in runs] == [1, 0]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("my side", '`%minimax -c "my side"`'),
        ("-x", "`%minimax --conversation=-x`"),
        ("a\nb", "choose its conversation in `%minimax panel`"),
    ],
)
def test_hidden_turn_of_another_conversation(name: str, way: str) -> None:
    """The note tells how to come to the conversation in which `restore` finds the turn."""
    with Loopback(streamed()) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        session.cells.begin("a")
        asyncio.run(session.turns.ask("Why?", replace(SIDE, conversation=name), alone=False))
        session.cells.begin("b", deleted=["a"])
        with pytest.warns(UserWarning, match="is not sent") as warned:
            asyncio.run(session.turns.ask("How?", Options(retries=0), alone=False))
    assert [str(each.message) for each in warned] == [
        f"Turn 1 of {name} is not sent: its cell was deleted. To bring it back: "
        f"{way}, then `%minimax restore 1`, or {UNDO_DELETION}."
    ]


def test_hidden_turns_of_one_cell() -> None:
    """One sentence tells of all turns of a deleted cell."""
    with Loopback(streamed()) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        session.cells.begin("a")
        for _ in range(3):
            asyncio.run(session.turns.ask("Why?", Options(retries=0), alone=False))
        session.cells.begin("b", deleted=["a"])
        with pytest.warns(UserWarning, match="not sent") as warned:
            asyncio.run(session.turns.ask("How?", Options(retries=0), alone=False))
    assert [str(each.message) for each in warned] == [
        "Turns 1 to 3 are not sent: their cell was deleted. To bring them back: "
        f"`%minimax restore N`, or {UNDO_DELETION}."
    ]


@pytest.mark.parametrize("way", ["runs again", "is restored"])
def test_turn_that_is_sent_again_is_not_told_as_hidden(way: str) -> None:
    """A turn that was hidden and came back before the next answer is not told of."""
    with Loopback(streamed()) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        session.cells.begin("a")
        asyncio.run(session.turns.ask("Why?", SIDE, alone=False))
        session.cells.begin("b", deleted=["a"])
        if way == "runs again":
            session.cells.begin("a")
        else:
            session.conversations.bring_back("my side", 1)
        asyncio.run(session.turns.ask("Why?", SIDE, alone=False))  # a warning would be an error
    assert not any(turn.is_hidden for turn in session.conversations.named("my side").turns)
