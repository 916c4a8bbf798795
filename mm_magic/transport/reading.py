"""Reading a body: how long an answer may stand still, and the ways to take all of one.

It knows neither httpx nor where the bytes come from.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mm_magic.errors import MiniMaxError, NetworkError, ProtocolError
from mm_magic.transport.exchange import Exchange, Reads

if TYPE_CHECKING:
    from mm_magic.protocol.events import Event

SILENCE_SECONDS = 300.0
"""No byte for so long: gaps of 180 to 240 s were reported while a model thinks."""
PROGRESS_SECONDS = 600.0
"""Bytes, but nothing beyond pings and comments, for so long."""
MAX_EVENT_BYTES = 64 * 1024 * 1024
"""So many bytes, to within one read, may come without an event, or be an answer in one piece."""

_ERROR_BODY_SECONDS = 5.0  # for the words of an error: its status is known already
_DRAIN_SECONDS = 0.05  # after the last event, for the end of the HTTP body: keeps the connection


@dataclass(frozen=True, slots=True)
class Clocks:
    """How long an answer may stand still, in seconds: without a byte, and without an event.

    `progress` is looked at when bytes come; where none come, `silence` is what ends the answer.
    """

    silence: float = SILENCE_SECONDS
    progress: float = PROGRESS_SECONDS


class Batch(NamedTuple):
    """The events of one read, never none, and when it came: seconds since the request was sent."""

    seconds: float
    events: "list[Event]"


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
            raise silent(f"its answer was not whole after {clocks.progress:g} s") from None
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
        f"the server fell silent: {what}",
        kind="timeout",
        retryable=True,
        next_steps=(
            "Try again. If it lasts, the service may be overloaded.",
            "Check MINIMAX_BASE_URL, if it is set.",
        ),
    )
