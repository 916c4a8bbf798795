"""The body of an answer to batches of events, with the two clocks that end a dead one.

It knows neither httpx nor where the bytes come from.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mm_magic.errors import MiniMaxError, NetworkError, ProtocolError
from mm_magic.protocol.events import (
    BaseRespEvent,
    ErrorEvent,
    Event,
    MessageStop,
    Ping,
    message_events,
    parse_events,
)
from mm_magic.protocol.failure import unexpected_content
from mm_magic.protocol.messages import parse_json
from mm_magic.protocol.sse import MAX_EVENT_BYTES, EventStreamDecoder
from mm_magic.transport.exchange import Exchange, Reads

SILENCE_SECONDS = 300.0
"""No byte for so long: gaps of 180 to 240 s were reported while a model thinks."""
PROGRESS_SECONDS = 600.0
"""Bytes, but nothing beyond pings and comments, for so long."""

_ERROR_BODY_SECONDS = 5.0  # for the words of an error: its status is known already
_DRAIN_SECONDS = 0.05  # after the last event, for the end of the HTTP body: keeps the connection


@dataclass(frozen=True, slots=True)
class Clocks:
    """How long an answer may stand still, in seconds: without a byte, and without an event.

    `progress` is looked at when bytes come; where none come, `silence` is what ends the answer.
    """

    silence: float = SILENCE_SECONDS
    progress: float = PROGRESS_SECONDS


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of one read, never none, and when it came: seconds since the request was sent."""

    seconds: float
    events: list[Event]


async def batches(exchange: Exchange, clocks: Clocks) -> AsyncGenerator[Batch, None]:
    """The events of an answer with status 200: an event stream, or JSON where none came.

    Raises NetworkError if it stands still or breaks, ProtocolError if it is something else.
    """
    content_type = exchange.headers.get("content-type", "")
    async with aclosing(reads(exchange, clocks)) as body:
        watch = _Watch(clocks.progress)
        arrived, beginning = 0.0, b""
        kind: _Kind | None = None
        async for seconds, data in body:
            # Only the white space of a keep-alive is dropped: it may go on for minutes.
            arrived, beginning = seconds, (beginning + data).lstrip()
            kind = _kind(content_type, beginning)
            if kind is not None:
                break
            watch.saw(progress=False)
        if kind == "other":
            raise unexpected_content(content_type, beginning)
        if kind == "json":
            yield await _json_batch(arrived, beginning, body)
            return
        async with aclosing(_stream_batches(arrived, beginning, body, watch)) as found:
            async for batch in found:
                yield batch


async def reads(exchange: Exchange, clocks: Clocks) -> Reads:
    """The reads of a body; NetworkError after too long a silence."""
    async with aclosing(exchange.chunks) as chunks:
        while True:
            try:
                async with asyncio.timeout(clocks.silence):
                    read = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise silent(f"no byte came for {clocks.silence:g} s") from None
            if read[1]:
                yield read


async def whole_body(exchange: Exchange, clocks: Clocks, limit: int = MAX_EVENT_BYTES) -> bytes:
    """All of a body, or its first `limit` bytes; of an error's what comes within 5 s.

    Raises NetworkError only under status 200: else the status says enough, whatever is missing.
    """
    parts, size = [], 0
    is_error = exchange.status != 200
    try:
        async with (
            asyncio.timeout(_ERROR_BODY_SECONDS if is_error else clocks.progress),
            aclosing(reads(exchange, clocks)) as body,
        ):
            async for _, data in body:
                parts.append(data)
                size += len(data)
                if size > limit:
                    break
    except TimeoutError:
        if not is_error:
            raise silent(f"its answer was not whole after {clocks.progress:g} s") from None
    except (NetworkError, ProtocolError):
        if not is_error:
            raise
    return b"".join(parts)[:limit]


def silent(what: str) -> NetworkError:
    """The error of a server that stands still."""
    return NetworkError(
        f"the server fell silent: {what}",
        kind="timeout",
        retryable=True,
        next_steps=(
            "Try again. If it lasts, the service may be overloaded.",
            "Check MINIMAX_BASE_URL, if it is set.",
        ),
    )


_Kind: TypeAlias = Literal["stream", "json", "other"]


def _kind(content_type: str, beginning: bytes) -> _Kind | None:
    """What a body is, by its first bytes and its header; None: more bytes are needed."""
    start = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{"):
        return "json"
    if start and "text/event-stream" in content_type:
        return "stream"
    if start.startswith((b"event:", b"data:", b":", b"id:", b"retry:")):
        return "stream"
    return None if len(start) < len(b"event:") else "other"


class _Watch:
    """The clock of progress: `limit` seconds in which bytes came, but nothing for the reader."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._now = asyncio.get_running_loop().time
        self._moved = self._now()

    def saw(self, *, progress: bool) -> None:
        """Bytes came. Raises NetworkError if they have brought no progress for too long."""
        if progress:
            self._moved = self._now()
        elif self._now() - self._moved > self._limit:
            raise silent(f"nothing but signs of life for {self._limit:g} s")


async def _stream_batches(
    arrived: float, beginning: bytes, body: Reads, watch: _Watch
) -> AsyncGenerator[Batch, None]:
    decoder = EventStreamDecoder()
    events = parse_events(decoder.feed(beginning))
    while True:
        if events:
            yield Batch(arrived, events)
            if any(_is_last(event) for event in events):
                await _drain(body)
                return
        watch.saw(progress=not all(isinstance(event, Ping) for event in events))
        try:
            arrived, data = await anext(body)
        except StopAsyncIteration:
            break
        events = parse_events(decoder.feed(data))
    if events := parse_events(decoder.close()):
        yield Batch(arrived, events)


def _is_last(event: Event) -> bool:
    """Whether nothing that follows can change the answer. Some servers keep the socket open."""
    if isinstance(event, BaseRespEvent):
        return event.base_resp.status_code != 0
    return isinstance(event, MessageStop | ErrorEvent)


async def _json_batch(arrived: float, beginning: bytes, body: Reads) -> Batch:
    parts, size = [beginning], len(beginning)
    async for seconds, data in body:
        arrived = seconds
        parts.append(data)
        size += len(data)
        if size > MAX_EVENT_BYTES:
            raise ProtocolError(f"the answer is larger than {MAX_EVENT_BYTES} bytes")
    wire = parse_json(b"".join(parts))
    if not isinstance(wire, dict):
        raise unexpected_content("JSON that can't be read", beginning)
    return Batch(arrived, message_events(wire))


async def _drain(body: Reads) -> None:
    """Read the end of the body, if it is there: only then the connection can be used again."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in body:
                pass
    except (TimeoutError, MiniMaxError):
        pass  # the answer is whole, whatever the socket does now
