"""The client closes its connections, however an answer ends, and keeps those worth keeping."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextlib import aclosing

import pytest
from support.loopback import (
    Answer,
    Loopback,
    captured,
    chunk,
    close,
    failure,
    head,
    reset,
    sse,
    stall,
    streamed,
)
from support.taking import PROMPT, Got, check_captured, get, new_client, take
from support.timing import PATIENT, within_half_a_second

from mm_magic.transport.endpoint import Endpoint


async def until_closed(server: Loopback, seconds: float) -> None:
    """The client closes the first connection within `seconds`."""
    assert await asyncio.to_thread(server.connections[0].closed.wait, seconds)


STAGES: dict[str, tuple[Answer, Callable[[Got, Loopback], bool]]] = {
    "before the header": ([stall], lambda _, server: server.arrived.is_set()),
    "before the first event": ([head(), stall], lambda _, server: server.arrived.is_set()),
    "in the thinking": (
        [head(), chunk(sse(*captured()[:4])), stall],
        lambda got, _: bool(got.message.thinking),
    ),
    "in the text": (
        [head(), chunk(sse(*captured()[:8])), stall],
        lambda got, _: bool(got.message.text),
    ),
}


@pytest.mark.parametrize("stage", STAGES)
@within_half_a_second
def test_cancelled_stream_closes_its_connection(stage: str, limit: float) -> None:
    """Cancelled at any stage, the client has closed the socket within half a second."""
    answer, reached = STAGES[stage]

    async def main(server: Loopback) -> None:
        got = Got()
        task = asyncio.create_task(take(new_client(), server.url, got))
        async with asyncio.timeout(30):
            while not reached(got, server):
                await asyncio.sleep(0.005)
        task.cancel()
        await until_closed(server, limit)
        with pytest.raises(asyncio.CancelledError):
            await task

    with Loopback(answer) as server:
        asyncio.run(main(server))


@within_half_a_second
def test_abandoned_stream_closes_its_connection(limit: float) -> None:
    """Who stops reading and closes the generator has closed the connection too."""

    async def main(server: Loopback) -> None:
        async with aclosing(new_client().stream(Endpoint(server.url), PROMPT, retries=0)) as got:
            await anext(got)
        await until_closed(server, limit)

    with Loopback([head(), chunk(sse(*captured()[:4])), stall]) as server:
        asyncio.run(main(server))


@within_half_a_second
def test_cancelled_while_waiting_to_try_again(limit: float) -> None:
    """Cancelled in the wait before a retry, the client sends nothing more."""

    async def main(server: Loopback) -> None:
        got = Got()
        task = asyncio.create_task(take(new_client(), server.url, got, n=2))
        async with asyncio.timeout(30):
            while not got.retries:
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait({task}, timeout=limit)
        assert task.cancelled()

    with Loopback(failure(429, "busy (1002)", retry_after="30")) as server:
        asyncio.run(main(server))
        assert len(server.requests) == 1


@pytest.mark.parametrize("rest", [b"", b": bye\n\n", b"data: [DONE]\n\n"])
def test_answer_is_over_at_message_stop(rest: bytes) -> None:
    """After `message_stop` nothing is waited for, though the server keeps the socket open."""
    with Loopback([head(), chunk(sse(*captured()) + rest), stall]) as server:
        check_captured(get(server.url).message)


def test_connection_is_used_again() -> None:
    """Two requests on one loop take one connection, if the first answer ended properly."""

    async def main(url: str) -> None:
        client = new_client()
        for _ in range(2):
            check_captured((await take(client, url, Got())).message)

    with Loopback(streamed()) as server:
        asyncio.run(main(server.url))
        assert [connection.served for connection in server.connections] == [2]


@pytest.mark.parametrize("end", [reset, close])
def test_dead_connection_is_replaced(end: Answer) -> None:
    """A kept connection that the server closed meanwhile costs a new one, not an error."""
    assert callable(end)

    async def main(server: Loopback) -> None:
        client = new_client()
        await take(client, server.url, Got())
        end(server.connections[0])
        check_captured((await take(client, server.url, Got(), n=1)).message)

    with Loopback(streamed()) as server:
        asyncio.run(main(server))
        assert len(server.connections) == 2


def test_loops_that_ended_are_forgotten() -> None:
    """A client that served many loops, one after another, keeps none of them in memory."""
    client = new_client()
    loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    async def main(url: str) -> None:
        loops.add(asyncio.get_running_loop())
        await take(client, url, Got())

    with Loopback(streamed()) as server:
        for _ in range(3):
            asyncio.run(main(server.url))
        for connection in server.connections:
            assert connection.closed.wait(30)
    gc.collect()
    assert not list(loops)


def test_aclose_closes_what_is_kept() -> None:
    """`aclose` closes the kept connections of this loop, and the client works on afterwards."""

    async def main(server: Loopback) -> None:
        client = new_client()
        await take(client, server.url, Got())
        await client.aclose()
        await until_closed(server, PATIENT)
        check_captured((await take(client, server.url, Got())).message)

    with Loopback(streamed()) as server:
        asyncio.run(main(server))
