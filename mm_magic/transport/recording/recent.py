"""The last few answers as they came, read by read, in memory: `%minimax request --events`.

It takes what passes and changes nothing of it. Reads are kept whole; the oldest go first.
"""

from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Generic, TypeVar

from mm_magic.transport.endpoint import Secret
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.file_format import Read
from mm_magic.transport.recording.redacted_reads import redacted_reads

T = TypeVar("T")
"""A turn as it was prepared."""

MAX_EXCHANGES = 16
MAX_BYTES = 1_000_000
"""Of all answers together."""
_READ = 128  # bytes that a read takes beside its data: many servers send a token at a time


@dataclass(slots=True, eq=False)
class KeptAnswer(Generic[T]):
    """What came for one turn: `of` it as it was prepared; `turn_id` is what became of it.

    `left_out` counts the bytes that came before `reads` and are not kept; of one that is not
    `is_kept` there are no more.
    """

    of: T
    status: int
    content_type: str
    turn_id: str | None = None
    reads: deque[Read] = field(default_factory=deque)
    left_out: int = 0
    is_kept: bool = True


class RecentExchanges(Generic[T]):
    """The answers to the last turns. Where a turn was tried again, the last try counts."""

    def __init__(self) -> None:
        self._kept: deque[KeptAnswer[T]] = deque()
        self._came: deque[KeptAnswer[T]] = deque()  # for each read its answer, oldest first
        self._size = 0
        self._lock = Lock()

    def tap(self, of: T, key: Secret | None = None) -> Callable[[Exchange], Exchange]:
        """Keep the answers that pass from now on, which are for the turn `of`.

        `key` is what the server was sent: it is not kept, should the server repeat it.
        """

        def keep(exchange: Exchange) -> Exchange:
            kept = KeptAnswer(of, exchange.status, exchange.headers.get("content-type", ""))
            with self._lock:
                self._kept.append(kept)
                if len(self._kept) > MAX_EXCHANGES:
                    self._let_go(self._kept.popleft())
            return replace(exchange, chunks=self._keep(exchange.chunks, kept, key))

        return keep

    def became(self, of: T, turn_id: str) -> None:
        """The answer to a turn has ended: this is the turn's id from now on."""
        if (kept := self.to(of)) is not None:
            kept.turn_id = turn_id

    def to(self, of: T) -> KeptAnswer[T] | None:
        """The answer to a prepared turn, if one came."""
        return self._last(lambda kept: kept.of is of)

    def of_turn(self, turn_id: str) -> KeptAnswer[T] | None:
        """The answer that became a turn, if it is still known."""
        return self._last(lambda kept: kept.turn_id == turn_id)

    def all_of_turn(self, of: T) -> list[KeptAnswer[T]]:
        """The answers to all requests of the turn that the answer to `of` became, oldest first."""
        kept = self.to(of)
        if kept is None or kept.turn_id is None:
            return [kept] if kept else []
        with self._lock:
            return [each for each in self._kept if each.turn_id == kept.turn_id]

    def _last(self, is_meant: Callable[[KeptAnswer[T]], bool]) -> KeptAnswer[T] | None:
        with self._lock:
            return next(filter(is_meant, reversed(self._kept)), None)

    async def _keep(self, chunks: Reads, kept: KeptAnswer[T], key: Secret | None) -> Reads:
        try:
            async with aclosing(chunks):
                async for read in chunks:
                    self._add(kept, read)
                    yield read
        finally:
            self._redact(kept, key)

    def _redact(self, kept: KeptAnswer[T], key: Secret | None) -> None:
        """Keep what came without a key that stands in it in pieces."""
        came = list(kept.reads)
        if kept.is_kept and (reads := redacted_reads(came, key)) is not came:
            with self._lock:
                self._let_go(kept)
                kept.reads.clear()
                kept.is_kept = True
            for read in reads:
                self._add(kept, read)

    def _let_go(self, kept: KeptAnswer[T]) -> None:
        """Keep nothing of an answer, also if more of it comes: many short ones take little."""
        self._came = deque(each for each in self._came if each is not kept)
        self._size -= sum(len(data) + _READ for _, data in kept.reads)
        kept.is_kept = False

    def _add(self, kept: KeptAnswer[T], read: Read) -> None:
        with self._lock:
            if not kept.is_kept:
                return
            kept.reads.append(read)
            self._came.append(kept)
            self._size += len(read[1]) + _READ
            while self._size > MAX_BYTES:
                oldest = self._came.popleft()
                _, gone = oldest.reads.popleft()
                oldest.left_out += len(gone)
                self._size -= len(gone) + _READ
