"""Lets one turn of a conversation through at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from threading import Lock, Thread, current_thread
from threading import enumerate as enumerate_threads

from mm_magic.errors import UsageError


class TurnQueue:
    """One may pass at a time, in the order of arrival, from any task, event loop or thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tickets: deque[Future[None]] = deque()
        self._threads: frozenset[Thread] | None = None  # those that there were before a call

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

    @contextmanager
    def calling(self) -> Iterator[None]:
        """While the body runs, the turn that has passed waits for a function."""
        before = _calling.set(_calling.get() | {self})
        self._threads = frozenset(enumerate_threads())
        try:
            yield
        finally:
            self._threads = None
            _calling.reset(before)

    def check(self, conversation: str) -> None:
        """Raise UsageError where a turn of this conversation would wait for itself.

        A thread does not know what began it. One that began during a call counts as the function's:
        if it is, it would wait for ever.
        """
        is_of_call = self._threads is not None and current_thread() not in self._threads
        if self in _calling.get() or is_of_call:
            raise UsageError(
                f"a function called during a turn of {conversation} can't ask in {conversation}: "
                "the turn and the function would wait for each other",
                next_steps=("In the function, leave `conversation` out, or name another one.",),
            )

    def _call_first(self) -> None:
        # One that is cancelled and not gone yet calls the next one when it goes.
        if self._tickets and not self._tickets[0].done():
            with suppress(InvalidStateError):
                self._tickets[0].set_result(None)


_calling: ContextVar[frozenset[TurnQueue]] = ContextVar("mm_magic_calling", default=frozenset())
"""Where a turn has passed that waits for a function which runs here."""
