"""The embedded backend's replies as the service's bytes, each with its scripted time.

The shapes are those captured from the service: blocks in order, one signature before the stop of
the thinking, LF line ends. No clock is read: whoever plays an exchange waits.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, NamedTuple, Self, TypeAlias

from mm_magic.protocol.events import (
    ContentBlockStart,
    ContentBlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from mm_magic.protocol.json_values import JsonObject, encode_json
from mm_magic.protocol.stream_writer import write
from mm_magic.transport.demo.read_request import count_words
from mm_magic.transport.exchange import Exchange, Reads

MODEL = "offline-demo"

# Seconds: long enough to be seen, short enough to be no nuisance in a class.
_CONNECTED = 0.15
_FIRST_WORD = 0.3
_THINKING = 1.2
_WORD_AT_MOST = 0.06
_PAUSE = 0.15
_REFUSED = 0.1
_SILENCE = 600.0

Ending: TypeAlias = Literal["whole", "stall", "cut"]
"""`stall` is 600 s of silence behind the text; `cut` breaks the body off there."""


class ToolCall(NamedTuple):
    """A function that is to be called, and its arguments."""

    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class DemoScript:
    """What is to be said; `thinking` may be "". `word_seconds` lie between two words of `text`.

    A `call` comes behind the text.
    """

    thinking: str
    text: str
    word_seconds: float
    ending: Ending = "whole"
    call: ToolCall | None = None

    def cut(self, limit: int | None) -> Self:
        """What a limit of so many words leaves of it: thinking comes first, and counts."""
        if limit is None or count_words(self.thinking) + count_words(self.text) <= limit:
            return self
        thinking = _first_words(self.thinking, limit)
        text = _first_words(self.text, limit - count_words(thinking))
        return replace(self, thinking=thinking, text=text, ending="whole", call=None)


@dataclass(frozen=True, slots=True)
class DemoReply:
    """A reply to be sent. `signature` is "" where the thinking is unfinished."""

    id: str
    script: DemoScript
    signature: str
    stop_reason: Literal["end_turn", "max_tokens", "tool_use"]
    input_words: int

    @property
    def usage(self) -> JsonObject:
        words = count_words(self.script.thinking) + count_words(self.script.text)
        return _usage(self.input_words, words)

    def call_block(self, given: JsonObject) -> JsonObject:
        """The block of the call with these arguments."""
        assert self.script.call is not None
        name = self.script.call.name
        return {"type": "tool_use", "id": f"call_{self.id[:16]}", "name": name, "input": given}


def streamed(reply: DemoReply, speed: float) -> Exchange:
    """The reply as server-sent events, to be played `speed` times as fast."""
    return _exchange(200, "text/event-stream", _stream(reply), _speed(reply, speed))


def whole(reply: DemoReply, speed: float) -> Exchange:
    """The reply as one JSON body, at the time at which its stream would have ended."""
    *_, (seconds, _data) = _stream(reply)
    content: list[JsonObject] = []
    if reply.script.thinking:
        block: JsonObject = {"thinking": reply.script.thinking, "type": "thinking"}
        content.append(block | ({"signature": reply.signature} if reply.signature else {}))
    if reply.script.text:
        content.append({"text": reply.script.text, "type": "text"})
    if (call := reply.script.call) is not None:
        content.append(reply.call_block(call.arguments))
    document = {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "usage": reply.usage,
        "stop_reason": reply.stop_reason,
        "base_resp": {"status_code": 0, "status_msg": "success"},
    }
    data = encode_json(document)
    if reply.script.ending == "cut":
        data = data[: len(data) // 2]
    return _exchange(200, "application/json", [(seconds, data)], _speed(reply, speed))


def refused(status: int, kind: str, message: str, request_id: str, speed: float) -> Exchange:
    """An HTTP error with the service's JSON body."""
    error = {"type": kind, "message": message}
    data = encode_json({"type": "error", "error": error, "request_id": request_id})
    return _exchange(status, "application/json", [(_REFUSED, data)], speed)


def words_of(text: str) -> Iterator[str]:
    """The words, each with the white space before it; what is left at the end comes last."""
    return (match.group() for match in re.finditer(r"\s*\S+|\s+\Z", text))


def _first_words(text: str, count: int) -> str:
    # Not a slice of text.split(): the white space between the words is Markdown, too.
    return "".join(islice(words_of(text), count))


def _speed(reply: DemoReply, speed: float) -> float:
    """A silence is there to be stopped, so it is as long as it says at any speed."""
    return 1.0 if reply.script.ending == "stall" else speed


def _exchange(
    status: int, content_type: str, chunks: Iterable[tuple[float, bytes]], speed: float
) -> Exchange:
    return Exchange(status, {"content-type": content_type}, _play(chunks), speed)


async def _play(chunks: Iterable[tuple[float, bytes]]) -> Reads:
    for chunk in chunks:
        yield chunk


def _stream(reply: DemoReply) -> Iterator[tuple[float, bytes]]:
    script = reply.script
    yield _CONNECTED, write(MessageStart(_opening(reply)))
    yield _CONNECTED, write(Ping())
    seconds, index = _FIRST_WORD, 0
    if script.thinking:
        words = list(words_of(script.thinking))
        pace = min(_THINKING / len(words), _WORD_AT_MOST)
        yield seconds, write(ContentBlockStart(index, {"type": "thinking", "thinking": ""}))
        for word in words:
            yield _ms(seconds), write(ThinkingDelta(index, word))
            seconds += pace
        if reply.signature:
            yield _ms(seconds), write(SignatureDelta(index, reply.signature))
        yield _ms(seconds), write(ContentBlockStop(index))
        index += 1
    if script.text:
        seconds += _PAUSE
        yield _ms(seconds), write(ContentBlockStart(index, {"type": "text", "text": ""}))
        for word in words_of(script.text):
            yield _ms(seconds), write(TextDelta(index, word))
            seconds += script.word_seconds
    if script.ending == "cut":
        return
    if script.ending == "stall":
        seconds += _SILENCE
    if script.text:
        yield _ms(seconds), write(ContentBlockStop(index))
    if script.call is not None:
        index += bool(script.text)
        yield _ms(seconds), write(ContentBlockStart(index, reply.call_block({})))
        given = encode_json(script.call.arguments).decode()
        for part in ("", given):  # as the service does
            yield _ms(seconds), write(InputJsonDelta(index, part))
        yield _ms(seconds), write(ContentBlockStop(index))
    yield _ms(seconds), write(MessageDelta(reply.stop_reason, None, reply.usage))
    yield _ms(seconds), write(MessageStop())


def _opening(reply: DemoReply) -> JsonObject:
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": MODEL,
        "stop_reason": None,
        "usage": _usage(reply.input_words, 0),
    }


def _usage(input_words: int, output_words: int) -> JsonObject:
    return {
        "input_tokens": input_words,
        "output_tokens": output_words,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _ms(seconds: float) -> float:
    """Whole milliseconds, so that what a status line shows has no floating-point noise."""
    return round(seconds, 3)
