"""Bytes of the wire for tests, and the one way through the protocol core that all of them take."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mm_magic.protocol.accumulate import Accumulator, Growth
from mm_magic.protocol.events import parse_events
from mm_magic.protocol.messages import Message
from mm_magic.protocol.sse import EventStreamDecoder

DATA = Path(__file__).parents[1] / "data"


def sse(*wires: dict[str, object]) -> bytes:
    """The stream that sends these objects, named after their types."""
    return b"".join(
        f"event: {wire['type']}\ndata: {json.dumps(wire)}\n\n".encode() for wire in wires
    )


def delta(index: object, kind: str, name: str, value: object) -> dict[str, object]:
    """A `content_block_delta`: `delta(0, "text_delta", "text", "Hi")`."""
    return {
        "type": "content_block_delta",
        "index": index,
        "delta": {"type": kind, name: value},
    }


def text(index: object, value: str) -> dict[str, object]:
    return delta(index, "text_delta", "text", value)


def thinking(index: object, value: str) -> dict[str, object]:
    return delta(index, "thinking_delta", "thinking", value)


def start(index: object, block: object) -> dict[str, object]:
    return {"type": "content_block_start", "index": index, "content_block": block}


BEGIN: dict[str, Any] = {
    "type": "message_start",
    "message": {"id": "5f0c", "type": "message", "role": "assistant", "model": "M", "content": []},
}
PING: dict[str, Any] = {"type": "ping"}
NO_TEXT: dict[str, Any] = {"type": "text", "text": ""}
END: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
STOP: dict[str, object] = {"type": "message_stop"}


def pieces(data: bytes, size: int) -> list[bytes]:
    """`data` cut into reads of `size` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def read(reads: Iterable[bytes]) -> tuple[Accumulator, list[Growth]]:
    """What the protocol core makes of a stream that ends after these reads."""
    decoder, accumulator = EventStreamDecoder(), Accumulator()
    growths = [accumulator.add(parse_events(decoder.feed(part))) for part in reads]
    growths.append(accumulator.add(parse_events(decoder.close())))
    accumulator.end()
    return accumulator, growths


def message(data: bytes) -> Message:
    """The message of a stream read whole."""
    return read([data])[0].message()
