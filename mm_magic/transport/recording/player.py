"""Answers from a recording: which exchange belongs to a request, and a script that plays it.

Never another answer than the one recorded for that very request, but where `loosely` is asked for,
or a picture alone differs: a figure is drawn anew on each machine.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.json_values import JsonObject, as_object
from mm_magic.protocol.messages import ToolResultBlock, block_from_wire
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.answers import AnswersByRequest
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.writer import Asker, Samples


class Found(NamedTuple):
    """A recorded answer to a request. `counted_as` names what its sample counts."""

    exchange: RecordedExchange
    counted_as: str
    is_loose: bool = False
    is_of_other_picture: bool = False


class Replay:
    """Recorded exchanges, found by what was asked.

    Of several for one request the k-th belongs to the k-th that asks it; one that asks it beyond
    them gets the last again. Of several for one asker the last one counts: it ran again until its
    answer was as it should be.
    """

    def __init__(self, exchanges: Iterable[RecordedExchange]) -> None:
        self.exchanges: list[RecordedExchange] = []
        self.samples = Samples()
        self._answers: AnswersByRequest[RecordedExchange] = AnswersByRequest()
        self._places: dict[_Place, int] = {}
        for exchange in exchanges:
            self.add(exchange)

    def add(self, exchange: RecordedExchange) -> None:
        """Take in one more exchange."""
        self.exchanges.append(exchange)
        if not exchange.is_offered:
            return
        self._places.setdefault(_place(exchange), len(self._places))
        request, is_old = exchange.key.hash, exchange.is_version_1
        before = self._answers.get(request, exchange.sample, is_version_1=is_old)
        if before is None or exchange.ending == "complete" or before.ending == "failed":
            # An error does not stand for an answer.
            self._answers.put(request, exchange.sample, exchange, is_version_1=is_old)

    def find(self, key: RequestKey, model: str, asker: Callable[[str], Asker]) -> Found | None:
        """The answer to this request, which asks this model; `asker` says who asks it."""
        counted_as, answers = self._answers.find(key, model)
        found = answers.get(self.samples.place(counted_as, asker(counted_as)))
        return Found(found, counted_as) if found else None

    def find_again(
        self, key: RequestKey, model: str, asker: Callable[[str], Asker]
    ) -> Found | None:
        """The last answer to this request, for one that asks it beyond those that are there."""
        counted_as, answers = self._answers.find(key, model)
        place = self.samples.place(counted_as, asker(counted_as))
        last = max(answers, default=place)
        return Found(answers[last], counted_as) if last < place else None

    def find_loosely(
        self, key: RequestKey, model: str, asker: Callable[[str], Asker]
    ) -> Found | None:
        """The answer to the same prompt with the same options, whatever came before it."""
        found = self.loosely(key, model)
        if not found:
            return None
        counted_as = found[0].key.question
        place = self.samples.place(counted_as, asker(counted_as))
        return Found(found[min(place, len(found) - 1)], counted_as, is_loose=True)

    def find_by_the_rest(
        self, key: RequestKey, _model: str, asker: Callable[[str], Asker]
    ) -> Found | None:
        """The answer to a request that differs in its pictures alone.

        An answer whose own request was asked here is left to that one, if there are others.
        """
        if not key.has_pictures:
            return None
        counted_as = key.with_any_pictures().hash
        alike = [
            each
            for answers in self._answers
            for each in answers.values()
            if each.key.has_pictures and each.key.with_any_pictures().hash == counted_as
        ]
        alike = [each for each in alike if not self.samples.is_asked(each.key.hash)] or alike
        if not alike:
            return None
        place = self.samples.place(counted_as, asker(counted_as))
        return Found(alike[min(place, len(alike) - 1)], counted_as, is_of_other_picture=True)

    def counted_as(self, key: RequestKey, model: str) -> str:
        """What the answers to a request, which asks this model, are counted by."""
        return self._answers.counted_as(key, model)

    def answers(self, key: RequestKey, model: str) -> Mapping[int, RecordedExchange]:
        """All answers to this request, by their sample."""
        return self._answers.find(key, model)[1]

    @property
    def most(self) -> int:
        """How many answers there are to one request, at most."""
        return self._answers.most

    def questions(self) -> list[list[RecordedExchange]]:
        """The answers to each prompt with its options, whatever came before; first asked first."""
        found: dict[str, list[RecordedExchange]] = {}
        for answers in self._answers:
            for exchange in answers.values():
                found.setdefault(exchange.key.question, []).append(exchange)
        return list(found.values())

    def place(self, exchange: RecordedExchange) -> int:
        """Where it stands in the order in which the requests were asked first."""
        return self._places[_place(exchange)]

    def results(
        self, key: RequestKey, after: RecordedExchange | None
    ) -> dict[str, ToolResultBlock] | None:
        """What the calls came to when a request like this one was recorded, by their ids.

        Its last message has results of the same calls, whatever they are; what came before the turn
        may differ. Some servers give the calls of each answer the same ids, so that several may be
        like it: the first one recorded `after` the answer that called.
        """
        calls = results_in(key.prompt)
        for exchange in self._from(after):
            other = exchange.key
            is_same = other.earlier[-1:] == key.earlier[-1:] and other.options == key.options
            found = results_in(other.prompt) if is_same else {}
            if found.keys() == calls.keys():
                return found
        return None

    def _from(self, exchange: RecordedExchange | None) -> list[RecordedExchange]:
        """The exchanges after this one, and then the others."""
        places = (place for place, each in enumerate(self.exchanges, 1) if each is exchange)
        place = next(places, 0)
        return [*self.exchanges[place:], *self.exchanges[:place]]

    def loosely(self, key: RequestKey, model: str) -> list[RecordedExchange]:
        """All answers to the same prompt with the same options."""
        questions = {(each.question, True) for each in self._answers.old_keys(key, model)}
        questions.add((key.question, False))
        answers = [each for found in self._answers for each in found.values()]
        return [each for each in answers if (each.key.question, each.is_version_1) in questions]


def results_in(message: JsonObject) -> dict[str, ToolResultBlock]:
    """The results of calls in a message, by the ids of the calls."""
    content = message.get("content")
    blocks = map(block_from_wire, map(as_object, content if isinstance(content, list) else ()))
    return {each.tool_use_id: each for each in blocks if isinstance(each, ToolResultBlock)}


_Place: TypeAlias = tuple[str, bool, int]
"""The hash of a request, whether version 0.1 recorded it, and the sample of its answer."""


def _place(exchange: RecordedExchange) -> _Place:
    return exchange.key.hash, exchange.is_version_1, exchange.sample


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
