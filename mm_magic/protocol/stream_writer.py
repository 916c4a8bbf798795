"""Typed events to the bytes of an event stream: what `events` reads, written.

For all that answers like the service: the offline demo, turns that are replayed, tests.
"""

from typing import TypeAlias

from mm_magic.protocol.events import (
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    ErrorEvent,
    Index,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Unknown,
)
from mm_magic.protocol.json_values import JsonObject, encode_json

Writable: TypeAlias = (
    MessageStart
    | ContentBlockStart
    | Delta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | ErrorEvent
    | Unknown
)


def write(*events: Writable) -> bytes:
    """The events as the service sends them, each named after its type."""
    return b"".join(write_wire(_wire(event)) for event in events)


def write_wire(wire: JsonObject) -> bytes:
    """One event from its JSON object, which has to have a type."""
    return b"event: %b\ndata: %b\n\n" % (str(wire["type"]).encode(), encode_json(wire))


def _wire(event: Writable) -> JsonObject:
    match event:
        case MessageStart(message):
            return {"type": "message_start", "message": message}
        case ContentBlockStart(index, block):
            return {"type": "content_block_start", "index": index, "content_block": block}
        case TextDelta(index, text):
            return _delta(index, "text_delta", text=text)
        case ThinkingDelta(index, thinking):
            return _delta(index, "thinking_delta", thinking=thinking)
        case SignatureDelta(index, signature):
            return _delta(index, "signature_delta", signature=signature)
        case InputJsonDelta(index, partial):
            return _delta(index, "input_json_delta", partial_json=partial)
        case ContentBlockStop(index):
            return {"type": "content_block_stop", "index": index}
        case MessageDelta(reason, sequence, usage):
            delta = {"stop_reason": reason} | ({"stop_sequence": sequence} if sequence else {})
            return {"type": "message_delta", "delta": delta, "usage": usage}
        case MessageStop():
            return {"type": "message_stop"}
        case Ping():
            return {"type": "ping"}
        case ErrorEvent(wire) | Unknown(wire):
            return wire


def _delta(index: Index, kind: str, **content: str) -> JsonObject:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **content}}
