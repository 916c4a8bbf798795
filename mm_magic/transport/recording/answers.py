"""Answers by their request and their sample: how a recording and a notebook's file look one up."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Generic, TypeVar

from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording import version_1

T = TypeVar("T")


class Answers(Generic[T]):
    """Answers to requests, those of version 0.1 by themselves; in the order of their requests.

    In a file of version 0.1 some requests that differ now are one and the same, and one file may
    have lines of both versions. Only where there are such lines, their keys are made.
    """

    def __init__(self) -> None:
        self._of_version_1: dict[str, dict[int, T]] = {}
        self._found: dict[str, dict[int, T]] = {}

    def __iter__(self) -> Iterator[dict[int, T]]:
        """The answers to one request after the other."""
        return chain(self._of_version_1.values(), self._found.values())

    def of(self, request: str, *, is_version_1: bool = False) -> dict[int, T]:
        """The answers to the request with this hash by their sample, where one more is added."""
        return (self._of_version_1 if is_version_1 else self._found).setdefault(request, {})

    def counted_as(self, key: RequestKey, model: str) -> str:
        """What the answers to a request, which asks this model, are counted by: its hash."""
        old = (each.hash for each in self.old_keys(key, model))
        return next((each for each in old if each in self._of_version_1), key.hash)

    def find(self, key: RequestKey, model: str) -> tuple[str, Mapping[int, T]]:
        """What the answers to a request are counted by, and all of them by their sample."""
        counted_as = self.counted_as(key, model)
        old, new = self._of_version_1.get(counted_as), self._found.get(key.hash, {})
        return counted_as, old | new if old else new

    def old_keys(self, key: RequestKey, model: str) -> list[RequestKey]:
        """The keys under which lines of version 0.1 may hold a request; none without such lines."""
        return version_1.keys_for(key, model) if self._of_version_1 else []

    @property
    def most(self) -> int:
        """How many answers there are to one request, at most."""
        # Another thread may be about to add the first one to a request.
        return 1 + max((max(samples, default=-1) for samples in self), default=-1)
