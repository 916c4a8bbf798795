"""Recordings for tests: an exchange, and a file of exchanges."""

import hashlib
import json
from collections.abc import Sequence

from mm_magic.protocol.json_values import JsonObject, encode_json
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording.file_format import RecordedExchange, header
from support.scripted import Answer, stream_of

THOUGHT: JsonObject = {"type": "thinking", "thinking": "Hm.", "signature": "5f"}

NIGHT: JsonObject = {"role": "user", "content": "And at night?"}
EARLIER = (("0123456789abcdef", "fedcba9876543210"),)
ASKED: JsonObject = {"model": "MiniMax-M2.5", "temperature": 0.3, "max_tokens": 2048}
REQUEST_KEY = RequestKey(ASKED, EARLIER, NIGHT)
EXCHANGE = RecordedExchange(
    key=REQUEST_KEY,
    sample=1,
    day="2026-11-20",
    backend="minimax",
    server="1",
    model="MiniMax-M2.7",
    ending="complete",
    status=200,
    content_type="text/event-stream",
    reads=((0.153, b"event: ping\ndata: {}\n\n"), (1.2, "…".encode()[:1])),
)


def file_of(*exchanges: RecordedExchange) -> bytes:
    return b"\n".join([header(), *(each.to_line() for each in exchanges), b""])


def line_of_0_1(
    prompt: str,
    text: str,
    *,
    nth: int = 0,
    earlier: Sequence[JsonObject] = (),
    answer: Sequence[JsonObject] = (),
    ending: str = "complete",
    **parameters: object,
) -> bytes:
    """A line as version 0.1 wrote it: `answer`, or thinking and `text`, after earlier messages."""
    sent = {"model": "MiniMax-M2.7", "stream": True, "max_tokens": 2048, "temperature": 1}
    sent |= {"top_p": 0.95, **parameters}
    given = {name: value for name, value in sent.items() if value is not None}
    message = {"role": "user", "content": prompt}
    before = [_print(each) for each in earlier]
    events = stream_of(Answer("whole", tuple(answer or (THOUGHT, {"type": "text", "text": text}))))
    return encode_json(
        {
            "hash": _print([given, _print(message), before]),
            "nth": nth,
            "day": "2026-11-20",
            "backend": "url",
            "server": "1",
            "model": given["model"],
            "ending": ending,
            "status": 200,
            "content_type": "text/event-stream",
            "request": {"messages": [*before, message], **given},
            "reads": [[0.1, events.decode()]],
        }
    )


def file_of_0_1(*lines: bytes) -> bytes:
    """A recording of version 0.1."""
    return b"\n".join([encode_json({"format": "mm_magic recording", "version": 1}), *lines, b""])


def _print(value: object) -> str:
    """A fingerprint of version 0.1."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
