"""The last few answers as they came, read by read, in memory: `%minimax request --events`.

It takes what passes and changes nothing of it. Of a long answer only beginning and end are kept.
"""

from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from threading import Lock
from typing import Generic, TypeVar

from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.file_format import Read

T = TypeVar("T")
"""A turn as it was prepared."""

MAX_EXCHANGES = 16
MAX_BYTES = 1_000_000
"""Of all answers together, once they have ended."""
_HALF = MAX_BYTES // 4  # of one answer: its beginning, and its end
_READ = 120  # bytes that a read takes beside its data: many servers send a token at a time


class KeptAnswer(Generic[T]):
    """What came for one turn: `of` it as it was prepared; `turn_id` is what became of it.

    `left_out` counts the bytes between `beginning` and `end`.
    """

    def __init__(self, of: T, exchange: Exchange) -> None:
        self.of = of
        self.turn_id: str | None = None
        self.status = exchange.status
        self.content_type = exchange.headers.get("content-type", "")
        self.beginning: list[Read] = []
        self.end: deque[Read] = deque()
        self.left_out = 0
        self._sizes = [0, 0]

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return sum(self._sizes)

    def add(self, seconds: float, data: bytes) -> None:
        """Take the next read; a read that is larger than there is room for counts as left out."""
        if not self.end and self._sizes[0] + len(data) + _READ <= _HALF:
            self.beginning.append((seconds, data))
            self._sizes[0] += len(data) + _READ
            return
        self.end.append((seconds, data))
        self._sizes[1] += len(data) + _READ
        while self._sizes[1] > _HALF:
            _, gone = self.end.popleft()
            self._sizes[1] -= len(gone) + _READ
            self.left_out += len(gone)


class RecentExchanges(Generic[T]):
    """The answers to the last turns. Where a turn was tried again, the last try counts."""

    def __init__(self) -> None:
        self._kept: deque[KeptAnswer[T]] = deque(maxlen=MAX_EXCHANGES)
        self._lock = Lock()

    def tap(self, of: T) -> Callable[[Exchange], Exchange]:
        """Keep the answers that pass from now on, which are for the turn `of`."""

        def keep(exchange: Exchange) -> Exchange:
            kept = KeptAnswer(of, exchange)
            with self._lock:
                self._kept.append(kept)
            return replace(exchange, chunks=self._keep(exchange, kept))

        return keep

    def became(self, of: T, turn_id: str) -> None:
        """The answer to a turn was whole: this is the turn's id from now on."""
        if (kept := self.to(of)) is not None:
            kept.turn_id = turn_id

    def to(self, of: T) -> KeptAnswer[T] | None:
        """The answer to a prepared turn, if one came."""
        return self._last(lambda kept: kept.of is of)

    def of_turn(self, turn_id: str) -> KeptAnswer[T] | None:
        """The answer that became a turn, if it is still known."""
        return self._last(lambda kept: kept.turn_id == turn_id)

    def _last(self, is_meant: Callable[[KeptAnswer[T]], bool]) -> KeptAnswer[T] | None:
        with self._lock:
            return next(filter(is_meant, reversed(self._kept)), None)

    async def _keep(self, exchange: Exchange, kept: KeptAnswer[T]) -> Reads:
        try:
            async with aclosing(exchange.chunks) as chunks:
                async for seconds, data in chunks:
                    kept.add(seconds, data)
                    yield seconds, data
        finally:
            self._make_room()

    def _make_room(self) -> None:
        with self._lock:
            while sum(kept.size for kept in self._kept) > MAX_BYTES:
                self._kept.popleft()
