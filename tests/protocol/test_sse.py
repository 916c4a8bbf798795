"""The event-stream decoder: the same events however the bytes are cut, in linear time."""

import base64
import json
import random
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpora import own_streams
from support.hostile import load
from support.timing import seconds_of
from support.wire import pieces

from mm_magic.protocol.sse import EventStreamDecoder, ServerSentEvent

TOKENS = [b"data", b"event", b"id", b"retry", b":", b" ", b"\r", b"\n", b"\r\n", b"\n\n", b"x"]
TOKENS += [b"\0", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"\xff", b"42"]


def decode(
    reads: Iterable[bytes], decoder: EventStreamDecoder | None = None
) -> list[ServerSentEvent]:
    decoder = decoder or EventStreamDecoder()
    return [event for part in reads for event in decoder.feed(part)]


def at_random(data: bytes, seed: int) -> list[bytes]:
    cuts = sorted(random.Random(seed).choices(range(len(data) + 1), k=40))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def by_the_book(data: bytes) -> list[ServerSentEvent]:
    """The specification's rules word for word, for a stream that is all there."""
    stream = data.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _ = stream.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    events, name, lines_of_data = [], "", list[str]()
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if lines_of_data:
                events.append(ServerSentEvent(name or "message", "\n".join(lines_of_data)))
            name, lines_of_data = "", []
        elif field == "data":
            lines_of_data.append(value)
        elif field == "event":
            name = value
    return events


def test_web_platform_cases_give_the_same_events_however_they_are_cut() -> None:
    """Every case of the web-platform corpus gives its events whole, by bytes and at every split."""
    for case in load("wpt_sse_cases.json")["cases"]:
        if "body_zb64" in case:
            body = zlib.decompress(base64.b64decode(case["body_zb64"]))
            due = json.loads(zlib.decompress(base64.b64decode(case["expect_events_zb64"])))
        else:
            body, due = base64.b64decode(case["body_b64"]), case["expect"]["events"]
        if case["expect"]["connection"] == "fail":
            continue  # refused by its status or its media type, before the decoder sees it
        expected = [ServerSentEvent(e["type"], e["data"]) for e in due]
        assert (case["id"], expected) == (case["id"], decode([body]))
        assert (case["id"], expected) == (case["id"], decode(pieces(body, 1)))
        if len(body) <= 4000:
            for at in range(len(body)):
                assert (case["id"], at, expected) == (
                    case["id"],
                    at,
                    decode([body[:at], body[at:]]),
                )
        else:
            for seed in range(5):
                assert expected == decode(at_random(body, seed)), (case["id"], seed)


def test_own_streams_give_the_same_events_however_they_are_cut() -> None:
    """Every stream of odd servers gives what the specification says, by bytes and at any split."""
    for stream in own_streams():
        body, expected = stream.body, by_the_book(stream.body)
        assert expected == decode([body]), stream.name
        assert expected == decode(pieces(body, 1)), stream.name
        for at in range(len(body)) if len(body) <= 1000 else ():
            assert expected == decode([body[:at], body[at:]]), (stream.name, at)
        for seed in range(5):
            assert expected == decode(at_random(body, seed)), (stream.name, seed)


def test_utf8_is_decoded_the_same_at_every_split() -> None:
    """Characters and broken bytes inside a delta come out the same wherever a read ends."""
    for case in load("utf8_split_cases.json")["cases"]:
        body = b'data: {"text":"' + base64.b64decode(case["bytes_b64"]) + b'"}\n\n'
        for at in range(len(body)):
            (event,) = decode([body[:at], body[at:]])
            assert f'{{"text":"{case["expect"]}"}}' == event.data, (case["id"], at)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join), st.integers())
def test_any_stream_at_any_cuts_follows_the_specification(data: bytes, seed: int) -> None:
    """Any mixture of fields, line ends and odd bytes, cut anywhere, gives the events due."""
    expected = by_the_book(data)
    assert expected == decode([data])
    assert expected == decode(pieces(data, 1))
    assert expected == decode(at_random(data, seed))


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("rest", [b"", b"last", b"last\n", b"last\r"])
def test_close_gives_the_event_that_lacks_its_blank_line(end: bytes, rest: bytes) -> None:
    """The last event isn't lost where the stream ends without its blank line, or within a line."""
    decoder = EventStreamDecoder()
    reads = [b"event: a" + end + b"data: first" + end + end + b"data: ", rest]
    events = decode(reads, decoder)
    assert [ServerSentEvent("a", "first")] == events
    assert [ServerSentEvent("message", rest.decode().strip())] == decoder.close()
    assert decoder.close() == []


def test_close_gives_nothing_where_nothing_is_open() -> None:
    """A stream that ended well, an empty one and a lone byte order mark leave no event."""
    for body in (b"data: x\n\n", b"data: x\r\n\r\n", b"", b"\xef\xbb\xbf", b"event: e\n", b": c"):
        decoder = EventStreamDecoder()
        decoder.feed(body)
        assert decoder.close() == [], body


def test_an_event_comes_with_the_read_that_holds_its_blank_line() -> None:
    """No event waits for the next read, also where a CR ends it and a LF may follow."""
    decoder = EventStreamDecoder()
    assert decoder.feed(b"data: a\r\n\r"[:-1]) == []
    assert [ServerSentEvent("message", "a")] == decoder.feed(b"\r")
    assert decoder.feed(b"\n") == []
    assert [ServerSentEvent("message", "b")] == decoder.feed(b"data: b\n\n")


def test_a_comment_takes_no_memory() -> None:
    """20 MB of one comment leave the decoder as small as it was."""
    decoder, part = EventStreamDecoder(), b"x" * 65536
    decoder.feed(b":")
    tracemalloc.start()
    try:
        decode([part] * 320, decoder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


@pytest.mark.timed
def test_a_long_event_in_small_reads_costs_linear_time() -> None:
    """Four times the bytes of one event take four times as long, not sixteen times."""

    def seconds(size: int) -> float:
        one_line, many_lines = b"data: " + b"x" * size + b"\n", b"data: y\n" * (size // 8)
        reads = pieces(one_line + many_lines + b"\n", 64)
        return seconds_of(lambda: decode(reads))

    assert seconds(2_000_000) < 8 * seconds(500_000)
