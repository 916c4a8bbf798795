"""Reading an answer: the two clocks that end a dead one, and what is neither stream nor JSON."""

import asyncio

import pytest
from loopback import (
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
from taking import check_captured, get, get_error, within

from mm_magic.errors import ProtocolError
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.reading import Batch, Clocks, batches, whole_body

SHORT = Clocks(silence=0.2, progress=0.3)
PING = sse({"type": "ping"})
BEGUN = [head(), chunk(sse(*captured()[:4]))]

STANDSTILLS: dict[str, tuple[Answer, str]] = {
    "before the header": ([stall], "no answer began within 0.2 s"),
    "in the middle of the header": ([send(b"HTTP/1.1 200 OK\r\n"), stall], "no answer began"),
    "before the first event": ([head(), stall], "no byte came for 0.2 s"),
    "after the first event": ([*BEGUN, stall], "no byte came for 0.2 s"),
    "in a JSON answer": ([head(200, "application/json"), chunk(b'{"id":'), stall], "no byte came"),
    "endless pings": ([*BEGUN, every(0.02, PING)], "nothing but signs of life for 0.3 s"),
    "endless comments": ([head(), every(0.02, b": wait\n\n")], "nothing but signs of life"),
    "endless empty lines": ([head(), every(0.02, b"\n")], "nothing but signs of life"),
    "endless bytes of one line": ([head(), every(0.02, b"data: x")], "nothing but signs of life"),
}


@pytest.mark.parametrize("where", STANDSTILLS)
def test_standstill_ends_the_request(where: str) -> None:
    """A server that stands still is given up as a time-out, and its connection is closed."""
    answer, words = STANDSTILLS[where]
    with Loopback(answer) as server, within(2):
        error = get_error(server.url, clocks=SHORT)
        assert server.connections[0].closed.wait(1)

    assert (error.kind, error.retryable) == ("timeout", True)
    assert words in str(error)


def test_slow_but_alive() -> None:
    """An answer slower than both clocks is read to its end, as long as events keep coming."""
    gap = Clocks(silence=0.15, progress=0.15)
    events = captured()
    paced = [step for event in events for step in (pause(0.06), chunk(sse(event)))]
    with Loopback([head(), *paced, END]) as server:
        got = get(server.url, clocks=gap)

    check_captured(got.message)
    assert got.seconds[-1] > 0.5


def scripted(*parts: bytes, status: int = 200, content_type: str = "") -> Exchange:
    """An exchange without a network."""

    async def chunks() -> Reads:
        for part in parts:
            yield 0.0, part

    return Exchange(status, {"content-type": content_type}, chunks())


def batches_of(exchange: Exchange) -> list[Batch]:
    async def main() -> list[Batch]:
        return [batch async for batch in batches(exchange, Clocks())]

    return asyncio.run(main())


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
        batches_of(scripted(body, content_type=content_type))
    assert words in str(caught.value)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n", b": hello\n\n"])
def test_stream_without_a_content_type(start: bytes, size: int) -> None:
    """A stream is known by its first bytes where the header does not say what it is."""
    body = start + sse(*captured())
    found = batches_of(scripted(*(body[i : i + size] for i in range(0, len(body), size))))
    assert sum(len(batch.events) for batch in found) == len(captured())


def test_last_event_without_its_blank_line() -> None:
    """The last event counts, though the server forgot the line that ends it."""
    found = batches_of(scripted(sse(*captured()).rstrip(), content_type="text/event-stream"))
    assert sum(len(batch.events) for batch in found) == len(captured())


def test_body_is_read_to_its_limit() -> None:
    """Of an endless body no more than the limit is kept."""
    exchange = scripted(*[b"x" * 1000] * 50, status=500)
    assert asyncio.run(whole_body(exchange, Clocks(), 2500)) == b"x" * 2500


@pytest.mark.parametrize("rest", [[chunk(b" no"), stall], [send(b"zz\r\n")]])
def test_error_is_told_though_its_body_breaks(rest: list[Step]) -> None:
    """An error status is told, though its body never ends or is broken."""
    with Loopback([head(500, "text/plain"), chunk(b"Oh"), *rest]) as server, within(2):
        error = get_error(server.url, clocks=SHORT)
    assert (error.kind, error.status) == ("server", 500)
    assert "Oh" in str(error)
