"""The body of an answer: its reads become events, and how long it may stand still.

It knows neither httpx nor where the bytes come from. `AnswerReader` waits for nothing and reads no
clock: who feeds it says when each read came.
"""

import asyncio
import math
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from mm_magic.errors import MiniMaxError, NetworkError, ProtocolError
from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.events import (
    BaseRespEvent,
    ContentBlockStart,
    ErrorEvent,
    Event,
    InputJsonDelta,
    MessageDelta,
    MessageStop,
    Ping,
    TextDelta,
    ThinkingDelta,
    message_events,
)
from mm_magic.protocol.failure import classify_error, unexpected_content
from mm_magic.protocol.json_values import parse_json
from mm_magic.protocol.redaction import RedactedEvents
from mm_magic.protocol.stream import EventReader
from mm_magic.transport.endpoint import Secret
from mm_magic.transport.exchange import Exchange, Reads

_BOM = b"\xef\xbb\xbf"


SILENCE_SECONDS = 300.0
"""No byte for so long: gaps of 180 to 240 s were reported while a model thinks."""
PROGRESS_SECONDS = 600.0
"""Bytes, but nothing beyond pings and comments, for so long."""
ENDING_SECONDS = 3.0
"""After the stop_reason, for what may follow it: the last usage, a filter's refusal, message_stop.

Captures have them in the same read. A refusal may wait for a filter that has to read the answer,
about a second; a packet that is lost twice comes after one and a half. A cell that is busy for
longer with nothing new under it looks hung."""
MAX_EVENT_BYTES = 64 * 1024 * 1024
"""So many bytes, to within one read, may come without an event, or be an answer in one piece."""

_CONTENT = frozenset({TextDelta, ThinkingDelta, InputJsonDelta, ContentBlockStart})
_ERROR_BODY_SECONDS = 5.0  # for the words of an error: its status is known already
_DRAIN_SECONDS = 0.05  # after the last event, for the end of the HTTP body: keeps the connection


@dataclass(frozen=True, slots=True)
class Clocks:
    """How long an answer may stand still, in seconds: without a byte, and without an event.

    `progress` is looked at when bytes come; where none come, `silence` is what ends the answer.
    `ending` is how long an answer with a stop_reason is waited for: it is whole.
    """

    silence: float = SILENCE_SECONDS
    progress: float = PROGRESS_SECONDS
    ending: float = ENDING_SECONDS


class Batch(NamedTuple):
    """The events of one read, never none, and when it came: seconds since the request was sent."""

    seconds: float
    events: list[Event]


class AnswerReader:
    """The body of an answer with status 200, read by read: an event stream, or JSON.

    `is_over` says that nothing which still comes can change the answer, or that no more is waited
    for. `left` is how many seconds it is still waited for, once its stop_reason has come. Raises
    NetworkError where it stands still before that, ProtocolError where it is neither stream nor
    JSON, empty, or goes on for more than MAX_EVENT_BYTES without an event, and the service's error
    where nothing came before that. A `key` that stands across several deltas is taken out of them.
    """

    def __init__(self, content_type: str, clocks: Clocks, key: Secret | None = None) -> None:
        self.is_over = False
        self.left = math.inf
        self._redacted = RedactedEvents(key.reveal() if key else "")
        self._content_type = content_type
        self._clocks = clocks
        self._whole: float | None = None  # when the stop_reason came, or content behind it
        self._moved: float | None = None  # when something for the reader came last
        self._unmoved = 0  # bytes since the last event that is more than a sign of life
        self._has_begun = False
        self._stream: EventReader | None = None
        self._beginning = b""  # which does not tell yet what it is
        self._json: bytearray | None = None  # all that came of it

    def feed(self, seconds: float, data: bytes) -> list[Event]:
        """Take what came `seconds` after the request was sent; return the events in it."""
        events = self._begin(data) if self._stream is None else self._stream.feed(data)
        if events and not self._has_begun:
            self._check_first(events[0])
        has_moved = False
        for event in events:
            kind = type(event)
            if kind is Ping:
                continue
            has_moved = True
            if kind not in _CONTENT:
                self._look_for_end(event, seconds)
            elif self._whole is not None:
                self._whole = seconds
        self._unmoved = 0 if has_moved else self._unmoved + len(data)
        if self._unmoved > MAX_EVENT_BYTES:
            raise ProtocolError(
                f"the server sent more than {MAX_EVENT_BYTES // 2**20} MiB without a complete "
                "event or answer; reading stopped"
            )
        if has_moved or self._json is not None or self._moved is None:
            self._moved = seconds
        elif seconds - self._moved > self._clocks.progress:
            if self._whole is None:
                waited = f"{self._clocks.progress:g} s"
                raise silent(f"the server sent nothing but keep-alive signals for {waited}")
            self.is_over = True
        if self._whole is not None:
            self.left = self._whole + self._clocks.ending - seconds
            self.is_over |= self.left <= 0
        events = self._redacted.take(events)
        return [*events, *self._redacted.flush()] if self.is_over else events

    def close(self) -> list[Event]:
        """The body has ended; return the events that were still to come."""
        if self._json is not None:
            events = _json_events(bytes(self._json))
        elif self._stream is not None:
            events = self._stream.close()
        else:
            self._stream = EventReader()
            events = self._stream.feed(self._beginning) + self._stream.close()
        if not self._has_begun:
            self._check_first(events[0] if events else None)
        return [*self._redacted.take(events), *self._redacted.flush()]

    def _begin(self, data: bytes) -> list[Event]:
        """Find out what it is; return the events of the read that tells that it is a stream."""
        if self._json is not None:
            self._json += data
            return []
        # Only the white space of a keep-alive is dropped: it may go on for minutes.
        beginning = (self._beginning + data).lstrip()
        if beginning.startswith(_BOM):
            beginning = _BOM + beginning.removeprefix(_BOM).lstrip()
        kind = _kind(self._content_type, beginning.removeprefix(_BOM))
        if kind == "other":
            raise unexpected_content(self._content_type, beginning)
        if kind == "stream":
            self._stream = EventReader()
            return self._stream.feed(beginning)
        if kind == "json":
            self._json = bytearray(beginning)
        else:
            self._beginning = beginning
        return []

    def _look_for_end(self, event: Event, seconds: float) -> None:
        match event:
            case MessageDelta(stop_reason) if stop_reason and self._whole is None:
                self._whole = seconds
            case MessageStop() | ErrorEvent():
                self.is_over = True
            case BaseRespEvent(base_resp) if base_resp.status_code != 0:
                self.is_over = True

    def _check_first(self, event: Event | None) -> None:
        if event is None:
            raise ProtocolError("the server sent an empty answer", retryable=True)
        if isinstance(event, ErrorEvent):
            raise classify_error(event.wire)
        self._has_begun = True


class Taken(NamedTuple):
    """What all reads of an answer make together.

    `is_over`: its last event is among them. `seconds` is when its latest event came.
    """

    accumulator: Accumulator
    is_over: bool
    seconds: float


def take_in(content_type: str, reads: Iterable[tuple[float, bytes]], *, has_ended: bool) -> Taken:
    """Read an answer as it was read when it came.

    `has_ended`: its body came to its end. Raises MiniMaxError as `AnswerReader` does.
    """
    patient = Clocks(silence=math.inf, progress=math.inf, ending=math.inf)
    reader, accumulator = AnswerReader(content_type, patient), Accumulator()
    came = latest = 0.0
    for latest, data in reads:
        if events := reader.feed(latest, data):
            accumulator.add(events)
            came = latest
    if has_ended and not reader.is_over:
        if events := reader.close():
            accumulator.add(events)
            came = latest
        accumulator.end()
    return Taken(accumulator, reader.is_over, came)


def _json_events(body: bytes) -> list[Event]:
    wire = parse_json(body)
    if not isinstance(wire, dict):
        raise unexpected_content("JSON that can't be read", body)
    return message_events(wire)


_Kind: TypeAlias = Literal["stream", "json", "other"]


def _kind(content_type: str, start: bytes) -> _Kind | None:
    """What a body is, by its first bytes and its header; None: more bytes are needed."""
    if start.startswith(b"{"):
        return "json"
    if start and "text/event-stream" in content_type:
        return "stream"
    if start.startswith((b"event:", b"data:", b":", b"id:", b"retry:")):
        return "stream"
    return None if len(start) < len(b"event:") else "other"


async def whole_body(exchange: Exchange, clocks: Clocks, limit: int = MAX_EVENT_BYTES) -> bytes:
    """All of a body, or its first `limit` bytes; of an error's what the network brings within 5 s.

    Raises NetworkError only under status 200: else the status says enough, whatever is missing.
    """
    body = bytearray()
    is_error = exchange.status != 200
    patience = _ERROR_BODY_SECONDS if is_error else clocks.progress
    try:
        async with (
            asyncio.timeout(patience if exchange.is_live else None),
            aclosing(exchange.chunks) as chunks,
        ):
            async for _, data in chunks:
                body += data
                if len(body) > limit:
                    break
    except TimeoutError:
        if not is_error:
            raise silent(
                f"the server's answer was still incomplete after {clocks.progress:g} s"
            ) from None
    except (NetworkError, ProtocolError):
        if not is_error:
            raise
    return bytes(body[:limit])


async def drain(chunks: Reads) -> None:
    """Read the end of a body, if it is there: only then the connection can be used again."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass
    except (TimeoutError, MiniMaxError):
        pass  # the answer is whole, whatever the socket does now


def silent(what: str) -> NetworkError:
    """The error of a server that stands still."""
    return NetworkError(
        what,
        kind="timeout",
        retryable=True,
        next_steps=(
            "Try again. If it keeps happening, the service may be overloaded.",
            "Check MINIMAX_BASE_URL, if it is set.",
        ),
    )
