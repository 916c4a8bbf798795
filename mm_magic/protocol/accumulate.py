"""Events to a message: what has come so far, and whether that is all.

| what came | what it becomes |
| --- | --- |
| a delta | part of the block of its index and kind: servers overlap blocks, and mix kinds in one |
| a delta that no start announced | a new block |
| a start at an index that is used | a new block |
| text in a start | the beginning of the block; its deltas go on from there |
| text in a start, said again by the deltas | one text: they add nothing until they go beyond it |
| input in a start, and its JSON in deltas | the deltas' input |
| blocks in message_start | blocks with such starts |
| a start at the index of one of them | the same block, unless it says something else |
| message_start again | the same one; what it leaves out stays |
| a signature | that of the thinking block at its index, also late; it replaces the one before |
| a usage | its numbers, which replace those before; null changes nothing |
| text in blocks side by side | one text: servers cut it anywhere |
| text, a block of another kind, text | two paragraphs; an empty block counts; thinking likewise |
| message_stop | complete, if anything came before it |
| a stop_reason, then the end of the stream | complete |
| an error, or a base_resp other than 0 | failed |
| the end of the stream before any of these | incomplete |
| events after message_stop or a failure | nothing |
| unknown events; unreadable ones | kept in `unknown`; counted in `skipped` |
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
    UnknownBlock,
    Usage,
    block_from_wire,
    said,
)
from mm_magic.protocol.paragraphs import gap

State: TypeAlias = Literal["growing", "complete", "incomplete", "failed"]

_MESSAGE_FIELDS = {
    "id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "base_resp",
}  # fmt: skip
_NO_BLOCK = object()  # equals no index


class Growth(NamedTuple):
    """What one batch of events added for the reader, in order of arrival. Either may be empty."""

    thinking: str
    text: str


@dataclass(slots=True)
class _OpenBlock:
    """A block that grows. `pieces` is text, thinking or JSON, by `first`'s type.

    Blocks of one kind in a row have the same `run`. `is_given`: it stood in message_start, and no
    start came for it yet. `repeated` counts the characters of its start that its deltas have said
    again; None: what comes is new.
    """

    first: Block
    run: int
    is_given: bool = False
    repeated: int | None = None
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

    def is_same(self, block: Block) -> bool:
        """Whether `block`, of this one's kind, is this block again as far as it is known."""
        match self.first, block:
            case ToolUseBlock(one), ToolUseBlock(other):
                return one == other
            case UnknownBlock(), _:
                return self.first == block
        before, now = said(self.first), said(block)
        return not self.pieces and (before.startswith(now) or now.startswith(before))

    def begin_again(self, block: Block) -> str:
        """Take another start of this same block; return the text that it adds."""
        added = said(block)[len(said(self.first)) :]
        if added:
            self.repeated = self.repeated or 0
        if added or (isinstance(block, ToolUseBlock) and block.input):
            self.first = block
        return added

    def grow(self, piece: str) -> str:
        """Take the text of a delta; return what it adds.

        Deltas that begin like the start's text may say it again, or go on from it. Until that is
        clear nothing is added: in either case the text begins with the start's.
        """
        if self.repeated is not None:
            start, at = said(self.first), self.repeated
            if start.startswith(piece, at):
                self.repeated += len(piece)
                return ""
            self.repeated = None
            is_again = piece.startswith(start[at:])
            piece = piece[len(start) - at :] if is_again else start[:at] + piece
        self.pieces.append(piece)
        return piece


class _Growing:
    """The text of all blocks, or their thinking, as it grows.

    Deltas of the block at `index` go into `block` and `pieces` as they are, and nearly all do; any
    other is given to `take`.
    """

    def __init__(self) -> None:
        self.index: object = _NO_BLOCK
        self.block: list[str] = []
        self.pieces: list[str] = []  # of this read and this block
        self.before: list[str] = []  # of this read, from other blocks
        self._half = ""  # of a character: the other half may come
        self._end = ""  # the last two characters before `pieces`
        self._opened: _OpenBlock | None = None
        self._runs: set[int] = set()
        self._run = -1  # the last that was new
        self._is_apart = False  # the next character that ends no line begins a paragraph

    def take(self, index: Index, opened: _OpenBlock, piece: str) -> None:
        """Add what a block has grown by."""
        if opened is not self._opened:
            self._change(opened)
        if self._is_apart and opened.run == self._run:
            self._is_apart = not piece.strip("\n")
            piece = gap(self._end + "".join(self.pieces[-2:]), piece) + piece
        self.pieces.append(piece)
        if opened.repeated is None and not self._is_apart:
            self.index, self.block = index, opened.pieces

    def read(self) -> str:
        """What was added since the last time. Half a character at its end waits."""
        text = self._half + "".join(self.pieces)
        self.pieces.clear()
        self._half = ""
        if not text.isascii():  # known at once, and most are
            if "\ud800" <= text[-1] <= "\udbff":
                text, self._half = text[:-1], text[-1]
            text = join_surrogates(text)
        self._end = text[-2:] if len(text) > 1 else (self._end + text)[-2:]
        if self.before:
            text = "".join(self.before) + text
            self.before.clear()
        return text

    def _change(self, opened: _OpenBlock) -> None:
        """Another block grows from now on; half a character stays alone in the one before."""
        self.before.append(join_surrogates(self._half + "".join(self.pieces)))
        self.pieces.clear()
        self._half = ""
        self._end = (self._end + self.before[-1])[-2:]
        self._opened, self.index = opened, _NO_BLOCK
        if opened.run not in self._runs:  # one that goes on is no new paragraph
            self._runs.add(opened.run)
            self._run, self._is_apart = opened.run, bool(self._end)


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
        self._text, self._thinking = _Growing(), _Growing()

    def add(self, events: Iterable[Event]) -> Growth:
        """Take the events of one read; return the thinking and the text that they added.

        A character whose second half is still to come is held back from the growth. Read to the
        end, the growths make up the message's text, but for blocks of one kind that overlap: the
        message has them one after the other, and so other line ends between them.
        """
        text, thinking = self._text, self._thinking
        for event in events:
            if self.state != "growing":
                break
            if isinstance(event, TextDelta):
                if event.index == text.index:
                    text.block.append(event.text)
                    text.pieces.append(event.text)
                else:
                    self._grow(event.index, TextBlock, event.text)
            elif isinstance(event, ThinkingDelta):
                if event.index == thinking.index:
                    thinking.block.append(event.thinking)
                    thinking.pieces.append(event.thinking)
                else:
                    self._grow(event.index, ThinkingBlock, event.thinking)
            else:
                self._take(event)
        return Growth(
            thinking.read() if thinking.pieces or thinking.before else "",
            text.read() if text.pieces or text.before else "",
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
            return ProtocolError("the answer broke off: the connection closed too early")
        if self._started:
            return ProtocolError("the answer broke off before its first word", retryable=True)
        if any("choices" in wire for wire in self.unknown):
            return ProtocolError(
                "this server speaks OpenAI's protocol, not the Messages API",
                next_steps=("Point MINIMAX_BASE_URL at its Anthropic-compatible address.",),
            )
        if self.unknown:
            return ProtocolError(
                "what the server sent does not follow the Messages API",
                next_steps=("Check MINIMAX_BASE_URL: it may point to another kind of server.",),
            )
        return ProtocolError("the server sent an empty answer", retryable=True)

    def _begin(self, message: JsonObject) -> None:
        self._started = True
        known = self._head
        self._head = known | {k: v for k, v in message.items() if v is not None or k not in known}
        self._usage = self._usage.updated(as_object(message.get("usage")))
        self._stop_reason = as_optional_text(message.get("stop_reason")) or self._stop_reason
        self._stop_sequence = as_optional_text(message.get("stop_sequence")) or self._stop_sequence
        content = message.get("content")
        for index, wire in enumerate(content if isinstance(content, list) else ()):
            self._start(index, as_object(wire), is_given=True)

    def _start(self, index: Index, wire: JsonObject, *, is_given: bool) -> None:
        """Open a block, also where the index is already used."""
        if not wire:
            return
        block = block_from_wire(wire)
        opened = self._open.get((index, type(block)))
        if opened is not None and opened.is_given and opened.is_same(block):
            added = opened.begin_again(block)
        else:
            opened, added = self._new(index, block), said(block)
        opened.is_given = is_given
        self._add(index, opened, added)

    def _grow(self, index: Index, kind: type[TextBlock | ThinkingBlock], piece: str) -> None:
        """Take a delta of text or thinking, whatever came before it."""
        opened = self._at(index, kind)
        self._add(index, opened, opened.grow(piece))

    def _add(self, index: Index, opened: _OpenBlock, piece: str) -> None:
        if piece:
            growing = self._text if isinstance(opened.first, TextBlock) else self._thinking
            growing.take(index, opened, piece)

    def _at(self, index: Index, kind: type[Block]) -> _OpenBlock:
        """The block that a delta of this kind grows; a new one if the server never started it."""
        opened = self._open.get((index, kind))
        if opened is None:
            empty: Block = ToolUseBlock("", "", {}) if kind is ToolUseBlock else TextBlock("")
            opened = self._new(index, ThinkingBlock("") if kind is ThinkingBlock else empty)
        return opened

    def _new(self, index: Index, block: Block) -> _OpenBlock:
        last = self._blocks[-1] if self._blocks else None
        run = last.run if last and type(last.first) is type(block) else len(self._blocks)
        opened = _OpenBlock(block, run, repeated=0 if said(block) else None)
        self._open[index, type(block)] = opened
        self._blocks.append(opened)
        self._text.index = self._thinking.index = _NO_BLOCK  # the index may mean this one now
        return opened

    def _take(self, event: Event) -> None:
        """The events that are no text."""
        match event:
            case MessageStart(message):
                self._begin(message)
            case ContentBlockStart(index, wire):
                self._start(index, wire, is_given=False)
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
