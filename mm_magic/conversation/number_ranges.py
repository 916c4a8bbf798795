"""Sets of turn numbers, kept as ranges: short in a file and in a sentence."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""First and last number of each range, in order, without overlaps."""


def ranges(numbers: Iterable[int]) -> Ranges:
    """The numbers as ranges."""
    return merged((number, number) for number in numbers)


def merged(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges in any order as ranges in order; empty ones are dropped."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(pair for pair in pairs if pair[0] <= pair[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def missing(numbers: Iterable[int], end: int) -> Ranges:
    """What is missing of 1 to `end`."""
    gaps, expected = [], 1
    for number in sorted(numbers):
        gaps.append((expected, number - 1))
        expected = number + 1
    return merged([*gaps, (expected, end)])


def within(found: Ranges, number: int) -> bool:
    place = bisect_right(found, number, key=lambda pair: pair[0])
    return place > 0 and number <= found[place - 1][1]
