"""Reading an answer: the two clocks that end a dead one, and what is neither stream nor JSON."""

import asyncio
import gzip
import json
import math
from dataclasses import replace

import pytest
from support.loopback import (
    END,
    Answer,
    Loopback,
    Step,
    captured,
    chunk,
    delta,
    every,
    head,
    pause,
    send,
    sse,
    stall,
)
from support.recordings import EXCHANGE
from support.taking import PROMPT, check_captured, get, get_error, new_client
from support.wire import pieces

from mm_magic.errors import NetworkError, ProtocolError
from mm_magic.protocol.events import BaseRespEvent, Event, MessageStart, MessageStop, Ping
from mm_magic.protocol.messages import BaseResp
from mm_magic.transport.body import AnswerReader, Clocks, whole_body
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.player import Playback

SHORT = Clocks(silence=0.5, progress=0.5)
APART = Clocks(silence=5, progress=0.3)  # a busy machine's pauses are no silence
EMPTY_BLOCK = b"\0\0\0\xff\xff"  # of a compressed body: five bytes that hold none
PING = sse({"type": "ping"})
BEGUN = [head(), chunk(sse(*captured()[:4]))]

STANDSTILLS: dict[str, tuple[Answer, str]] = {
    "before the header": ([stall], "did not begin to answer within 0.5 s"),
    "in the middle of the header": (
        [send(b"HTTP/1.1 200 OK\r\n"), stall],
        "did not begin to answer",
    ),
    "before the first event": ([head(), stall], "nothing arrived for 0.5 s"),
    "after the first event": ([*BEGUN, stall], "nothing arrived for 0.5 s"),
    "in a JSON answer": (
        [head(200, "application/json"), chunk(b'{"id":'), stall],
        "nothing arrived",
    ),
    "endless pings": ([*BEGUN, every(0.02, PING)], "nothing but keep-alive signals for 0.3 s"),
    "endless comments": ([head(), every(0.02, b": wait\n\n")], "nothing but keep-alive signals"),
    "endless empty lines": ([head(), every(0.02, b"\n")], "nothing but keep-alive signals"),
    "endless compressed nothing": (
        [head(content_encoding="gzip"), chunk(gzip.compress(b"")[:10]), every(0.02, EMPTY_BLOCK)],
        "nothing arrived",
    ),
    "endless bytes of one line": (
        [head(), every(0.02, b"data: x")],
        "nothing but keep-alive signals",
    ),
}


@pytest.mark.parametrize("where", STANDSTILLS)
def test_standstill_ends_the_request(where: str) -> None:
    """A server that stands still is given up as a time-out, and its connection is closed."""
    answer, words = STANDSTILLS[where]
    with Loopback(answer) as server:
        error = get_error(server.url, clocks=APART if "keep-alive signals" in words else SHORT)
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
        (
            b"<html><body>Please log in</body></html>",
            "text/html",
            "got 'text/html': 'Please log in'",
        ),
        (b"Please log in", "", "got no content type: 'Please log in'"),
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
    with pytest.raises(NetworkError, match="nothing but keep-alive signals for 10 s"):
        reader.feed(115.1, part)


USAGE = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 50}}
REFUSAL = {"type": "x", "base_resp": {"status_code": 1027, "status_msg": "output sensitive"}}
WHOLE = captured()[:-1]  # up to its stop_reason
SIGNS = {
    "pings": PING,
    "comments": b": wait\n\n",
    "empty lines": b"\n",
    "empty data": b"data:\n\n",
    "ends": b"data: [DONE]\n\n",
    "bytes of one line": b"data: x",
    "unknown events": sse({"type": "heartbeat"}),
    "the usage again": sse(USAGE),
    "its end again": sse(WHOLE[-1]),
}


@pytest.mark.parametrize("sign", SIGNS)
def test_whole_answer_is_waited_for_briefly(sign: str) -> None:
    """After its stop_reason an answer is over in the seconds of `ending`, whatever goes on."""
    reader = AnswerReader("text/event-stream", Clocks(ending=3))
    reader.feed(100.0, sse(*WHOLE))
    for seconds, is_over in ((101.0, False), (102.9, False), (103.0, True)):
        reader.feed(seconds, SIGNS[sign])
        assert (reader.is_over, reader.left <= 0) == (is_over, is_over)


def test_content_behind_a_stop_reason_is_waited_for() -> None:
    """A server that goes on after its stop_reason is read on."""
    reader = AnswerReader("text/event-stream", Clocks(ending=3))
    reader.feed(100.0, sse(*WHOLE))
    reader.feed(102.0, sse(delta(1, "text_delta", text="More.")))
    reader.feed(104.0, PING)
    assert not reader.is_over
    reader.feed(105.0, PING)
    assert reader.is_over


@pytest.mark.parametrize("reason", [None, ""])
def test_no_stop_reason_ends_nothing(reason: str | None) -> None:
    """Usage alone, or an empty stop_reason, leaves the answer to the longer clocks."""
    reader = AnswerReader("text/event-stream", Clocks(ending=3))
    end = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {}}
    reader.feed(100.0, sse(*WHOLE[:-1], end))
    reader.feed(110.0, PING)
    assert not reader.is_over


AFTERWARDS: dict[str, list[Step]] = {
    "silence": [stall],
    "pings": [every(0.02, PING)],
    "comments": [every(0.02, b": wait\n\n")],
    "ends": [every(0.02, b"data: [DONE]\n\n")],
    "half an event": [chunk(b"event: message_st"), stall],
}
BRIEF = Clocks(silence=60, progress=60, ending=0.3)


@pytest.mark.parametrize("clocks", [BRIEF, SHORT], ids=["ending", "shorter clocks"])
@pytest.mark.parametrize("then", AFTERWARDS)
def test_whole_answer_without_an_end_is_complete(then: str, clocks: Clocks) -> None:
    """What stays open behind its stop_reason is complete, and the connection is closed."""
    with Loopback([head(), chunk(sse(*WHOLE)), *AFTERWARDS[then]]) as server:
        got = get(server.url, clocks=clocks)
        assert server.connections[0].closed.wait(20)
    check_captured(got.message)
    assert (got.accumulator.state, got.accumulator.error()) == ("complete", None)
    assert got.accumulator.skipped == 0


def test_late_usage_counts() -> None:
    """The usage that follows the stop_reason in time is the one that holds."""
    with Loopback([head(), chunk(sse(*WHOLE)), pause(0.1), chunk(sse(USAGE)), stall]) as server:
        got = get(server.url, clocks=replace(BRIEF, ending=2))
    assert (got.accumulator.state, got.message.usage.output_tokens) == ("complete", 50)


def test_late_refusal_counts() -> None:
    """A filter that refuses the answer behind its stop_reason fails it."""
    with Loopback([head(), chunk(sse(*WHOLE)), pause(0.1), chunk(sse(REFUSAL)), stall]) as server:
        got = get(server.url, clocks=replace(BRIEF, ending=20))
    assert got.accumulator.failure is not None
    assert (got.accumulator.state, got.accumulator.failure.code) == ("failed", 1027)


def test_script_is_waited_for() -> None:
    """A recording that pauses behind its stop_reason is played to its end."""
    reads = ((0.0, sse(*WHOLE)), (10.0, PING), (20.0, sse(REFUSAL)))
    script = Playback(replace(EXCHANGE, reads=reads), math.inf)

    async def main() -> list[Event]:
        arriving = new_client(Clocks()).stream(script, PROMPT, retries=0)
        return [event async for part in arriving for event in getattr(part, "events", [])]

    assert BaseRespEvent(BaseResp(1027, "output sensitive")) == asyncio.run(main())[-1]


def test_json_may_come_slowly() -> None:
    """A JSON answer that comes byte by byte, over any time, is read to its end."""
    reader = AnswerReader("application/json", Clocks(progress=1))
    wire: dict[str, object] = {"id": "1", "content": [{"type": "text", "text": "Hi"}]}
    for second, part in enumerate(pieces(json.dumps(wire).encode(), 1)):
        assert reader.feed(second * 0.9, part) == []
    assert [MessageStart(wire), MessageStop()] == reader.close()


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
