"""How many requests one server gets at a time: fewer after it said that it is busy.

All requests of the kernel that are asked beside others go through it, from any event loop and
thread. Those that wait cost no time of the processor, and no two of them are let in at once while
the server recovers: it gets one request, and with each answer that begins there may be one more.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType

CALM_SECONDS = 60.0
"""After so long, who begins to ask does not heed what a server said before."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """One that waits. It is admitted before it knows: it may be cancelled in between."""

    called: "Future[None]" = field(default_factory=Future)
    is_admitted: bool = False


class Limiter:
    """Lets requests through to one server.

    `clock` gives seconds, and `sleep` waits for so many.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._waiting: deque[_Ticket] = deque()
        self._wanted: list[int] = []
        self._limit = math.inf
        self._usual = math.inf  # up to here the limit grows by one with each answer
        self._not_before = -math.inf
        self._slowed = -math.inf  # when the server was busy last
        self.in_flight = 0

    @contextmanager
    def wanting(self, parallel: int) -> Iterator[None]:
        """While the body runs, so many requests are wanted at a time; the largest number counts."""
        with self._lock:
            if not self.in_flight and self._clock() > self._slowed + CALM_SECONDS:
                self._limit = self._usual = math.inf
            self._wanted.append(parallel)
        try:
            yield
        finally:
            with self._lock:
                self._wanted.remove(parallel)
                self._admit()

    def place(self, *, is_first: bool = False) -> "Place":
        """A place among the requests in flight. One that `is_first` waits before all others."""
        return Place(self, is_first=is_first)

    async def _enter(self, *, is_first: bool) -> None:
        """Wait for a place, and then until the server may be asked again."""
        if (ticket := self._ticket(is_first=is_first)) is not None:
            try:
                await asyncio.wrap_future(ticket.called)
            except asyncio.CancelledError:
                self._give_back(ticket)
                raise
        try:
            while (left := self._not_before - self._clock()) > 0:
                await self._sleep(left)
        except asyncio.CancelledError:
            self._leave()
            raise

    def _ticket(self, *, is_first: bool) -> _Ticket | None:
        """Take a place, or None of it: then a ticket for the next one."""
        with self._lock:
            if self._has_room() and not self._waiting:
                self.in_flight += 1
                return None
            ticket = _Ticket()
            self._waiting.insert(0 if is_first else len(self._waiting), ticket)
            self._admit()
        return ticket

    def _give_back(self, ticket: _Ticket) -> None:
        """One that waited was cancelled."""
        with self._lock:
            if ticket.is_admitted:
                self.in_flight -= 1
            else:
                self._waiting.remove(ticket)
            self._admit()

    def _leave(self) -> None:
        with self._lock:
            self.in_flight -= 1
            self._admit()

    def _has_room(self) -> bool:
        return self.in_flight + 1 <= min(self._limit, max(self._wanted, default=math.inf))

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            ticket = self._waiting.popleft()
            ticket.is_admitted = True
            self.in_flight += 1
            with suppress(InvalidStateError):  # it is cancelled, and gives its place back
                ticket.called.set_result(None)

    def _was_busy(self, sent: float, delay: float) -> None:
        """The server refused a request that was sent then, and is asked again in `delay` seconds.

        Those that were sent before it was slowed say nothing new.
        """
        with self._lock:
            now = self._clock()
            self._not_before = max(self._not_before, now + delay)
            if sent > self._slowed:
                self._usual = max(1, min(self._limit, self.in_flight) // 2)
                self._limit = 1
                self._slowed = now

    def _took(self) -> None:
        """The server took a request."""
        with self._lock:
            if self._limit == math.inf:
                return
            self._limit += 1 if self._limit < self._usual else 1 / self._limit
            if self._limit >= max(self._wanted, default=math.inf):
                self._limit = self._usual = math.inf
            self._admit()


class Place:
    """One place among the requests in flight: waited for at its beginning, left at its end."""

    def __init__(self, limiter: Limiter, *, is_first: bool) -> None:
        self._limiter = limiter
        self._is_first = is_first
        self._sent = 0.0

    async def __aenter__(self) -> "Place":
        await self._limiter._enter(is_first=self._is_first)
        self._sent = self._limiter._clock()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._limiter._leave()

    def was_busy(self, delay: float) -> None:
        """The server was too busy: nobody asks it for so many seconds, and then fewer do."""
        self._limiter._was_busy(self._sent, delay)

    def took(self) -> None:
        """The answer begins: there may be more requests again."""
        self._limiter._took()
