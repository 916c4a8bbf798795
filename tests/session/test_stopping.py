"""A Stop at any moment of an answer: what stays is a conversation that goes on."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

import pytest
from support.asks import ask_of
from support.loopback import Connection, Loopback, chunk, head, stall
from support.wire import BEGIN, END, PING, STOP, delta, message, sse, start, text, thinking

from mm_magic.session.options import Options
from mm_magic.session.run import Run
from mm_magic.session.session import Session
from mm_magic.transport.demo.read_request import read_request
from mm_magic.transport.exchange import Exchange, Reads

OPTIONS = Options(model="MiniMax-M2.7", retries=0)
CLOSE = {"type": "content_block_stop"}
EVENTS: list[dict[str, Any]] = [
    BEGIN,
    PING,
    start(0, {"type": "thinking", "thinking": ""}),
    thinking(0, "The sky "),
    thinking(0, "scatters."),
    delta(0, "signature_delta", "signature", "5f" * 8),
    CLOSE | {"index": 0},
    start(1, {"type": "text", "text": ""}),
    text(1, "\n\n"),
    text(1, "Blue, "),
    text(1, "\ud83d"),
    text(1, "\ude00 as a rule."),
    CLOSE | {"index": 1},
    start(2, {"type": "thinking", "thinking": ""}),
    thinking(2, "And at "),
    thinking(2, "night?"),
    delta(2, "signature_delta", "signature", "6f" * 8),
    CLOSE | {"index": 2},
    start(3, {"type": "text", "text": ""}),
    text(3, " \n"),
    text(3, "Black."),
    CLOSE | {"index": 3},
    END,
    STOP,
]
FIRST_TEXT = 9  # the place of the first delta with more than white space


class Cut:
    """A backend that gives the first parts of a stream, each in a read of its own, and then waits.

    The user's Stop comes there.
    """

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.stop: Callable[[], None] = lambda: None

    def answer(self, _body: Mapping[str, object]) -> Exchange:
        return Exchange(200, {"content-type": "text/event-stream"}, self._reads())

    async def _reads(self) -> Reads:
        for part in self.parts:
            yield 0.0, part
        self.stop()
        await asyncio.Event().wait()


def cut_session(cut: Cut) -> Session:
    """A session that asks a cut stream."""
    return Session({"MINIMAX_BASE_URL": "http://127.0.0.1:1"}, sources=lambda _: cut)


async def drive(session: Session, run: Run) -> None:
    """What the cell does: it takes what comes, and at a Stop keeps it."""
    try:
        async with aclosing(session.turns.steps(run)) as steps:
            async for _ in steps:
                pass
    except asyncio.CancelledError:
        session.turns.stop(run)


def check_goes_on(session: Session) -> list[Any]:
    """The next request is one that the service accepts; its answers so far."""
    body = session.turns.request(ask_of("next", OPTIONS)).request.to_body()
    read_request(body)
    messages: Any = body["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
    answers = [message["content"] for message in messages[1::2]]
    for blocks in answers:
        assert blocks[-1]["type"] == "text"
        assert all(b["text"].strip() for b in blocks if b["type"] == "text")
        assert all("signature" in b for b in blocks if b["type"] == "thinking")
    return answers


@pytest.mark.parametrize("place", range(len(EVENTS)))
def test_stop_at_every_event(place: int) -> None:
    """Stopped behind any event, an answer enters from its first word on, and the next is valid."""
    cut = Cut([sse(event) for event in EVENTS[: place + 1]])
    session = cut_session(cut)
    run = session.turns.start(ask_of("Why?", OPTIONS), is_drawn=True)
    cut.stop = run.cancel
    asyncio.run(drive(session, run))
    answers = check_goes_on(session)
    assert len(answers) == (place >= FIRST_TEXT)
    status = "complete" if EVENTS[place] is STOP else "stopped"
    assert [turn.reply.status for turn in session.conversations.named("main").turns] == [
        status
    ] * len(answers)


def test_stop_at_any_byte() -> None:
    """The same holds between any two reads, wherever the network cut the stream."""
    stream = sse(*EVENTS)
    entered = []
    for length in range(0, len(stream), 11):
        cut = Cut([stream[at : at + 11] for at in range(0, length, 11)])
        session = cut_session(cut)
        run = session.turns.start(ask_of("Why?", OPTIONS), is_drawn=True)
        cut.stop = run.cancel
        asyncio.run(drive(session, run))
        entered.append(len(check_goes_on(session)))
    assert entered == sorted(entered)
    assert set(entered) == {0, 1}


def test_stopped_cell_keeps_its_older_turn() -> None:
    """A re-run that is stopped before its first word leaves the older turn where it stands."""
    cut = Cut([sse(*EVENTS)])
    session = cut_session(cut)
    ends = []
    for parts in ([sse(*EVENTS)], [sse(event) for event in EVENTS[:FIRST_TEXT]]):
        cut.parts = parts
        session.cells.begin("a")
        run = session.turns.start(ask_of("Why?", OPTIONS), is_drawn=True)
        cut.stop = run.cancel
        asyncio.run(drive(session, run))
        ends.append(session.cells.end(succeeded=len(parts) == 1))
    (turn,) = session.conversations.named("main").turns
    assert turn.reply.status == "complete"
    assert ends[-1].kept == [turn]


def test_stop_over_a_socket() -> None:
    """In one conversation, stopped behind ever more events: each request that arrives is valid."""
    sent = 0

    def answer(connection: Connection) -> None:
        head()(connection)
        for event in EVENTS[:sent]:
            chunk(sse(event))(connection)
        stall(connection)

    async def main(session: Session) -> None:
        nonlocal sent
        for sent in range(1, len(EVENTS) - 1):
            expected = [block.to_wire() for block in message(sse(*EVENTS[:sent])).content]
            run = session.turns.start(ask_of(f"{sent} events", OPTIONS), is_drawn=True)
            task = asyncio.current_task()
            assert task is not None
            try:
                async with aclosing(session.turns.steps(run)) as steps:
                    async for _ in steps:
                        if run.reply().content == expected:
                            run.cancel()
            except asyncio.CancelledError:
                task.uncancel()
                session.turns.stop(run)

    with Loopback(answer) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        asyncio.run(main(session))
        for request in server.requests:
            read_request(request.json)
        lengths = [len(request.json["messages"]) for request in server.requests]

    assert len(lengths) == len(EVENTS) - 2
    assert lengths[: FIRST_TEXT + 1] == [1] * (FIRST_TEXT + 1)
    assert lengths[FIRST_TEXT + 1 :] == list(range(3, 2 * len(lengths) - 2 * FIRST_TEXT, 2))
    assert len(check_goes_on(session)) == len(EVENTS) - 2 - FIRST_TEXT
