"""Lets one turn of a conversation through at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future, InvalidStateError
from contextlib import asynccontextmanager, suppress
from threading import Lock


class TurnQueue:
    """One may pass at a time, in the order of arrival, from any task, event loop or thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tickets: deque[Future[None]] = deque()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait until all who came before have left; leave at the end of the body."""
        ticket: Future[None] = Future()
        with self._lock:
            self._tickets.append(ticket)
            self._call_first()
        try:
            await asyncio.wrap_future(ticket)
            yield
        finally:
            with self._lock:
                self._tickets.remove(ticket)
                self._call_first()

    def _call_first(self) -> None:
        # One that is cancelled and not gone yet calls the next one when it goes.
        if self._tickets and not self._tickets[0].done():
            with suppress(InvalidStateError):
                self._tickets[0].set_result(None)
