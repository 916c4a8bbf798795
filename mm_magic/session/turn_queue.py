"""Lets one turn of a conversation through at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from threading import Lock

from mm_magic.errors import UsageError


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


_calling: ContextVar[frozenset[str]] = ContextVar("mm_magic_calling", default=frozenset())
"""The conversations whose turns wait for a function that runs here."""


@contextmanager
def calling_in(conversation: str | None) -> Iterator[None]:
    """While the body runs, a turn of this conversation waits for it."""
    before = _calling.set(_calling.get() | ({conversation} if conversation else frozenset()))
    try:
        yield
    finally:
        _calling.reset(before)


def check_not_called(conversation: str) -> None:
    """Raise UsageError where a turn of this conversation would wait for itself."""
    if conversation in _calling.get():
        raise UsageError(
            f"a function called during a turn of {conversation} can't ask in {conversation}: "
            "the turn and the function would wait for each other",
            next_steps=("In the function, leave `conversation` out, or name another one.",),
        )
