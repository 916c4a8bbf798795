"""Events of 10 MB: what they cost, and what is kept of an event that has no end."""

import json
import tracemalloc
from collections.abc import Callable

import pytest
from support.loopback import captured, sse
from support.timing import seconds_of
from support.wire import pieces

from mm_magic.errors import ProtocolError
from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.messages import Message
from mm_magic.transport.body import AnswerReader, Clocks

SIZE = 10_000_000
MEGABYTES = 60.0
READ = 65_536
# Python takes four bytes for each byte still to come, once it has met an emoji.
MORE = {("whole", "emoji"): 80.0}


def answer(text: str) -> bytes:
    return sse(*captured(text=text))


def tool(text: str) -> bytes:
    events = captured()
    block = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
    piece = {
        "type": "input_json_delta",
        "partial_json": json.dumps({"a": text}, ensure_ascii=False),
    }
    return sse(
        *events[:-2],
        {"type": "content_block_start", "index": 2, "content_block": block},
        {"type": "content_block_delta", "index": 2, "delta": piece},
        *events[-2:],
    )


def whole(text: str) -> bytes:
    content = [{"type": "text", "text": text}]
    message = {"id": "1", "content": content, "stop_reason": "end_turn"}
    return json.dumps(message, ensure_ascii=False).encode()


TEXTS: dict[str, str] = {
    "letters": "x" * SIZE,
    "escapes": '"\n' * (SIZE // 4),
    "characters of three bytes": "終" * (SIZE // 3),
    "emoji": "🙂" * (SIZE // 4),
    "brackets": "[{" * (SIZE // 2),
}
FORMS: dict[str, Callable[[str], bytes]] = {"event": answer, "tool": tool, "whole": whole}


def body_of(form: str, kind: str, size: int = SIZE) -> bytes:
    """A body of this many bytes, 10 MB by default."""
    text = TEXTS[kind]
    too_long = len(FORMS[form](text)) / size
    body = FORMS[form](text[: int(len(text) / too_long) // 2 * 2])
    assert 0.9 * size < len(body) < 1.1 * size
    return body


def read(body: bytes) -> Message:
    reader, accumulator = AnswerReader("", Clocks()), Accumulator()
    for part in pieces(body, READ):
        accumulator.add(reader.feed(0.0, part))
    accumulator.add(reader.close())
    accumulator.end()
    assert accumulator.state == "complete"
    return accumulator.message()


@pytest.mark.timed
@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("form", FORMS)
def test_large_event_is_cheap(form: str, kind: str) -> None:
    """An event or answer of 10 MB takes four times what 2.5 MB take, not sixteen times."""
    large, small = body_of(form, kind), body_of(form, kind, SIZE // 4)
    assert seconds_of(lambda: read(large)) < 8 * seconds_of(lambda: read(small))


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("form", FORMS)
def test_large_event_is_small_in_memory(form: str, kind: str) -> None:
    """An event or an answer of 10 MB takes 60 MB at most while it is read, beside its body."""
    body = body_of(form, kind)
    tracemalloc.start()
    try:
        message = read(body)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert len(str(message.content)) > 0.2 * SIZE
    print(f"{form}, {kind}: {peak:.0f} MB")
    assert peak < MORE.get((form, kind), MEGABYTES)


BOM = b"\xef\xbb\xbf"
STREAM = "text/event-stream"
# An answer's beginning, and what follows it again and again.
WITHOUT_AN_EVENT = {
    "a line": (b"data: ", b"x" * READ),
    "lines": (b"", b"data: " + b"x" * READ + b"\n"),
    "a name": (b"event: ", b"x" * READ),
    "a comment": (b":", b"x" * READ),
    "blanks": (b"", b" " * READ),
    "blanks behind a byte order mark": (BOM, b" " * READ),
    "comments behind an event": (b"data: {}\n\n", b": " + b"x" * READ + b"\n\n"),
    "pings": (b"", b'data: {"type": "ping", "x": "%b"}\n\n' % (b"x" * READ)),
    "a JSON answer": (b'{"id": "', b"x" * READ),
}


def feed(reader: AnswerReader, part: bytes, *, times: int) -> None:
    for _ in range(times):
        reader.feed(0.0, part)


@pytest.mark.parametrize("kind", WITHOUT_AN_EVENT)
def test_what_never_becomes_an_event_is_given_up(kind: str) -> None:
    """More than 64 MiB without an event, whatever they are made of, end in an error."""
    beginning, part = WITHOUT_AN_EVENT[kind]
    reader = AnswerReader(STREAM, Clocks())
    reader.feed(0.0, beginning)
    feed(reader, part, times=2**26 // len(part) - 1)
    with pytest.raises(ProtocolError, match="more than 64 MiB without a complete event"):
        feed(reader, part, times=3)


def test_long_answer_has_no_bound() -> None:
    """An answer of more than 64 MiB is read, as long as its events are smaller."""
    reader, event = AnswerReader(STREAM, Clocks()), sse({"type": "x", "x": "x" * 2**20})
    for _ in range(70):
        assert reader.feed(0.0, event)
        reader.feed(0.0, b":" + b"x" * READ + b"\n")


@pytest.mark.parametrize(
    ("beginning", "part"),
    [
        (b"", b" " * READ),
        (BOM, b" " * READ),
        (BOM, b"\r\n" * READ),
        (b"", b"\n" * READ),
        (b":", b"x" * READ),
        (b"", b": " + b"x" * READ + b"\n"),
        (b"id: 1\n", b"id: " + b"x" * READ + b"\n"),
        (b"", b"data\n\n" * 500),
    ],
)
def test_what_means_nothing_takes_no_memory(beginning: bytes, part: bytes) -> None:
    """White space, comments, ids and empty events are dropped as they come."""
    reader = AnswerReader(STREAM, Clocks())
    reader.feed(0.0, beginning)
    tracemalloc.start()
    try:
        feed(reader, part, times=100)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert peak < 5
