"""The values of the Messages API: content blocks, usage, a message.

Each reads itself from the wire's JSON and writes itself back; what is unknown survives the trip.
Field names are the wire's. Source: MiniMax's API page of POST /anthropic/v1/messages.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeAlias

JsonObject: TypeAlias = dict[str, object]

MAX_NESTING = 100
"""Levels of objects and arrays in JSON that is read. With 500, Jupyter can't save a notebook."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_OR_ESCAPE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


def _finite(number: str) -> float | None:
    """Python reads NaN, Infinity and 1e999 where JSON has no such numbers: they become null."""
    value = float(number)
    return value if math.isfinite(value) else None


# strict=False: servers send raw tabs in strings. One decoder for all: json.loads(strict=False)
# makes one at each call (2.7 µs an event against 0.6).
_decode = json.JSONDecoder(strict=False, parse_float=_finite, parse_constant=_finite).raw_decode


def parse_json(data: str | bytes, *, keep_halves: bool = False, limit: int = MAX_NESTING) -> object:
    """The JSON value of `data`, or None if it is none, or nested deeper than `limit`.

    Its strings can be encoded, and so saved and sent: halves of characters are joined or become
    U+FFFD. `keep_halves` leaves them, where the other half may come with the next delta.
    """
    text = (data if isinstance(data, str) else data.decode("utf-8-sig", "replace")).strip()
    try:
        parsed, end = _decode(text)
        if end != len(text) or (_may_be_deep(text) and is_deep(parsed, limit)):
            return None
        if keep_halves or not _SURROGATE_OR_ESCAPE.search(text):
            return parsed
        return _decode(join_surrogates(json.dumps(parsed, ensure_ascii=False)))[0]
    except (ValueError, RecursionError):
        return None


def is_deep(value: object, limit: int = MAX_NESTING) -> bool:
    """Whether a JSON value has more than `limit` levels of objects and arrays."""
    level = [[value]]
    for _ in range(limit + 1):
        inside = [part for each in level for part in each if isinstance(part, dict | list)]
        level = [list(part.values()) if isinstance(part, dict) else part for part in inside]
        if not level:
            return False
    return True


def _may_be_deep(text: str) -> bool:
    return len(text) > 2 * MAX_NESTING and text.count("[") + text.count("{") > MAX_NESTING


def as_object(value: object) -> JsonObject:
    """`value` if it is a JSON object, else an empty one: servers send null where one is due."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    """`value` if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def as_optional_text(value: object) -> str | None:
    """`value` if it is a string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def as_count(value: object) -> int | None:
    """`value` if it is a whole number of 64 bits, else None. true and false are not numbers."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        return None
    return value


def join_surrogates(text: str) -> str:
    """Join the halves of split characters; a half that stays alone becomes U+FFFD.

    Some servers cut an emoji into two `\\ud83d`, `\\ude00` deltas; no file or socket takes those.
    """
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _rest(wire: JsonObject, *known: str) -> JsonObject:
    return {key: value for key, value in wire.items() if key not in known}


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Text for the reader, in Markdown as a rule."""

    text: str
    extra: JsonObject = field(default_factory=dict)

    def to_wire(self) -> JsonObject:
        return {"type": "text", "text": self.text, **self.extra}


@dataclass(frozen=True, slots=True)
class ThinkingBlock:
    """What the model thought. `signature` is opaque; None means that none came."""

    thinking: str
    signature: str | None = None
    extra: JsonObject = field(default_factory=dict)

    def to_wire(self) -> JsonObject:
        signature = {} if self.signature is None else {"signature": self.signature}
        return {"type": "thinking", "thinking": self.thinking, **signature, **self.extra}


@dataclass(frozen=True, slots=True)
class ToolUseBlock:
    """A call that the model asks for. mm_magic keeps it and never makes it.

    `input` is the parsed argument object; text that is no JSON object stays a string.
    """

    id: str
    name: str
    input: JsonObject | str
    extra: JsonObject = field(default_factory=dict)

    def to_wire(self) -> JsonObject:
        return {
            "type": "tool_use",
            "id": self.id,
            "name": self.name,
            "input": self.input,
            **self.extra,
        }


@dataclass(frozen=True, slots=True)
class UnknownBlock:
    """A block of a type that this version does not know, as it came."""

    wire: JsonObject

    def to_wire(self) -> JsonObject:
        return dict(self.wire)


Block: TypeAlias = TextBlock | ThinkingBlock | ToolUseBlock | UnknownBlock


def block_from_wire(wire: JsonObject) -> Block:
    """Read one content block."""
    match wire.get("type"):
        case "text":
            return TextBlock(as_text(wire.get("text")), _rest(wire, "type", "text"))
        case "thinking":
            signature = wire.get("signature")
            return ThinkingBlock(
                as_text(wire.get("thinking")),
                signature if isinstance(signature, str) else None,
                _rest(wire, "type", "thinking", "signature"),
            )
        case "tool_use":
            given = wire.get("input")
            return ToolUseBlock(
                as_text(wire.get("id")),
                as_text(wire.get("name")),
                given if isinstance(given, str) else as_object(given),
                _rest(wire, "type", "id", "name", "input"),
            )
        case _:
            return UnknownBlock(wire)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request. None means that the server did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    extra: JsonObject = field(default_factory=dict)

    def updated(self, wire: JsonObject) -> "Usage":
        """This usage overwritten by the fields of `wire` that are present and not null."""
        counts = {name: as_count(wire.get(name)) for name in _COUNTS}
        extra = {
            name: value
            for name, value in _rest(wire, *_COUNTS).items()
            if value is not None or name not in self.extra
        }
        return replace(
            self,
            extra={**self.extra, **extra},
            **{name: count for name, count in counts.items() if count is not None},
        )

    def to_wire(self) -> JsonObject:
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {name: n for name, n in counts.items() if n is not None} | self.extra


_COUNTS = tuple(each.name for each in fields(Usage) if each.name != "extra")


@dataclass(frozen=True, slots=True)
class BaseResp:
    """MiniMax's own status beside HTTP's: 0 is success."""

    status_code: int
    status_msg: str = ""

    @classmethod
    def from_wire(cls, wire: object) -> "BaseResp | None":
        """Read it; None where there is none."""
        given = as_object(wire).get("status_code")
        is_digits = isinstance(given, str) and given.isascii() and given.isdigit()
        code = int(str(given)[:9]) if is_digits else as_count(given)
        return None if code is None else cls(code, as_text(as_object(wire).get("status_msg")))

    def to_wire(self) -> JsonObject:
        return {"status_code": self.status_code, "status_msg": self.status_msg}


@dataclass(frozen=True)  # with slots, `message.text = …` would raise a TypeError
class Message:
    """One answer of the model, whole or as far as it came. None means that the server did not say.

    `extra` holds the top-level fields that this version does not know (`service_tier`, …).
    """

    id: str | None = None
    model: str | None = None
    role: str = "assistant"
    content: Sequence[Block] = ()
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage = field(default_factory=Usage)
    base_resp: BaseResp | None = None
    extra: JsonObject = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))

    @property
    def thinking(self) -> str:
        """All thinking blocks, joined."""
        return "".join(b.thinking for b in self.content if isinstance(b, ThinkingBlock))

    def to_wire(self) -> JsonObject:
        """The answer as the API page shows it."""
        optional: Mapping[str, object] = {
            "stop_sequence": self.stop_sequence,
            "base_resp": self.base_resp and self.base_resp.to_wire(),
        }
        return {
            "id": self.id,
            "type": "message",
            "role": self.role,
            "model": self.model,
            "content": [block.to_wire() for block in self.content],
            "stop_reason": self.stop_reason,
            "usage": self.usage.to_wire(),
            **{name: value for name, value in optional.items() if value is not None},
            **self.extra,
        }
