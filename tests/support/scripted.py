"""A service that gives the answers it is told to, in this process or over loopback.

It shows each request that came. The sessions that ask it are real ones; only where their requests
go is chosen here.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Literal, NamedTuple, TypeAlias

from mm_magic.session.session import Session
from mm_magic.transport.exchange import Exchange, Reads
from support.looks import seen_in
from support.loopback import END as END_OF_BODY
from support.loopback import Connection, chunk, failure, head, stall
from support.wire import BEGIN, END, STOP, delta, sse, start, text, thinking

Block: TypeAlias = dict[str, Any]
Ending: TypeAlias = Literal["whole", "stopped", "broken", "refused"]


@dataclass(frozen=True, eq=False)
class Answer:
    """What comes, and how it ends. "stopped": behind `blocks` nothing more comes, and no end."""

    ending: Ending
    blocks: tuple[Block, ...] = ()

    def events(self) -> list[Block]:
        """The stream."""
        events = [BEGIN]
        for index, block in enumerate(self.blocks):
            events += block_events(index, block)
        return [*events, END, STOP] if self.ending == "whole" else events


def block_events(index: int, block: Block) -> list[Block]:
    """One content block as a stream brings it."""
    if block["type"] == "text":
        return [start(index, {"type": "text", "text": ""}), text(index, block["text"])]
    if block["type"] != "thinking":
        return [start(index, block)]
    events = [start(index, {"type": "thinking", "thinking": ""})]
    events.append(thinking(index, block["thinking"]))
    if "signature" in block:
        events.append(delta(index, "signature_delta", "signature", block["signature"]))
    return [*events, {"type": "content_block_stop", "index": index}]


_ID = b'"%s"' % BEGIN["message"]["id"].encode()


CALLING = Answer(
    "whole",
    (
        {"type": "thinking", "thinking": "Look!", "signature": "6e"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sky"}},
    ),
)
"""The first answer to each prompt that comes with functions."""


class Asked(NamedTuple):
    """What tells one of several requests from the others."""

    messages: object
    system: str
    temperature: float | None


@cache
def stream_of(answer: Answer) -> bytes:
    return sse(*answer.events())


class Service:
    """Gives each request `next_answer`. `stop` is called where all of a "stopped" one was sent.

    `requests` are the bodies that came.
    """

    def __init__(self) -> None:
        self.next_answer = Answer("refused")
        self.by_request: list[tuple[Asked, Answer]] = []  # where several are asked for at once
        self.stop: Callable[[], None] = lambda: None
        self.requests: list[Any] = []
        self._count = count(1)

    def take_request(self) -> Any:
        """The request that came since this was asked last."""
        (request,) = self.requests
        self.requests = []
        return request

    def take_requests(self) -> list[Any]:
        """Those that came since this was asked last."""
        found, self.requests = self.requests, []
        return found

    def _answer_to(self, body: Mapping[str, Any]) -> Answer:
        if "tools" in body and not _has_results(body["messages"][-1]):
            return CALLING
        messages = seen_in(body["messages"])
        asked = Asked(messages, body.get("system", ""), body.get("temperature"))
        return next((answer for each, answer in self.by_request if each == asked), self.next_answer)

    def _stream(self, answer: Answer) -> bytes:
        """The answer with an id of its own."""
        return stream_of(answer).replace(_ID, b'"%d"' % next(self._count), 1)

    def answer(self, body: Mapping[str, object]) -> Exchange:
        """In this process, without a wait."""
        self.requests.append(body)
        answer = self._answer_to(body)
        if answer.ending == "refused":
            return Exchange(400, {}, _refusal())
        return Exchange(200, {"content-type": "text/event-stream"}, self._reads(answer))

    async def _reads(self, answer: Answer) -> Reads:
        yield 0.0, self._stream(answer)
        if answer.ending == "stopped":
            self.stop()
            await asyncio.Event().wait()

    def over_loopback(self, connection: Connection) -> None:
        """The same as the answer of a loopback server."""
        body = connection.request.json
        self.requests.append(body)
        answer, stop = self._answer_to(body), self.stop
        if answer.ending == "refused":
            failure(400, "no (2013)", "invalid_request_error")(connection)
            return
        head()(connection)
        chunk(self._stream(answer))(connection)
        if answer.ending == "stopped":
            stop()
            stall(connection)
        else:
            END_OF_BODY(connection)


def _has_results(message: Block) -> bool:
    content = message["content"]
    return not isinstance(content, str) and content[0]["type"] == "tool_result"


async def _refusal() -> Reads:
    yield 0.0, b'{"type":"error","error":{"type":"invalid_request_error","message":"no (2013)"}}'


class ScriptedSession(Session):
    """A session whose servers are `service` in this process; the demo is so, even if `is_wired`."""

    def __init__(self, service: Service, *, is_wired: bool = False) -> None:
        self.variables: dict[str, str] = {}
        super().__init__(
            self.variables,
            sources=lambda endpoint: endpoint if endpoint is not None and is_wired else service,
        )
        self.who.demo_allowed = True
