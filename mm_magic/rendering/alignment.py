"""Which words two texts have in common, in order, however long the texts are.

Words that each text has once are found first: they cut long texts into short ones, which `difflib`
compares. It needs time by the square of what it compares, and more, so there is a limit for it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile
from typing import NamedTuple

_MOST_DEEP = 8  # times that a part is cut again
_MOST_AT_ONCE = 90_000  # words of one part times words of the other: 30 ms
_MOST_IN_ALL = 1_000_000


class Part(NamedTuple):
    """A part of both texts, by the places of its words."""

    start: int
    end: int
    start_after: int
    end_after: int

    @property
    def size(self) -> int:
        return (self.end - self.start) * (self.end_after - self.start_after)


def common(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """The places of words that both have, in order; not more than there are, maybe fewer."""
    found: list[tuple[int, int]] = []
    parts = [(Part(0, len(before), 0, len(after)), 0)]
    left = _MOST_IN_ALL
    while parts:
        part, depth = parts.pop()
        ends, part = _equal_ends(before, after, part)
        found += ends
        if not part.size:
            continue
        anchors = _only_once(before, after, part) if depth < _MOST_DEEP else []
        if anchors:
            found += anchors
            parts += [(each, depth + 1) for each in _between(anchors, part)]
        elif part.size <= min(_MOST_AT_ONCE, left):
            left -= part.size
            found += _by_difflib(before, after, part)
    return sorted(found)


def _equal_ends(
    before: Sequence[str], after: Sequence[str], part: Part
) -> tuple[list[tuple[int, int]], Part]:
    """What a part begins and ends with in both texts, and the rest of it."""
    start, end, start_after, end_after = part
    forth = zip(range(start, end), range(start_after, end_after), strict=False)
    first = list(takewhile(lambda pair: before[pair[0]] == after[pair[1]], forth))
    start, start_after = start + len(first), start_after + len(first)
    back = zip(
        range(end - 1, start - 1, -1), range(end_after - 1, start_after - 1, -1), strict=False
    )
    last = list(takewhile(lambda pair: before[pair[0]] == after[pair[1]], back))
    return [*first, *last], Part(start, end - len(last), start_after, end_after - len(last))


def _only_once(before: Sequence[str], after: Sequence[str], part: Part) -> list[tuple[int, int]]:
    """The longest row of words that a part has once in each text, in the order of both."""
    here, there = before[part.start : part.end], after[part.start_after : part.end_after]
    counts, counts_after = Counter(here), Counter(there)
    places = {word: place for place, word in enumerate(there, part.start_after)}
    pairs = [
        (place, places[word])
        for place, word in enumerate(here, part.start)
        if counts[word] == counts_after[word] == 1
    ]
    return _longest_rising(pairs)


def _longest_rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest row of pairs whose second places rise as the first do."""
    ends: list[int] = []  # the lowest second place that a row of this length ends with
    last: list[int] = []  # the index of its pair
    previous = [-1] * len(pairs)
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        previous[index] = last[length - 1] if length else -1
        ends[length : length + 1] = [place]
        last[length : length + 1] = [index]
    row: list[tuple[int, int]] = []
    index = last[-1] if last else -1
    while index >= 0:
        row.append(pairs[index])
        index = previous[index]
    return row[::-1]


def _between(anchors: Sequence[tuple[int, int]], part: Part) -> Iterator[Part]:
    """The parts before, between and behind these words."""
    start, start_after = part.start, part.start_after
    for place, place_after in [*anchors, (part.end, part.end_after)]:
        yield Part(start, place, start_after, place_after)
        start, start_after = place + 1, place_after + 1


def _by_difflib(
    before: Sequence[str], after: Sequence[str], part: Part
) -> Iterator[tuple[int, int]]:
    here, there = before[part.start : part.end], after[part.start_after : part.end_after]
    matcher = SequenceMatcher(None, here, there, autojunk=False)
    for place, place_after, size in matcher.get_matching_blocks():
        for n in range(size):
            yield part.start + place + n, part.start_after + place_after + n
