"""The embedded backend's replies as the service's bytes, each with its scripted time.

The shapes are those captured from the service: blocks in order, one signature before the stop of
the thinking, LF line ends. No clock is read: whoever plays an exchange waits.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to be sent. `word_seconds` is the time from one word of the text to the next.

    `thinking` is "" when it is switched off, `signature` "" when the thinking is unfinished. The
    ending is `whole`, `stall` (600 s of silence behind the text) or `cut` (the body ends there).
    """

    id: str
    thinking: str
    signature: str
    text: str
    stop_reason: Literal["end_turn", "max_tokens"]
    input_words: int
    output_words: int
    word_seconds: float
    ending: Literal["whole", "stall", "cut"]

    @property
    def usage(self) -> dict[str, int]:
        return _usage(self.input_words, self.output_words)


def streamed(reply: Reply) -> Exchange:
    """The reply as server-sent events."""
    return Exchange(200, {"content-type": "text/event-stream"}, _play(_stream(reply)))


def whole(reply: Reply) -> Exchange:
    """The reply as one JSON body, at the time at which its stream would have ended."""
    *_, (seconds, _data) = _stream(reply)
    content: list[dict[str, object]] = []
    if reply.thinking:
        block: dict[str, object] = {"thinking": reply.thinking, "type": "thinking"}
        content.append(block | ({"signature": reply.signature} if reply.signature else {}))
    if reply.text:
        content.append({"text": reply.text, "type": "text"})
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
    data = _json(document)
    if reply.ending == "cut":
        data = data[: len(data) // 2]
    return Exchange(200, {"content-type": "application/json"}, _play([(seconds, data)]))


def refused(status: int, kind: str, message: str, request_id: str) -> Exchange:
    """An HTTP error with the service's JSON body."""
    error = {"type": kind, "message": message}
    data = _json({"type": "error", "error": error, "request_id": request_id})
    return Exchange(status, {"content-type": "application/json"}, _play([(_REFUSED, data)]))


def words_of(text: str) -> Iterator[str]:
    """The words, each with the white space before it; what is left at the end comes last."""
    return (match.group() for match in re.finditer(r"\s*\S+|\s+\Z", text))


async def _play(chunks: Iterable[tuple[float, bytes]]) -> Reads:
    for chunk in chunks:
        yield chunk


def _stream(reply: Reply) -> Iterator[tuple[float, bytes]]:
    yield _CONNECTED, _event("message_start", message=_opening(reply))
    yield _CONNECTED, _event("ping")
    seconds, index = _FIRST_WORD, 0
    if reply.thinking:
        words = list(words_of(reply.thinking))
        pace = min(_THINKING / len(words), _WORD_AT_MOST)
        yield seconds, _start(index, {"type": "thinking", "thinking": ""})
        for word in words:
            yield _ms(seconds), _delta(index, "thinking_delta", thinking=word)
            seconds += pace
        if reply.signature:
            yield _ms(seconds), _delta(index, "signature_delta", signature=reply.signature)
        yield _ms(seconds), _event("content_block_stop", index=index)
        index += 1
    if reply.text:
        seconds += _PAUSE
        yield _ms(seconds), _start(index, {"type": "text", "text": ""})
        for word in words_of(reply.text):
            yield _ms(seconds), _delta(index, "text_delta", text=word)
            seconds += reply.word_seconds
    if reply.ending == "cut":
        return
    if reply.ending == "stall":
        seconds += _SILENCE
    if reply.text:
        yield _ms(seconds), _event("content_block_stop", index=index)
    stop = {"stop_reason": reply.stop_reason}
    yield _ms(seconds), _event("message_delta", delta=stop, usage=reply.usage)
    yield _ms(seconds), _event("message_stop")


def _opening(reply: Reply) -> dict[str, object]:
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": MODEL,
        "stop_reason": None,
        "usage": _usage(reply.input_words, 0),
    }


def _usage(input_words: int, output_words: int) -> dict[str, int]:
    return {
        "input_tokens": input_words,
        "output_tokens": output_words,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _start(index: int, block: Mapping[str, object]) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, kind: str, **fields: str) -> bytes:
    return _event("content_block_delta", index=index, delta={"type": kind, **fields})


def _event(kind: str, **fields: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode("ascii"), _json({"type": kind, **fields}))


def _json(value: object) -> bytes:
    # A lone surrogate in a prompt has no UTF-8 form; "?" stands for it when it is told back.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _ms(seconds: float) -> float:
    """Whole milliseconds, so that what a status line shows has no floating-point noise."""
    return round(seconds, 3)
