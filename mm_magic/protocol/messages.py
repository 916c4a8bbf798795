"""The values of the Messages API: content blocks, usage, a message.

Each reads itself from the wire's JSON and writes itself back; what is unknown survives the trip.
Field names are the wire's. Source: MiniMax's API page of POST /anthropic/v1/messages.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import groupby
from typing import TypeAlias

from mm_magic.protocol.image_file import Size, media_type, pixels_print, size_of
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
    """A call that the model asks for.

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
class ToolResultBlock:
    """What the call with this id came to. `content` is a text, or content blocks as they came."""

    tool_use_id: str
    content: object
    is_error: bool = False
    extra: JsonObject = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its text; of other blocks the type, in square brackets."""
        if not isinstance(self.content, list):
            return as_text(self.content)
        return "\n".join(map(_in_result, map(as_object, self.content)))

    def to_wire(self) -> JsonObject:
        content = {} if self.content is None else {"content": self.content}
        error = {"is_error": True} if self.is_error else {}
        return {
            "type": "tool_result",
            "tool_use_id": self.tool_use_id,
            **content,
            **error,
            **self.extra,
        }


def _in_result(wire: JsonObject) -> str:
    kind = as_text(wire.get("type"))
    return as_text(wire.get("text")) if kind == "text" else f"[{kind or 'unknown'}]"


LONG_SIDE = 1024
"""Pixels that a picture may have on its long side."""
MAX_IMAGE_BYTES = 10 * 1024 * 1024
"""Of a picture in base64, as MiniMax takes it."""


@dataclass(frozen=True)  # with slots it could not keep its fingerprint
class ImageBlock:
    """A picture in a prompt: `data` is a file of this type and size in base64, and was looked at.

    `str` says what it is: "image/png, 812×611, 94 kB".
    """

    media_type: str
    data: str
    size: Size
    extra: JsonObject = field(default_factory=dict)

    def __str__(self) -> str:
        return picture_in_words(self.media_type, *self.size, self._bytes)

    @classmethod
    def of_file(cls, data: bytes) -> "ImageBlock | None":
        """The block with this file; None if it is no picture that can be sent."""
        kind, size = media_type(data), size_of(data)
        if size is None or not 0 < min(size) <= max(size) <= LONG_SIDE:
            return None
        block = cls(kind, base64.b64encode(data).decode(), size)
        return block if len(block.data) <= MAX_IMAGE_BYTES else None

    @property
    def _bytes(self) -> int:
        """How many the file has."""
        return 3 * (len(self.data) // 4) - self.data.count("=", -2)

    @property
    def file(self) -> bytes:
        return base64.b64decode(self.data)

    @cached_property
    def pixels(self) -> str:
        """16 hex digits that tell its size and its pixels, whatever wrote the file."""
        return pixels_print(self.file)

    def described(self) -> JsonObject:
        """What it is, in place of its data: by this a request is known."""
        width, height = self.size
        size = {"width": width, "height": height, "bytes": self._bytes}
        of_file = {"media_type": self.media_type, **size, "pixels": self.pixels}
        return {"type": "image", **self.extra, **of_file}  # what a file says of itself counts last

    def to_wire(self) -> JsonObject:
        source = {"type": "base64", "media_type": self.media_type, "data": self.data}
        return {"type": "image", "source": source, **self.extra}


def picture_in_words(media_type: object, width: object, height: object, size: int) -> str:
    """What a picture is, as a reader sees it; `size` is in bytes."""
    told = f"{size} bytes" if size < 1000 else f"{size / 1000:,.0f} kB"
    return f"{media_type}, {width}×{height}, {told}"


def _image(wire: JsonObject) -> ImageBlock | None:
    """The picture of a block; None where it is not in the block, or is no picture."""
    source = as_object(wire.get("source"))
    data = as_text(source.get("data"))
    if source.keys() != {"type", "media_type", "data"} or len(data) > MAX_IMAGE_BYTES:
        return None
    try:
        found = ImageBlock.of_file(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):  # ValueError: a letter that is not ASCII
        return None
    if found is None or found.data != data or found.media_type != source["media_type"]:
        return None
    return replace(found, extra=_rest(wire, "type", "source"))


@dataclass(frozen=True, slots=True)
class UnknownBlock:
    """A block of a type that this version does not know, as it came."""

    wire: JsonObject

    def to_wire(self) -> JsonObject:
        return dict(self.wire)


Block: TypeAlias = (
    TextBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock | ImageBlock | UnknownBlock
)


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
        case "tool_result":
            is_error = wire.get("is_error") is True
            known = ("type", "tool_use_id", "content", *["is_error"] * is_error)
            return ToolResultBlock(
                as_text(wire.get("tool_use_id")), wire.get("content"), is_error, _rest(wire, *known)
            )
        case _:
            return UnknownBlock(wire)


def prompt_block_from_wire(wire: JsonObject) -> Block:
    """Read one block of a prompt, which may hold pictures."""
    image = _image(wire) if wire.get("type") == "image" else None
    return block_from_wire(wire) if image is None else image


def with_pictures_as(told: Callable[[ImageBlock], JsonObject], message: JsonObject) -> JsonObject:
    """A prompt with what is told of each picture in its place."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_told(told, block) for block in content]}


def _told(told: Callable[[ImageBlock], JsonObject], wire: object) -> object:
    image = prompt_block_from_wire(wire) if isinstance(wire, dict) else None
    return told(image) if isinstance(image, ImageBlock) else wire


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

    def __add__(self, other: "Usage") -> "Usage":
        """The tokens of both; what neither counted stays unknown."""
        sums: dict[str, int | None] = {}
        for name in _COUNTS:
            counts = [n for n in (getattr(self, name), getattr(other, name)) if n is not None]
            sums[name] = sum(counts) if counts else None
        return replace(self, **sums)  # type: ignore[arg-type]

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


_CUT = ("max_tokens", "model_context_window_exceeded", "refusal")
"""The stop reasons of an answer that breaks off; `refusal` comes from Anthropic's classifiers."""


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
    def is_cut(self) -> bool:
        """Whether the server ended it in the middle: a call in it may lack arguments."""
        return self.stop_reason in _CUT

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
