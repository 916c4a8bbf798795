"""The values of the Messages API: content blocks, usage, a message.

Each reads itself from the wire's JSON and writes itself back; what is unknown survives the trip.
Field names are the wire's. Source: MiniMax's API page of POST /anthropic/v1/messages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from typing import TypeAlias

from mm_magic.protocol.json_values import JsonObject, as_count, as_number, as_object, as_text
from mm_magic.protocol.paragraphs import in_paragraphs


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


def said(block: Block) -> str:
    """What a block of text or of thinking says; "" for any other."""
    match block:
        case TextBlock(words) | ThinkingBlock(words):
            return words
        case _:
            return ""


def _joined(content: Iterable[Block], kind: type[Block]) -> str:
    runs = groupby(content, lambda block: isinstance(block, kind))
    return in_paragraphs("".join(map(said, run)) for is_kind, run in runs if is_kind)


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
        code = as_number(as_object(wire).get("status_code"))
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
        """All text blocks.

        Servers split one text into several blocks: neighbours are joined as they are. A text that
        another block separates from the one before begins a paragraph.
        """
        return _joined(self.content, TextBlock)

    @property
    def thinking(self) -> str:
        """All thinking blocks, joined in the same way."""
        return _joined(self.content, ThinkingBlock)

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
