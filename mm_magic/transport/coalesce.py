"""Joins what came together: a body is read by what has arrived, not piece by piece.

A server writes an event into an HTTP chunk, and the HTTP library hands over each chunk by itself,
also where one packet held hundreds. Joined, they are decoded at once. And where events come faster
than anybody sees them, the socket is looked at now and then, and not for each of them: to wake up
costs more than to read.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

FAST = 0.01
"""Seconds between two reads under which a stream is faster than a reader can see."""
REST = 0.05
"""Seconds for which a fast stream is left alone at most; what comes waits in the socket."""
SHARE = 0.05
"""The largest part that a rest may be of the time since the answer began."""
AHEAD = 1024 * 1024
"""Bytes that may wait to be taken: what else comes stays in the socket. One piece may hold more,
if it was compressed."""
TRICKLE = 4096
"""Bytes from one read to the next: who sends more fills the socket, and is not left alone."""


async def gathered(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield all that has come since the last time, joined; at the end raise what `pieces` raised.

    The first piece comes by itself, on the shortest way. Nothing waits longer than two rests, and
    in the first 0.2 s nothing waits.
    """
    rest = aiter(pieces)
    try:
        yield await anext(rest)
    except StopAsyncIteration:
        return
    arrived: list[bytes] = []
    came, taken = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(_gather(rest, arrived, came, taken))
    try:
        while arrived or not task.done():
            await came.wait()
            came.clear()
            if arrived:
                data = b"".join(arrived)
                arrived.clear()
                taken.set()
                yield data
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _gather(
    pieces: AsyncIterator[bytes], arrived: list[bytes], came: asyncio.Event, taken: asyncio.Event
) -> None:
    """Put the pieces into `arrived`, and tell with `came` that there is something, or the end.

    Where much has arrived, wait for `taken`.
    """
    time = asyncio.get_running_loop().time
    began = looked = time()
    size = ahead = 0
    try:
        async for piece in pieces:
            size += len(piece)
            if not came.is_set():  # who takes them ran: this task has waited for the socket
                now = time()
                rest = min(REST, (now - began) * SHARE)
                if size < TRICKLE and now - looked < FAST < rest:
                    await asyncio.sleep(rest)
                size, looked = 0, time()
            ahead = len(piece) + (ahead if came.is_set() else 0)
            arrived.append(piece)
            came.set()
            if ahead >= AHEAD:
                taken.clear()
                await taken.wait()
    finally:
        came.set()
