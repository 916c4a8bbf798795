"""Reading an answer: the two clocks that end a dead one, and what is neither stream nor JSON."""

import asyncio
import gzip

import pytest
from support.loopback import (
    END,
    Answer,
    Loopback,
    Step,
    captured,
    chunk,
    every,
    head,
    pause,
    send,
    sse,
    stall,
)
from support.taking import check_captured, get, get_error
from support.wire import pieces

from mm_magic.errors import NetworkError, ProtocolError
from mm_magic.protocol.events import ContentBlockStart, Event, Ping
from mm_magic.transport.body import AnswerReader, Clocks, whole_body
from mm_magic.transport.exchange import Exchange, Reads

TEXT_BLOCK = ContentBlockStart(0, {"type": "text", "text": "Hi"})
SHORT = Clocks(silence=0.5, progress=0.5)
APART = Clocks(silence=5, progress=0.3)  # a busy machine's pauses are no silence
EMPTY_BLOCK = b"\0\0\0\xff\xff"  # of a compressed body: five bytes that hold none
PING = sse({"type": "ping"})
BEGUN = [head(), chunk(sse(*captured()[:4]))]

STANDSTILLS: dict[str, tuple[Answer, str]] = {
    "before the header": ([stall], "no answer began within 0.5 s"),
    "in the middle of the header": ([send(b"HTTP/1.1 200 OK\r\n"), stall], "no answer began"),
    "before the first event": ([head(), stall], "no byte came for 0.5 s"),
    "after the first event": ([*BEGUN, stall], "no byte came for 0.5 s"),
    "in a JSON answer": ([head(200, "application/json"), chunk(b'{"id":'), stall], "no byte came"),
    "endless pings": ([*BEGUN, every(0.02, PING)], "nothing but signs of life for 0.3 s"),
    "endless comments": ([head(), every(0.02, b": wait\n\n")], "nothing but signs of life"),
    "endless empty lines": ([head(), every(0.02, b"\n")], "nothing but signs of life"),
    "endless compressed nothing": (
        [head(content_encoding="gzip"), chunk(gzip.compress(b"")[:10]), every(0.02, EMPTY_BLOCK)],
        "no byte came",
    ),
    "endless bytes of one line": ([head(), every(0.02, b"data: x")], "nothing but signs of life"),
}


@pytest.mark.parametrize("where", STANDSTILLS)
def test_standstill_ends_the_request(where: str) -> None:
    """A server that stands still is given up as a time-out, and its connection is closed."""
    answer, words = STANDSTILLS[where]
    with Loopback(answer) as server:
        error = get_error(server.url, clocks=APART if "signs of life" in words else SHORT)
        assert server.connections[0].closed.wait(20)

    assert (error.kind, error.retryable) == ("timeout", True)
    assert words in str(error)


def test_unpacked_answer_comes_in_small_reads() -> None:
    """What a few compressed bytes grow to is taken by the MiB, and all of it."""
    events = b"data: %b\n\n" % (b"x" * 2**14) * 256
    packed = chunk(gzip.compress(events))
    with Loopback([head(content_encoding="gzip"), packed, END]) as server:
        got = get(server.url)
    assert got.accumulator.skipped == 256
    assert len(got.seconds) >= 4


@pytest.mark.timed
def test_slow_but_alive() -> None:
    """An answer slower than both clocks is read to its end, as long as events keep coming."""
    gap = Clocks(silence=0.15, progress=0.15)
    events = captured()
    paced = [step for event in events for step in (pause(0.06), chunk(sse(event)))]
    with Loopback([head(), *paced, END]) as server:
        got = get(server.url, clocks=gap)

    check_captured(got.message)
    assert got.seconds[-1] > 0.5


def events_of(*parts: bytes, content_type: str = "") -> list[Event]:
    """The events of an answer that comes in these parts."""
    reader = AnswerReader(content_type, Clocks())
    events = [event for part in parts for event in reader.feed(0.0, part)]
    return events + reader.close()


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"<html><body>Please log in</body></html>", "text/html", "Please log in"),
        (b"Please log in", "", "no content type"),
        (b'{"id": "1", "content": [{"type": "te', "application/json", "can't be read"),
        (b"[1, 2, 3]", "application/json", "[1, 2, 3]"),
    ],
)
def test_neither_stream_nor_json(body: bytes, content_type: str, words: str) -> None:
    """A page, half a JSON answer or another JSON value is an error that shows what came."""
    with pytest.raises(ProtocolError) as caught:
        events_of(body, content_type=content_type)
    assert words in str(caught.value)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n", b": hello\n\n"])
def test_stream_without_a_content_type(start: bytes, size: int) -> None:
    """A stream is known by its first bytes where the header does not say what it is."""
    body = start + sse(*captured())
    assert len(events_of(*pieces(body, size))) == len(captured())


def test_last_event_without_its_blank_line() -> None:
    """The last event counts, though the server forgot the line that ends it."""
    body = sse(*captured()).rstrip()
    assert len(events_of(body, content_type="text/event-stream")) == len(captured())


@pytest.mark.parametrize("part", [PING, b": wait\n\n", b"\n", b"data: x"])
def test_patience_with_signs_of_life_counts_from_the_last_event(part: bytes) -> None:
    """Bytes without an event are waited with for the seconds of `progress`, and no longer."""
    reader = AnswerReader("text/event-stream", Clocks(progress=10))
    reader.feed(100.0, sse(captured()[0]))
    reader.feed(105.0, sse(*captured()[1:4]))
    assert all(event == Ping() for event in reader.feed(115.0, part))
    with pytest.raises(NetworkError, match="nothing but signs of life for 10 s"):
        reader.feed(115.1, part)


def test_json_may_come_slowly() -> None:
    """A JSON answer that comes byte by byte, over any time, is read to its end."""
    reader = AnswerReader("application/json", Clocks(progress=1))
    body = b'{"id": "1", "content": [{"type": "text", "text": "Hi"}]}'
    for second, part in enumerate(pieces(body, 1)):
        assert reader.feed(second * 0.9, part) == []
    assert TEXT_BLOCK in reader.close()


@pytest.mark.parametrize("body", [b"", b"\n", b": hi\n\n", b"ok"])
def test_answer_without_an_event_is_empty(body: bytes) -> None:
    """A body that ends without an event is an error that may be asked for again."""
    with pytest.raises(ProtocolError, match="empty answer") as caught:
        events_of(body, content_type="text/event-stream")
    assert caught.value.retryable


def test_body_is_read_to_its_limit() -> None:
    """Of an endless body no more than the limit is kept."""

    async def chunks() -> Reads:
        for _ in range(50):
            yield 0.0, b"x" * 1000

    exchange = Exchange(500, {}, chunks())
    assert asyncio.run(whole_body(exchange, Clocks(), 2500)) == b"x" * 2500


@pytest.mark.parametrize("rest", [[chunk(b" no"), stall], [send(b"zz\r\n")]])
def test_error_is_told_though_its_body_breaks(rest: list[Step]) -> None:
    """An error status is told, though its body never ends or is broken."""
    with Loopback([head(500, "text/plain"), chunk(b"Oh"), *rest]) as server:
        error = get_error(server.url, clocks=SHORT)
    assert (error.kind, error.status) == ("server", 500)
    assert "Oh" in str(error)
