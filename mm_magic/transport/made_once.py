"""An attribute that is made when it is first needed, by whichever thread is first."""

from collections.abc import Callable
from functools import cached_property
from threading import RLock
from typing import Any, TypeVar

T = TypeVar("T")


class made_once(cached_property[T]):  # noqa: N801 - a decorator, as `cached_property` is
    """As `cached_property`: all threads get the same, also those that ask first at one moment.

    From Python 3.12 on `cached_property` may make it once for each of them.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        super().__init__(make)
        self._lock = RLock()

    def __get__(self, instance: object, owner: type[Any] | None = None) -> T:  # type: ignore[override]
        with self._lock:
            return super().__get__(instance, owner)
