"""A valid stream cut at every byte: what was shown stays, nothing enters, the error has a type."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
from support.asks import ask_of
from support.loopback import (
    END,
    Answer,
    Loopback,
    captured,
    chunk,
    close,
    delta,
    head,
    reset,
    sse,
    stall,
)
from support.samples import one_in
from support.security_page import SECURITY_PAGE
from support.taking import Got, new_client, take

from mm_magic.errors import MiniMaxError, NetworkError
from mm_magic.protocol.json_values import join_surrogates
from mm_magic.session.options import Options
from mm_magic.session.run import Run, Step
from mm_magic.session.session import Session
from mm_magic.transport.body import Clocks
from mm_magic.transport.client import Client
from mm_magic.transport.exchange import Exchange, Reads

pytestmark = pytest.mark.filterwarnings("ignore:.* of the answer could not be read")

BUSY = {"type": "error", "error": {"type": "overloaded_error", "message": "busy (2064)"}}
TOOL = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
# Half an emoji is one delta and half the next, as some servers write it.
HALVES = [r"\ud83d", r"\ude00"]


def events() -> list[bytes]:
    """A stream with thinking, text over several deltas, a tool call and its end, event by event."""
    plain = captured(thinking="Größe und ≈", text="\n\nÄ")
    tool = [
        {"type": "content_block_start", "index": 2, "content_block": TOOL},
        delta(2, "input_json_delta", partial_json='{"a": [1, 2'),
        delta(2, "input_json_delta", partial_json="]}"),
        {"type": "content_block_stop", "index": 2},
    ]
    halves = [sse(delta(1, "text_delta", text="?")).replace(b"?", h.encode()) for h in HALVES]
    more = [*halves, sse(delta(1, "text_delta", text=" 終"))]
    return [*map(sse, plain[:8]), *more, *map(sse, [plain[8], *tool, *plain[9:]])]


EVENTS = events()
STREAM = b"".join(EVENTS)
ENDS = [sum(map(len, EVENTS[: n + 1])) for n in range(len(EVENTS))]
TEXTS = {7: "\n\nÄ", 8: "\ud83d", 9: "\ude00", 10: " 終"}
THINKING = {3: "Größe und ≈"}


def arrived(said: Mapping[int, str], size: int) -> str:
    """What the deltas of `said` that are whole after `size` bytes say."""
    return "".join(text for number, text in said.items() if ENDS[number] <= size)


@dataclass(frozen=True)
class Ending:
    """How a stream ends behind its cut; `spare` bytes of an event may be missing for it to count.

    `kind` is that of the error.
    """

    kind: str
    spare: int = 0


# At the end of the body, and before another event, the last event's own end may be missing.
ENDINGS = {
    "end": Ending("protocol", spare=2),
    "reset": Ending("connection"),
    "error event": Ending("overloaded", spare=2),
    "silence": Ending("timeout"),
}


def test_the_page_counts_them() -> None:
    """docs/security.md says at how many bytes, and that there are four endings."""
    assert len(ENDINGS) == 4
    assert f"a stream cut at each of its {len(STREAM):,} bytes in four ways" in SECURITY_PAGE


class Cut:
    """A backend whose answers break off after `size` bytes, in the way of `ending`."""

    size = 0
    ending = ""

    def answer(self, body: Mapping[str, object]) -> Exchange:
        assert len(body["messages"]) == 1  # type: ignore[arg-type]
        return Exchange(200, {"content-type": "text/event-stream"}, self._reads())

    async def _reads(self) -> Reads:
        yield 0.0, STREAM[: self.size]
        match self.ending:
            case "reset":
                raise NetworkError("the connection broke", kind="connection")
            case "error event":
                yield 0.0, b"\n\n" + sse(BUSY)
            case "silence":
                yield 1e-6, b" "  # a sign of life, when none is waited for any more


def cut_session(cut: Cut) -> Session:
    session = Session({"MINIMAX_BACKEND": "offline"}, sources=lambda _: cut)
    session.client = Client(clocks=Clocks(progress=0.0))
    return session


async def shown_by(session: Session, run: Run) -> tuple[str, str, MiniMaxError | None]:
    """The thinking and the text that a run showed, and its error."""
    thinking = text = ""
    try:
        async with aclosing(session.turns.steps(run)) as steps:
            async for step in steps:
                assert isinstance(step, Step)
                thinking += step.growth.thinking
                text += step.growth.text
    except MiniMaxError as error:
        return thinking, text, error
    return thinking, text, None


@pytest.mark.parametrize("ending", ENDINGS)
@one_in(10)
def test_a_stream_cut_at_any_byte(ending: str, step: int) -> None:
    """Whatever ends it at whichever byte: what was shown is kept, none of it enters the
    conversation, and the error is of the ending's kind."""
    cut = Cut()
    cut.ending = ending
    at_events = {size for end in ENDS for size in range(end - 2, end + 2) if size <= len(STREAM)}
    sizes = sorted({*range(0, len(STREAM) + 1, step), *at_events})

    async def main() -> int:
        complete = 0
        for cut.size in sizes:
            session = cut_session(cut)
            run = session.turns.start(ask_of("Hi", Options(retries=0)))
            thinking, text, error = await shown_by(session, run)
            check(run, thinking, text, error)
            entered = session.conversations.named("main").turns
            assert bool(entered) == (error is None)
            complete += error is None
        return complete

    def check(run: Run, thinking: str, text: str, error: MiniMaxError | None) -> None:
        seen = cut.size + ENDINGS[ending].spare
        message = run.reply().message
        assert message.thinking == thinking == arrived(THINKING, seen)
        assert message.text == join_surrogates(arrived(TEXTS, seen))
        assert message.text.removesuffix("\ufffd") == text
        message.text.encode()
        if error is None:
            return
        assert error.kind == ENDINGS[ending].kind
        if not message.content:
            assert error.reply is None
            return
        assert error.reply is not None
        assert error.reply.message == message
        assert error.reply.status == "incomplete"

    # Whole are the stream with all its bytes, and one that ended, or fell silent, behind its
    # stop_reason.
    whole = {"end": ENDS[-2] - 2, "silence": ENDS[-2]}.get(
        ending, len(STREAM) - ENDINGS[ending].spare
    )
    assert asyncio.run(main()) == sum(size >= whole for size in sizes)


def over_socket(size: int, ending: str) -> Answer:
    body = [head(), *([chunk(STREAM[:size])] if size else [])]
    ends: dict[str, list[Any]] = {
        "end": [END],
        "closed": [close],
        "reset": [reset],
        "error event": [chunk(b"\n\n" + sse(BUSY)), stall],
        "silence": [stall],
    }
    return [*body, *ends[ending]]


async def taken(url: str, silence: float = 5) -> tuple[Got, MiniMaxError | None]:
    got = Got()
    try:
        await take(new_client(Clocks(silence=silence, progress=5)), url, got)
    except MiniMaxError as error:
        return got, error
    return got, got.accumulator.error()


KINDS = {name: ending.kind for name, ending in ENDINGS.items()} | {"closed": "connection"}


@pytest.mark.parametrize("ending", KINDS)
def test_a_cut_stream_over_a_socket(ending: str) -> None:
    """The same over real connections, with cuts in and between all sorts of events."""
    sizes = sorted({0, *range(1, len(STREAM) - 200, 83), *ENDS[:-2], *(e - 1 for e in ENDS[:-2])})

    async def main(urls: list[str]) -> list[tuple[Got, MiniMaxError | None]]:
        silence = 2.0 if ending == "silence" else 5.0
        return await asyncio.gather(*(taken(url, silence) for url in urls))

    servers = [Loopback(over_socket(size, ending)) for size in sizes]
    try:
        outcomes = asyncio.run(main([server.url for server in servers]))
    finally:
        for server in servers:
            server.close()
    spare = ENDINGS.get(ending, Ending("")).spare
    for size, (got, error) in zip(sizes, outcomes, strict=True):
        assert got.message.thinking == arrived(THINKING, size + spare)
        assert got.message.text == join_surrogates(arrived(TEXTS, size + spare))
        assert error is not None
        assert error.kind == KINDS[ending], (size, error)


def test_all_that_follows_message_stop_is_not_waited_for() -> None:
    """After `message_stop` an answer is whole, whether the socket closes, dies or stays open."""
    for last in (close, reset, stall, [END]):
        answer = [head(), chunk(STREAM), *(last if isinstance(last, list) else [last])]
        with Loopback(answer) as server:
            got, error = asyncio.run(taken(server.url))
        assert error is None
        assert got.message.content[2].to_wire()["input"] == {"a": [1, 2]}
