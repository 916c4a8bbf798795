"""Answers from a recording: which exchange belongs to a request, and a script that plays it.

Never another answer than the one recorded for that very request, but where `loosely` is asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mm_magic.errors import MiniMaxError
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.file_format import Asked, RecordedExchange
from mm_magic.transport.recording.writer import Asker, Order


class Replay:
    """Recorded exchanges, found by what was asked.

    Of several for one request the k-th belongs to the k-th cell that asks it, and of several for
    one cell the last one counts: it ran again until its answer was as it should be.
    """

    def __init__(self, exchanges: Iterable[RecordedExchange], order: Order | None = None) -> None:
        self.exchanges: list[RecordedExchange] = []
        self.order = order or Order()
        self._by_hash: dict[str, dict[int, RecordedExchange]] = {}
        self._places: dict[tuple[str, int], int] = {}
        for exchange in exchanges:
            self.add(exchange)

    def add(self, exchange: RecordedExchange) -> None:
        """Take in one more exchange."""
        self.exchanges.append(exchange)
        if not exchange.is_offered:
            return
        answers = self._by_hash.setdefault(exchange.asked.hash, {})
        self._places.setdefault((exchange.asked.hash, exchange.nth), len(self._places))
        before = answers.get(exchange.nth)
        if before is None or exchange.ending == "complete" or before.ending == "failed":
            answers[exchange.nth] = exchange  # an error does not stand for an answer

    @property
    def servers(self) -> list[str]:
        """The names of those who answered, in order of their first answer."""
        return list(dict.fromkeys(each.server for each in self.exchanges))

    def find(self, request: Asked, asker: Asker) -> RecordedExchange | None:
        """The answer to this request for this cell."""
        place = self.order.peek(request.hash, asker)
        return self._by_hash.get(request.hash, {}).get(place)

    def take(self, request: Asked, asker: Asker) -> RecordedExchange | None:
        """The same, which is this cell's from now on; None where another one was faster."""
        place = self.order.take(request.hash, asker)
        return self._by_hash.get(request.hash, {}).get(place)

    def place(self, exchange: RecordedExchange) -> int:
        """Where it stands in the order in which cells asked first."""
        return self._places[exchange.asked.hash, exchange.nth]

    def find_loosely(self, request: Asked, asker: Asker, *, takes: bool) -> RecordedExchange | None:
        """The same for a prompt with its options, whatever came before it."""
        found = self._loosely(request)
        peek_or_take = self.order.take if takes and found else self.order.peek
        place = peek_or_take(request.question, asker)
        return found[place] if place < len(found) else None

    def is_near(self, request: Asked) -> bool:
        """Whether the same prompt with the same options was answered in another context."""
        return bool(self._loosely(request))

    def _loosely(self, request: Asked) -> list[RecordedExchange]:
        return [
            exchange
            for answers in self._by_hash.values()
            for exchange in answers.values()
            if exchange.asked.question == request.question
        ]

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
