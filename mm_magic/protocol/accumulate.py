"""Events to a message: what has come so far, and whether that is all.

Blocks are found by their index, since servers overlap them. Complete is an answer after
`message_stop`, or after a stop_reason and the end of the stream; anything else is incomplete.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from mm_magic.errors import MiniMaxError, ProtocolError
from mm_magic.protocol.events import (
    BaseRespEvent,
    ContentBlockStart,
    ContentBlockStop,
    ErrorEvent,
    Event,
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
    Unreadable,
)
from mm_magic.protocol.failure import classify_base_resp, classify_error
from mm_magic.protocol.json_values import (
    JsonObject,
    as_object,
    as_optional_text,
    as_text,
    join_surrogates,
    parse_json,
)
from mm_magic.protocol.messages import (
    BaseResp,
    Block,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    Usage,
    block_from_wire,
)

State: TypeAlias = Literal["growing", "complete", "incomplete", "failed"]

_MESSAGE_FIELDS = {
    "id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "base_resp",
}  # fmt: skip


class Growth(NamedTuple):
    """What one batch of events added for the reader, in order of arrival. Either may be empty."""

    thinking: str
    text: str


@dataclass(slots=True)
class _OpenBlock:
    """A block that grows. `pieces` is text, thinking or JSON, by `first`'s type."""

    first: Block
    pieces: list[str] = field(default_factory=list)
    signature: str | None = None

    def block(self) -> Block:
        grown = join_surrogates("".join(self.pieces))
        match self.first:
            case TextBlock(text, extra):
                return TextBlock(text + grown, extra)
            case ThinkingBlock(thinking, signature, extra):
                signature = signature if self.signature is None else self.signature
                return ThinkingBlock(thinking + grown, signature, extra)
            case ToolUseBlock(id_, name, given, extra):
                return ToolUseBlock(id_, name, _tool_input(grown) if grown else given, extra)
            case unknown:
                return unknown


class Accumulator:
    """Collects the events of one answer.

    `state` is "growing" until `end` is called or nothing that still comes can change the answer.
    `failure` is the error that the service put into the stream. `skipped` counts events that could
    not be read; `unknown` keeps those of unknown type.
    """

    def __init__(self) -> None:
        self.state: State = "growing"
        self.failure: MiniMaxError | None = None
        self.skipped = 0
        self.unknown: list[JsonObject] = []
        self._head: JsonObject = {}
        self._blocks: list[_OpenBlock] = []
        self._open: dict[tuple[Index, type[Block]], _OpenBlock] = {}
        self._stop_reason: str | None = None
        self._stop_sequence: str | None = None
        self._usage = Usage()
        self._base_resp: BaseResp | None = None
        self._started = False
        self._half = {TextBlock: "", ThinkingBlock: ""}  # halves of characters held back

    def add(self, events: Iterable[Event]) -> Growth:
        """Take the events of one read; return the thinking and the text that they added.

        A character whose second half is still to come is held back from the growth. Read to the
        end, the growths make up the message's text, but for blocks of one kind that overlap: the
        message has them one after the other.
        """
        thinking: list[str] = []
        text: list[str] = []
        for event in events:
            if self.state != "growing":
                break
            if isinstance(event, TextDelta):
                self._at(event.index, TextBlock).pieces.append(event.text)
                text.append(event.text)
            elif isinstance(event, ThinkingDelta):
                self._at(event.index, ThinkingBlock).pieces.append(event.thinking)
                thinking.append(event.thinking)
            elif isinstance(event, ContentBlockStart):
                block = self._start(event)
                if isinstance(block, TextBlock):
                    text.append(block.text)
                elif isinstance(block, ThinkingBlock):
                    thinking.append(block.thinking)
            else:
                self._take(event)
        return Growth(
            self._whole(ThinkingBlock, thinking) if thinking else "",
            self._whole(TextBlock, text) if text else "",
        )

    def end(self) -> None:
        """The stream has ended: decide whether what came is a whole answer."""
        if self.state == "growing":
            self.state = "complete" if self._stop_reason else "incomplete"

    def message(self) -> Message:
        """The answer as far as it came. Linear in its length: not for every delta."""
        return Message(
            id=as_optional_text(self._head.get("id")),
            model=as_optional_text(self._head.get("model")),
            role=as_text(self._head.get("role")) or "assistant",
            content=tuple(block.block() for block in self._blocks),
            stop_reason=self._stop_reason,
            stop_sequence=self._stop_sequence,
            usage=self._usage,
            base_resp=self._base_resp,
            extra={k: v for k, v in self._head.items() if k not in _MESSAGE_FIELDS},
        )

    def error(self) -> MiniMaxError | None:
        """Why this is no complete answer, or None if it is one."""
        if self.failure is not None or self.state == "complete":
            return self.failure
        if self._blocks:
            return ProtocolError("the answer broke off: the connection ended before its end")
        if self._started:
            return ProtocolError("the answer broke off before its first word", retryable=True)
        if any("choices" in wire for wire in self.unknown):
            return ProtocolError(
                "this server speaks the OpenAI wire, not the Messages API",
                next_steps=("Point MINIMAX_BASE_URL at its Anthropic-compatible address.",),
            )
        if self.unknown:
            return ProtocolError(
                "what the server sent is not an answer of the Messages API",
                next_steps=("Check MINIMAX_BASE_URL: another kind of server may be there.",),
            )
        return ProtocolError("the server sent an empty answer", retryable=True)

    def _start(self, event: ContentBlockStart) -> Block | None:
        """Open a block; also where the index is already used."""
        if not event.content_block:
            return None
        self._started = True
        block = block_from_wire(event.content_block)
        opened = _OpenBlock(block)
        self._blocks.append(opened)
        self._open[event.index, type(block)] = opened
        return block

    def _at(self, index: Index, kind: type[Block]) -> _OpenBlock:
        """The block that a delta of this kind grows; a new one if the server never started it."""
        opened = self._open.get((index, kind))
        if opened is None:
            empty: Block = ToolUseBlock("", "", {}) if kind is ToolUseBlock else TextBlock("")
            opened = _OpenBlock(ThinkingBlock("") if kind is ThinkingBlock else empty)
            self._blocks.append(opened)
            self._open[index, kind] = opened
        return opened

    def _whole(self, kind: type[TextBlock | ThinkingBlock], pieces: list[str]) -> str:
        text = "".join(pieces)
        if self._half[kind]:
            text, self._half[kind] = self._half[kind] + text, ""
        if text.isascii():  # known at once, and most are
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half[kind] = text[:-1], text[-1]
        return join_surrogates(text)

    def _take(self, event: Event) -> None:
        """The events that add nothing to read."""
        match event:
            case MessageStart(message):
                self._started = True
                self._head = message
                self._usage = self._usage.updated(as_object(message.get("usage")))
                self._stop_reason = as_optional_text(message.get("stop_reason"))
                self._stop_sequence = as_optional_text(message.get("stop_sequence"))
            case SignatureDelta(index, signature):
                self._at(index, ThinkingBlock).signature = signature
            case InputJsonDelta(index, partial_json):
                self._at(index, ToolUseBlock).pieces.append(partial_json)
            case MessageDelta(stop_reason, stop_sequence, usage):
                self._stop_reason = stop_reason or self._stop_reason
                self._stop_sequence = stop_sequence or self._stop_sequence
                self._usage = self._usage.updated(usage)
            case MessageStop():
                self.state = "complete" if self._started or self._blocks else "incomplete"
            case ErrorEvent(wire):
                self._fail(classify_error(wire))
            case BaseRespEvent(base_resp):
                self._base_resp = base_resp
                if base_resp.status_code != 0:
                    self._fail(classify_base_resp(base_resp))
            case Unknown(wire):
                self.unknown.append(wire)
            case Unreadable():
                self.skipped += 1
            case Ping() | ContentBlockStop():
                pass

    def _fail(self, failure: MiniMaxError) -> None:
        failure.retryable = failure.retryable and not self._blocks
        self.failure = failure
        self.state = "failed"


def _tool_input(text: str) -> JsonObject | str:
    """The arguments of a tool call: an object, or the text itself where it is none."""
    parsed = parse_json(text)
    return parsed if isinstance(parsed, dict) else text
