"""Servers that refuse the thinking of earlier turns."""

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest
from support.asks import ask_of
from support.loopback import Loopback, failure, numbered
from support.replays import to_end

from mm_magic.errors import MiniMaxError
from mm_magic.session.options import Options
from mm_magic.session.replaying import Replaying
from mm_magic.session.run import Run
from mm_magic.session.session import Session
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import Recorder, begin

NOTE = "The server refused the thinking of earlier turns; they were sent without it."
REFUSALS = [
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant "
    "message cannot be modified",
    "messages.1.content.0.thinking.signature: Field required",
    "invalid params, thinking is not accepted (2013)",
]


def cell(session: Session, prompt: str) -> Run:
    run = session.turns.start(ask_of(prompt, Options(retries=0)), is_drawn=True)
    asyncio.run(to_end(session, run))
    return run


def carry_thinking(server: Loopback) -> list[bool]:
    """Whether each request that came carries thinking."""
    return [b'"type":"thinking"' in request.body for request in server.requests]


@pytest.mark.parametrize("message", REFUSALS)
def test_request_is_sent_again_without_thinking(message: str) -> None:
    """It is sent once more, which is said once; later requests go without it at once."""
    first, *rest = numbered(4)
    with Loopback(first, failure(400, message), *rest) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        runs = [cell(session, prompt) for prompt in ("one", "two", "three")]
        assert carry_thinking(server) == [False, True, False, False]
        assert [run.notes.count(NOTE) for run in runs] == [0, 1, 0]
        first_try, repeat = (request.json for request in server.requests[1:3])
        assert last(first_try) == last(repeat)
        assert runs[1].reply().text == "answer 2"


@pytest.mark.parametrize("status", [400, 200])
def test_refused_try_is_not_recorded(tmp_path: Path, status: int) -> None:
    """A recording holds the answer that came in the end, under the same request; it replays."""
    first, *rest = numbered(2)
    refusal = failure(status, REFUSALS[0], "invalid_request_error")
    with Loopback(first, refusal, *rest) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        begin(tmp_path / "r", "r")
        session.recordings.recorder = Recorder(tmp_path / "r", "r")
        cell(session, "one")
        cell(session, "two")
    recorded = read((tmp_path / "r").read_bytes(), "r").exchanges
    assert [exchange.ending for exchange in recorded] == ["complete", "complete"]
    again = Session({})
    again.replay(Replaying(Replay(recorded), "r", math.inf))
    assert [cell(again, prompt).reply().text for prompt in ("one", "two")] == [
        "answer 1",
        "answer 2",
    ]


def last(body: Any) -> Any:
    """The body without its earlier messages."""
    return body | {"messages": body["messages"][-1]}


@pytest.mark.parametrize(
    ("message", "requests"),
    [("thinking.type enabled is not supported", 3), ("no such thing (2013)", 2)],
)
def test_error_that_stays_is_shown(message: str, requests: int) -> None:
    """One repeat at most, and none where the words name no thinking; then the error is raised."""
    with Loopback(numbered(1)[0], failure(400, message)) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        cell(session, "one")
        with pytest.raises(MiniMaxError, match=message.partition(" (")[0]):
            cell(session, "two")
        assert len(server.requests) == requests


def test_refused_parameter_is_no_refused_history() -> None:
    """A request without earlier thinking is not sent again."""
    with Loopback(failure(400, "requires adaptive thinking (2013)")) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        with pytest.raises(MiniMaxError, match="adaptive"):
            cell(session, "one")
        assert len(server.requests) == 1
