"""Answers from a recording: which exchange belongs to a request, and a script that plays it.

Never another answer than the one recorded for that very request, but where `loosely` is asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording import version_1
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.writer import Asker, Samples


class Replay:
    """Recorded exchanges, found by what was asked.

    Of several for one request the k-th belongs to the k-th that asks it, and of several for one
    asker the last one counts: it ran again until its answer was as it should be.
    """

    def __init__(self, exchanges: Iterable[RecordedExchange]) -> None:
        self.exchanges: list[RecordedExchange] = []
        self.samples = Samples()
        self._answers: dict[str, dict[int, RecordedExchange]] = {}
        self._places: dict[tuple[str, int], int] = {}
        for exchange in exchanges:
            self.add(exchange)

    def add(self, exchange: RecordedExchange) -> None:
        """Take in one more exchange."""
        self.exchanges.append(exchange)
        if not exchange.is_offered:
            return
        answers = self._answers.setdefault(_name(exchange), {})
        self._places.setdefault((exchange.key.hash, exchange.sample), len(self._places))
        before = answers.get(exchange.sample)
        if before is None or exchange.ending == "complete" or before.ending == "failed":
            answers[exchange.sample] = exchange  # an error does not stand for an answer

    def find(self, key: RequestKey, model: str, asker: Asker) -> RecordedExchange | None:
        """The answer to this request for this asker; `model` is the one that it asks."""
        return self.answers(key, model).get(self.samples.place(key.hash, asker))

    def answers(self, key: RequestKey, model: str) -> dict[int, RecordedExchange]:
        """All answers to this request, by their sample."""
        if found := self._answers.get(key.hash):
            return found
        names = (_VERSION_1 + each.hash for each in version_1.keys_for(key, model))
        return next((self._answers[name] for name in names if name in self._answers), {})

    def place(self, exchange: RecordedExchange) -> int:
        """Where it stands in the order in which the requests were asked first."""
        return self._places[exchange.key.hash, exchange.sample]

    def find_loosely(self, key: RequestKey, asker: Asker) -> RecordedExchange | None:
        """The answer to the same prompt with the same options, whatever came before it."""
        found = self.loosely(key)
        place = self.samples.place(key.question, asker)
        return found[place] if place < len(found) else None

    def loosely(self, key: RequestKey) -> list[RecordedExchange]:
        """All answers to the same prompt with the same options."""
        return [
            exchange
            for answers in self._answers.values()
            for exchange in answers.values()
            if exchange.key.question == key.question
        ]


_VERSION_1 = "version 1: "


def _name(exchange: RecordedExchange) -> str:
    return (_VERSION_1 if exchange.is_version_1 else "") + exchange.key.hash


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
