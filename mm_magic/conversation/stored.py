"""From the turns in a notebook file to the conversations that kernels had.

A conversation is known by how it began; its latest state tells its name. Of several conversations
of one name, as kernels make them that know nothing of each other, the one that changed last counts.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

from mm_magic.conversation.conversation import Conversation, State, picked
from mm_magic.conversation.knowing import renamed
from mm_magic.conversation.notebook_file import FoundPick, FoundTurn, Notebook, load
from mm_magic.conversation.number_ranges import Ranges, within
from mm_magic.conversation.pick import Pick
from mm_magic.conversation.saved_turn import MAX_NUMBER
from mm_magic.conversation.turn import Turn
from mm_magic.wording import plain

_HIGHEST = MAX_NUMBER // 2  # the turns to come need numbers, too

UNKNOWN = "not in the older version of the file that the last kernel started from"
TWICE = "same number as another turn"
TOO_HIGH = "number too high"


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """One conversation as a kernel had it, and those that resumed it.

    `found` are its turns by number, hidden ones included, each with the answer that was picked.
    `picks` are by time. `left_out` holds, by reason, the numbers of turns of it that are in the
    file and do not stand; those that another answer replaced, as after a re-run, are not missed.
    """

    name: str
    state: State
    found: tuple[FoundTurn, ...]
    left_out: Mapping[str, Sequence[int]]
    picks: tuple[Pick, ...] = ()

    @property
    def turns(self) -> list[Turn]:
        return [each.turn for each in self.found]

    def conversation(self) -> Conversation:
        """The conversation as the last kernel had it."""
        made = Conversation(self.name)
        made.take_in(self.turns, self.state, self.picks)
        return made


def conversations(path: str | os.PathLike[str]) -> dict[str, Conversation]:
    """The conversations in a notebook file, by name. Raises UsageError."""
    made = {name: found[0].conversation() for name, found in pasts(load(path)).items()}
    return {name: each for name, each in made.items() if each.turns}


def pasts(notebook: Notebook) -> dict[str, list[Past]]:
    """The conversations in a file by name, each as often as kernels began it.

    The latest, which counts, is first; where nothing tells, the last in the document.
    """
    told: dict[str, list[tuple[str, State]]] = {}
    for name, states in notebook.states.items():
        for state in states:
            told.setdefault(state.begins, []).append((name, state))
    turns: dict[str, list[FoundTurn]] = {begins: [] for begins in told}
    for each in notebook.found:
        is_remembered = each.turn.conversation is not None and each.turn.reply.may_enter()
        if is_remembered and each.state.begins in turns:
            turns[each.state.begins].append(each)
    picks: dict[str, list[FoundPick]] = {begins: [] for begins in told}
    for pick in notebook.picks:
        picks.get(pick.state.begins, []).append(pick)
    found: dict[str, list[Past]] = {}
    for begins, of_past in told.items():
        by_age = sorted(of_past, key=lambda pair: _age(pair[1]))
        past = _past(by_age, turns[begins], picks[begins])
        found.setdefault(past.name, []).append(past)
    return {
        name: sorted(of_name, key=lambda past: past.state.changes)[::-1]
        for name, of_name in found.items()
    }


def names_here(found: Sequence[Past], here: Mapping[str, Conversation], file: str) -> list[str]:
    """The name that each conversation of the notebook `file` has in a kernel, or gets there.

    It keeps its name unless that belongs to another conversation with turns. Then it is called
    after the file, by a name that can be typed.
    """
    known = {each.begins: name for name, each in here.items()}
    taken = {name for name, each in here.items() if each.turns}
    stem = " ".join(plain(file).split()).removesuffix(".ipynb").strip("- ") or "notebook"
    not_free = taken.union(past.name for past in found)
    numbered = (f"{stem}-{number}" for number in count(2))
    free = (name for name in chain([stem], numbered) if name not in not_free)
    return [
        known.get(past.state.begins) or (next(free) if past.name in taken else past.name)
        for past in found
    ]


def _age(state: State) -> tuple[int, int, int]:
    """Later states of one conversation have more: what brings a number back is a change."""
    return state.changes, state.last, sum(last - first + 1 for first, last in state.gone)


def _past(
    told: Sequence[tuple[str, State]], found: Sequence[FoundTurn], found_picks: Iterable[FoundPick]
) -> Past:
    """`told` are the states with the conversation's name in each, the latest last."""
    name, state = told[-1]
    known = _known([state for _, state in told])
    left_out: dict[str, list[int]] = {}
    standing: dict[int, FoundTurn] = {}
    for each in found:
        number = each.turn.number
        if within(state.gone, number):
            continue
        if not _is_known(each, known):
            left_out.setdefault(UNKNOWN, []).append(number)
            continue
        if (other := standing.get(number)) is None:
            standing[number] = each
            continue
        if _is_same(each.turn, other.turn):
            continue
        newer = standing[number] = max(other, each, key=_newness)  # of equals the first
        older = each if newer is other else other
        if older.id not in newer.turn.replaces:
            left_out.setdefault(TWICE, []).append(number)
            continue
        if newer.is_copy:  # it was brought back: it stands in the place of its cell's answer
            key = newer.turn.key or older.turn.key
            standing[number] = replace(newer, turn=replace(newer.turn, key=key))
    if _highest(state, standing) > _HIGHEST:
        return Past(name, State(state.begins), (), {TOO_HIGH: [each.turn.number for each in found]})
    in_order = [_marked(standing[number], state) for number in sorted(standing)]
    as_made = [each.turn for each in in_order]
    picks = tuple(_picks(found_picks, as_made, state.picks))
    turns = renamed(picked(as_made, picks), name)
    named = (replace(each, turn=turn) for each, turn in zip(in_order, turns, strict=True))
    return Past(name, state, tuple(named), left_out, picks)


def _picks(found: Iterable[FoundPick], turns: Sequence[Turn], counting: Ranges) -> list[Pick]:
    """What was picked for these turns, by time, each pick once; not all of it still counts."""
    compared = [turn for turn in turns if turn.others]
    before = {turn_id: turn for turn in compared for turn_id in turn.replaces}
    by_id: dict[str, dict[str, Turn]] = {}
    picks: dict[tuple[str, int], Pick] = {}
    for each in found:
        name, turn_id = each.saved.conversation, each.saved.turn_id
        if name not in by_id:  # of the file, or one that it had before
            by_id[name] = {replace(turn, conversation=name).id: turn for turn in compared}
        turn = by_id[name].get(turn_id)
        is_there = turn is not None and each.saved.answer in turn.choices
        counts = is_there and within(counting, each.saved.change)
        if (turn := turn or before.get(turn_id)) is not None:
            pick = each.of_turn(turn.number, is_undone=not counts)
            picks.setdefault((turn_id, pick.change), pick)
    return sorted(picks.values(), key=lambda pick: pick.change)


def _newness(each: FoundTurn) -> tuple[int, int]:
    return each.state.changes, len(each.turn.replaces)


def _is_same(turn: Turn, other: Turn) -> bool:
    """Whether it is one turn, which was drawn again after its conversation got another name."""
    return replace(turn, conversation=other.conversation).id == other.id


def _known(states: Sequence[State]) -> list[tuple[int, int]]:
    """How often it had changed, fewest first; and the lowest `last` from then on."""
    known: list[tuple[int, int]] = []
    least = MAX_NUMBER
    for state in reversed(states):
        least = min(least, state.last)
        known.append((state.changes, least))
    return known[::-1]


def _is_known(each: FoundTurn, known: Sequence[tuple[int, int]]) -> bool:
    """Whether a turn was there, or its number was given, when the conversation changed next.

    Turns that were not saved when a kernel began from the file have numbers beyond what it knew.
    """
    next_change = bisect_right(known, each.state.changes, key=lambda pair: pair[0])
    return next_change == len(known) or each.turn.number <= known[next_change][1]


def _marked(each: FoundTurn, state: State) -> FoundTurn:
    """A turn with what its conversation says of it."""
    number = each.turn.number
    is_hidden, is_untrusted = within(state.hidden, number), within(state.untrusted, number)
    if not is_hidden and not is_untrusted:
        return each
    turn = replace(each.turn, is_hidden=is_hidden, is_untrusted=is_untrusted)
    return replace(each, turn=turn)


def _highest(state: State, numbers: Iterable[int]) -> int:
    """The highest number that is named."""
    ends = [last for _, last in (*state.gone, *state.hidden)]
    return max([state.last, state.changes, *ends, *numbers])
