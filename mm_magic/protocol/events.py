"""Server-sent events to typed events.

The JSON's `type` decides, not the event's name: proxies lose names, and some servers send none.
What is unknown becomes `Unknown`; what cannot be read becomes `Unreadable`; data that says nothing,
like a last `[DONE]`, is no event. Nothing raises.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from mm_magic.protocol.json_values import (
    JsonObject,
    as_count,
    as_object,
    as_optional_text,
    join_surrogates,
    parse_json,
)
from mm_magic.protocol.messages import BaseResp
from mm_magic.protocol.sse import ServerSentEvent

# Nothing, null, [DONE], done, "ping", [], <eos>, 1: proxies end a stream with it, or keep it alive.
# What is left of a broken event has more than one word, or a brace.
_SAYS_NOTHING = re.compile(r"""[\[<|"']{0,3}[\w.-]{0,32}[\]>|"']{0,3}""", re.ASCII)
_BLANK = " \t\r\n\ufeff"

Index: TypeAlias = int | None
"""The place of a block in the content; None where the server gave none."""


@dataclass(frozen=True, slots=True)
class MessageStart:
    """The answer begins. `message` is the wire's object; its content is empty as a rule.

    What stands beside it in the event (`service_tier`) is in it, too.
    """

    message: JsonObject


@dataclass(frozen=True, slots=True)
class ContentBlockStart:
    """A block begins; `content_block` may already hold text."""

    index: Index
    content_block: JsonObject


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text to append. It can begin or end with half a character."""

    index: Index
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """Thinking to append. It can begin or end with half a character."""

    index: Index
    thinking: str


@dataclass(frozen=True, slots=True)
class SignatureDelta:
    """The signature of a thinking block: it replaces, it does not append."""

    index: Index
    signature: str


@dataclass(frozen=True, slots=True)
class InputJsonDelta:
    """A piece of the JSON text of a tool_use block's input."""

    index: Index
    partial_json: str


@dataclass(frozen=True, slots=True)
class ContentBlockStop:
    """A block is finished."""

    index: Index


@dataclass(frozen=True, slots=True)
class MessageDelta:
    """Why it stopped, and the usage so far."""

    stop_reason: str | None
    stop_sequence: str | None
    usage: JsonObject


@dataclass(frozen=True, slots=True)
class MessageStop:
    """The answer is complete."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life."""


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """The service failed while it answered. `wire` is the event's whole object."""

    wire: JsonObject


@dataclass(frozen=True, slots=True)
class BaseRespEvent:
    """MiniMax's own status, wherever in the stream it stood."""

    base_resp: BaseResp


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event or a delta of a type that this version does not know, as it came."""

    wire: JsonObject


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event whose data is no JSON object."""

    name: str
    data: str


Delta: TypeAlias = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta

Event: TypeAlias = (
    MessageStart
    | ContentBlockStart
    | Delta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | ErrorEvent
    | BaseRespEvent
    | Unknown
    | Unreadable
)


def parse_events(raw: Iterable[ServerSentEvent]) -> list[Event]:
    """Give types to what one read of the network brought."""
    events: list[Event] = []
    for sent in raw:
        wire = parse_json(sent.data, keep_halves=True)
        if not isinstance(wire, dict):
            events += _without_object(sent)
        elif (delta := _delta(wire, sent.name)) is not None:
            events.append(delta)
            if "base_resp" in wire:
                events += _base_resp(wire)
        else:
            events += _events(as_object(parse_json(sent.data)), sent.name)
    return events


def message_events(wire: JsonObject) -> list[Event]:
    """The events that a whole, unstreamed answer stands for, so that one path reads both."""
    blocks = wire.get("content")
    if not isinstance(blocks, list) or (not blocks and _is_failure(wire)):
        return [ErrorEvent(wire) if _is_failure(wire) else Unknown(wire)]
    return [MessageStart(wire), *_base_resp(wire), MessageStop()]


def _without_object(sent: ServerSentEvent) -> list[Event]:
    """What an event says whose data is no JSON object."""
    if sent.name == "error":  # a proxy's plain text
        return [ErrorEvent({"type": "error", "error": {"message": sent.data}})]
    if _SAYS_NOTHING.fullmatch(sent.data.strip(_BLANK)):
        return []
    return [Unreadable(sent.name, sent.data)]


def _delta(wire: JsonObject, name: str) -> Delta | None:
    """The known delta that this is, or None. All but a handful of events come this way."""
    if (wire.get("type") or name) != "content_block_delta":
        return None
    delta = as_object(wire.get("delta"))
    index = _index(wire)
    kind = delta.get("type")
    if kind == "text_delta" and isinstance(text := delta.get("text"), str):
        return TextDelta(index, text)
    if kind == "thinking_delta" and isinstance(text := delta.get("thinking"), str):
        return ThinkingDelta(index, text)
    if kind == "signature_delta" and isinstance(text := delta.get("signature"), str):
        return SignatureDelta(index, join_surrogates(text))
    if kind == "input_json_delta" and isinstance(text := delta.get("partial_json"), str):
        return InputJsonDelta(index, text)
    return None


def _events(wire: JsonObject, name: str) -> list[Event]:
    """What an event other than a known delta says: itself, and MiniMax's status."""
    event = _event(wire, wire.get("type") or name)
    status = [*_base_resp(wire), *_base_resp(as_object(wire.get("message")))]
    # Nothing is read behind a stop, and a bad status must be.
    return [*status, event] if isinstance(event, MessageStop) else [event, *status]


def _event(wire: JsonObject, kind: object) -> Event:
    match kind:
        case "ping":
            return Ping()
        case "message_start":
            beside = {
                name: value for name, value in wire.items() if name not in ("type", "message")
            }
            return MessageStart({**beside, **as_object(wire.get("message"))})
        case "content_block_start":
            return ContentBlockStart(_index(wire), as_object(wire.get("content_block")))
        case "content_block_stop":
            return ContentBlockStop(_index(wire))
        case "message_delta":
            delta = as_object(wire.get("delta"))
            return MessageDelta(
                as_optional_text(delta.get("stop_reason")),
                as_optional_text(delta.get("stop_sequence")),
                as_object(wire.get("usage")),
            )
        case "message_stop":
            return MessageStop()
        case "error":
            return ErrorEvent(wire)
        case _ if _is_failure(wire):  # llama.cpp leaves the outer type out
            return ErrorEvent(wire)
        case _:
            return Unknown(wire)


def _is_failure(wire: JsonObject) -> bool:
    """Whether an object that is nothing else tells of an error."""
    return bool(wire.get("error")) or any(e.base_resp.status_code for e in _base_resp(wire))


def _index(wire: JsonObject) -> Index:
    return as_count(wire.get("index"))


def _base_resp(wire: JsonObject) -> list[BaseRespEvent]:
    base_resp = BaseResp.from_wire(wire.get("base_resp"))
    return [] if base_resp is None else [BaseRespEvent(base_resp)]
