"""Answers by their request and their sample: how a recording and a notebook's file look one up."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording import version_1

T = TypeVar("T")


class AnswersByRequest(Generic[T]):
    """Answers to requests, those of version 0.1 by themselves; in the order of their requests.

    In a file of version 0.1 some requests that differ now are one and the same, and one file may
    have lines of both versions. Only where there are such lines, their keys are made.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[str, int], T] = {}  # one for each request would take 0.2 kB more
        self._later: dict[str, list[int]] = {}  # of a request, the samples behind the first
        self._has_version_1 = False

    def __iter__(self) -> Iterator[dict[int, T]]:
        """The answers to one request after the other, by their sample."""
        found: dict[str, dict[int, T]] = {}
        for (name, sample), answer in tuple(self._answers.items()):
            found.setdefault(name, {})[sample] = answer
        return iter(found.values())

    def get(self, request: str, sample: int, *, is_version_1: bool = False) -> T | None:
        """The answer to the request with this hash that has this sample."""
        return self._answers.get((_name(request, is_version_1=is_version_1), sample))

    def put(self, request: str, sample: int, answer: T, *, is_version_1: bool = False) -> None:
        """Keep an answer, in place of one that has this sample."""
        name = _name(request, is_version_1=is_version_1)
        self._has_version_1 |= is_version_1
        if sample and (name, sample) not in self._answers:
            self._later.setdefault(name, []).append(sample)
        self._answers[name, sample] = answer

    def change(self, change: Callable[[T], T]) -> None:
        """Put into the place of each answer what `change` makes of it."""
        for place, answer in tuple(self._answers.items()):
            self._answers[place] = change(answer)

    def counted_as(self, key: RequestKey, model: str) -> str:
        """What the answers to a request, which asks this model, are counted by: its hash."""
        old = (each.hash for each in self.old_keys(key, model))
        return next((each for each in old if self._of(each, is_version_1=True)), key.hash)

    def find(self, key: RequestKey, model: str) -> tuple[str, Mapping[int, T]]:
        """What the answers to a request are counted by, and all of them by their sample."""
        counted_as = self.counted_as(key, model)
        old = self._of(counted_as, is_version_1=True) if self._has_version_1 else {}
        return counted_as, old | self._of(key.hash)

    def _of(self, request: str, *, is_version_1: bool = False) -> dict[int, T]:
        name = _name(request, is_version_1=is_version_1)
        places = ((name, sample) for sample in (0, *self._later.get(name, ())))
        return {place[1]: self._answers[place] for place in places if place in self._answers}

    def old_keys(self, key: RequestKey, model: str) -> list[RequestKey]:
        """The keys under which lines of version 0.1 may hold a request; none without such lines."""
        return version_1.keys_for(key, model) if self._has_version_1 else []

    @property
    def most(self) -> int:
        """How many answers there are to one request, at most."""
        return 1 + max((sample for _, sample in tuple(self._answers)), default=-1)


def _name(request: str, *, is_version_1: bool) -> str:
    return f"0.1 {request}" if is_version_1 else request
