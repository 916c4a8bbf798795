"""Recordings for tests: an exchange, and a file of exchanges."""

from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording.file_format import RecordedExchange, header

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
