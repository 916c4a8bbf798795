"""Answers from a recording: which exchange belongs to a request, and a script that plays it.

Never another answer than the one recorded for that very request, but where `loosely` is asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mm_magic.errors import MiniMaxError
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recorder import Asker, Order
from mm_magic.transport.recording import Asked, RecordedExchange


class Replay:
    """Recorded exchanges, found by what was asked.

    Of several for one request the k-th belongs to the k-th cell that asks it, and of several for
    one cell the last one counts: it ran again until its answer was as it should be.
    """

    def __init__(self, exchanges: Iterable[RecordedExchange], order: Order | None = None) -> None:
        self.exchanges: list[RecordedExchange] = []
        self.order = order or Order()
        self._by_hash: dict[str, dict[int, RecordedExchange]] = {}
        for exchange in exchanges:
            self.add(exchange)

    def add(self, exchange: RecordedExchange) -> None:
        """Take in one more exchange."""
        self.exchanges.append(exchange)
        if not exchange.is_offered:
            return
        answers = self._by_hash.setdefault(exchange.asked.hash, {})
        before = answers.get(exchange.nth)
        if before is None or exchange.ending == "complete" or before.ending == "failed":
            answers[exchange.nth] = exchange  # an error does not stand for an answer

    @property
    def servers(self) -> list[str]:
        """The names of those who answered, in order of their first answer."""
        return list(dict.fromkeys(each.server for each in self.exchanges))

    def find(self, request: Asked, asker: Asker, *, takes: bool) -> RecordedExchange | None:
        """The answer to this request for this cell, which keeps its place if it `takes` it."""
        place = self.order.peek(request.hash, asker)
        found = self._by_hash.get(request.hash, {}).get(place)
        if found is not None and takes:
            place = self.order.take(request.hash, asker)
            found = self._by_hash[request.hash].get(place)
        return found

    def find_loosely(self, request: Asked, asker: Asker, *, takes: bool) -> RecordedExchange | None:
        """The same for a prompt with its options, whatever came before it."""
        found = [
            exchange
            for answers in self._by_hash.values()
            for exchange in answers.values()
            if exchange.asked.question == request.question
        ]
        peek_or_take = self.order.take if takes and found else self.order.peek
        place = peek_or_take(request.question, asker)
        return found[place] if place < len(found) else None

    def times(self, request: Asked) -> int:
        """How many answers there are to this request."""
        return len(self._by_hash.get(request.hash, {}))


@dataclass(frozen=True, slots=True)
class Playback:
    """Plays one exchange, `speed` times as fast as it came; math.inf plays without a wait."""

    exchange: RecordedExchange
    speed: float = 1.0

    def answer(self, _body: Mapping[str, object]) -> Exchange:
        exchange = self.exchange
        headers = {"content-type": exchange.content_type}
        return Exchange(exchange.status, headers, self._reads(), self.speed)

    async def _reads(self) -> Reads:
        for read in self.exchange.reads:
            yield read


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Stands where no answer is: it raises the error that says why, found when it is due."""

    why: Callable[[], MiniMaxError]

    def answer(self, _body: Mapping[str, object]) -> Exchange:
        raise self.why()
