"""JSON in which one value after the other is what nobody expects there."""

import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

DEEP: Any = json.loads("[" * 300 + "]" * 300)
VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "minus one": -1,
    "401 digits": 10**400,
    "infinity": float("inf"),
    "not a number": float("nan"),
    "no text": "",
    "half a character": "\ud800",
    "markup": "<script>alert(1)</script>",
    "a list": [],
    "an object": {},
    "a list of odd ones": [None, 7, [], {}, "x"],
    "too deep": DEEP,
}
Place = tuple[str | int, ...]


def places(wire: Any, above: Place = ()) -> Iterator[Place]:
    """The way to each value in it, also to those that hold others."""
    inside: Iterable[tuple[str | int, Any]] = ()
    if isinstance(wire, dict):
        inside = wire.items()
    elif isinstance(wire, list):
        inside = enumerate(wire)
    for key, value in inside:
        yield (*above, key)
        yield from places(value, (*above, key))


def changed(wire: Any, place: Place, value: Any) -> Any:
    """A copy with another value at this place."""
    copy = there = deepcopy(wire)
    for key in place[:-1]:
        there = there[key]
    there[place[-1]] = deepcopy(value)
    return copy
