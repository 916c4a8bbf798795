"""From the turns in a notebook file to the conversations that kernels had.

Two kernels that did not know of each other may have written into one file: their conversations of
one name are told apart, and the one that changed last is the one that the last kernel had.
"""

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mm_magic.conversation.conversation import Conversation, State
from mm_magic.conversation.notebook_file import Found, Notebook, load
from mm_magic.conversation.number_ranges import Ranges, within
from mm_magic.conversation.saved_turn import MAX_NUMBER
from mm_magic.conversation.turn import Turn

_HIGHEST = MAX_NUMBER // 2  # the turns to come need numbers, too

OUT_OF_DATE = "an older answer of a turn"
UNKNOWN = "not known to the last kernel, which began from an earlier save"
TWICE = "its number is taken by another turn"
TOO_HIGH = "its number is too high"


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """One conversation as a kernel had it, and those that resumed it.

    `found` are its turns by number, hidden ones included. `left_out` counts, by reason, turns of
    it that are in the file and do not stand any more.
    """

    name: str
    state: State
    found: tuple[Found, ...]
    left_out: Mapping[str, int]

    @property
    def turns(self) -> list[Turn]:
        return [each.turn for each in self.found]


def conversations(path: str | os.PathLike[str]) -> dict[str, Conversation]:
    """The conversations in a notebook file, by name. Raises UsageError."""
    made = {name: conversation(name, found) for name, found in pasts(load(path)).items()}
    return {name: each for name, each in made.items() if each.turns}


def pasts(notebook: Notebook) -> dict[str, list[Past]]:
    """The conversations in a file by name, each as often as kernels began it.

    The latest is first; where nothing tells, the last in the document. In this order they are taken
    in, each before those that are there.
    """
    found: dict[str | None, list[Found]] = {}
    for each in notebook.found:
        found.setdefault(each.turn.conversation, []).append(each)
    return {
        name: sorted(
            _pasts(name, found.get(name, ()), states), key=lambda past: past.state.changes
        )[::-1]
        for name, states in notebook.states.items()
    }


def latest(found: Sequence[Past]) -> list[Past]:
    """What the last kernel had: the first of them, and those that changed as often.

    More than one is a mixture of kernels that did not know of each other.
    """
    return [each for each in found if each.state.changes == found[0].state.changes]


def conversation(name: str, found: Sequence[Past]) -> Conversation:
    """The latest of the pasts as a conversation; of a mixture, one after the other."""
    made = Conversation(name)
    for each in latest(found):
        made.take_in(each.turns, each.state)
    return made


def _pasts(name: str, found: Iterable[Found], states: Sequence[State]) -> list[Past]:
    last: dict[str, State] = {}
    for state in sorted(states, key=_age):
        last[state.begins] = state
    belongs = _belongs(last)
    by_root: dict[str, list[Found]] = {belongs[state.begins][0]: [] for state in states}
    for each in found:
        if each.state.begins in belongs and each.turn.reply.may_enter():
            root, offset = belongs[each.state.begins]
            turn = each.turn
            moved = replace(turn, number=turn.number + offset) if offset else turn
            by_root[root].append(replace(each, turn=moved))
    states_of: dict[str, list[State]] = {root: [] for root in by_root}
    for state in states:
        if state.begins in states_of:
            states_of[state.begins].append(state)
    return [_past(name, last[root], of_root, states_of[root]) for root, of_root in by_root.items()]


def _age(state: State) -> tuple[int, int, int]:
    """Later states of one conversation have more: numbers that are gone never come back."""
    return state.changes, state.last, sum(last - first + 1 for first, last in state.gone)


def _belongs(last: Mapping[str, State]) -> dict[str, tuple[str, int]]:
    """For each beginning: the conversation it belongs to now, and what its numbers grew by."""
    belongs: dict[str, tuple[str, int]] = {}
    for root, state in sorted(last.items(), key=lambda item: -item[1].changes):
        if root not in belongs:
            belongs[root] = (root, 0)
            for begins, offset in state.also:
                belongs.setdefault(begins, (root, offset))
    return belongs


def _past(name: str, state: State, found: Sequence[Found], states: Sequence[State]) -> Past:
    left_out: Counter[str] = Counter()
    standing: dict[int, Found] = {}
    known = _known(states)
    for each in found:
        number = each.turn.number
        if within(state.gone, number):
            continue
        if each.state.begins == state.begins and not _is_known(each, known):
            left_out[UNKNOWN] += 1
            continue
        if (other := standing.get(number)) is None:
            standing[number] = each
            continue
        newer = standing[number] = max(other, each, key=_newness)  # of equals the first
        older = each if newer is other else other
        left_out[OUT_OF_DATE if older.id in newer.turn.replaces else TWICE] += 1
    if _highest(state, standing) > _HIGHEST:
        return Past(name, State(state.begins), (), {TOO_HIGH: len(found)})
    turns = (_hidden(standing[number], state.hidden) for number in sorted(standing))
    return Past(name, state, tuple(turns), dict(left_out))


def _newness(each: Found) -> tuple[int, int]:
    return each.state.changes, len(each.turn.replaces)


def _known(states: Iterable[State]) -> list[tuple[int, int]]:
    """How often it had changed, fewest first; and the lowest `last` from then on."""
    known: list[tuple[int, int]] = []
    least = MAX_NUMBER
    for state in sorted(states, key=_age, reverse=True):
        least = min(least, state.last)
        known.append((state.changes, least))
    return known[::-1]


def _is_known(each: Found, known: Sequence[tuple[int, int]]) -> bool:
    """Whether a turn was there, or its number was given, when the conversation changed next.

    Turns that were not saved when a kernel began from the file have numbers beyond what it knew.
    """
    next_change = bisect_right(known, each.state.changes, key=lambda pair: pair[0])
    return next_change == len(known) or each.turn.number <= known[next_change][1]


def _hidden(each: Found, hidden: Ranges) -> Found:
    if not within(hidden, each.turn.number):
        return each
    return replace(each, turn=replace(each.turn, is_hidden=True))


def _highest(state: State, numbers: Iterable[int]) -> int:
    """The highest number that is named."""
    ends = [last for _, last in (*state.gone, *state.hidden, *state.also)]
    return max([state.last, state.changes, *ends, *numbers])
