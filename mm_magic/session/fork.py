"""`%minimax fork`: a conversation that begins with copies of another one's turns.

A copy is a turn of its own, of the cell that forked, so all that holds for a cell's turns holds
for it. A cell that runs again makes those of its copies anew that are still there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import UsageError
from mm_magic.session.cell_run import CellRun
from mm_magic.session.conversations import Conversations
from mm_magic.session.options import BY_NAME
from mm_magic.wording import counted, listed, option, quoted, turns_listed


@dataclass(frozen=True, slots=True)
class Forked:
    """What a fork made of the conversation `origin`.

    `copies` are the turns as they stand in their conversation now. `not_copied` are the numbers of
    the turns that the origin has got since this cell forked first, `outdated` those of all
    outdated turns in the new conversation if this made one of them so. `free_name` is a name for
    another fork.
    """

    origin: str
    copies: Sequence[Turn]
    not_copied: Sequence[int]
    outdated: Sequence[int]
    free_name: str


def fork(
    conversations: Conversations, origin: str, name: str, until: int | None, cell: CellRun
) -> Forked:
    """Begin conversation `name` with copies of the turns of `origin`, up to the number `until`.

    Raises UsageError.
    """
    with conversations.changing:
        from_here = conversations.get(origin, Conversation(origin))
        to_here = conversations.get(name, Conversation(name))
        had = [turn for turn in to_here.turns if _is_own(turn, _key(cell, 0, name))]
        _check_name(conversations, origin, name, until)
        if not had:
            _check_free(conversations, to_here, until, cell)
        copies = [_copy(turn, name, cell) for turn in _to_copy(from_here, name, until)]
        known = [turn.copy_of for turn in had]
        kept = [copy for copy in copies if copy.copy_of in known] if had else copies
        later = [copy.copy_of for copy in copies if had and copy.copy_of > max(known)]
        if not kept or (later and until is not None):
            raise _has_others(conversations, name, until, f"copies of {turns_listed(known)}")
        before = to_here.stale_turns()
        _take_out_old(to_here, had, kept, cell)
        made = conversations.fork(name, kept, from_here.stale_turns())
        after = conversations[name].stale_turns() - {copy.number for copy in made}
        outdated = sorted(after) if after - before else []
        return Forked(origin, made, later, outdated, _free(conversations, name))


def _check_name(
    conversations: Mapping[str, Conversation], origin: str, name: str, until: int | None
) -> None:
    if (check := BY_NAME["conversation"].check) is not None:
        check("conversation", name)
    if name == origin:
        raise UsageError(
            f"conversation {origin} can't be copied into itself",
            next_steps=_lines(_free(conversations, name), until, "Choose another name: "),
        )


def _to_copy(origin: Conversation, name: str, until: int | None) -> list[Turn]:
    """The turns of a conversation that are sent, up to a number. Raises UsageError."""
    if until is not None and origin.numbered(until) is None and origin.turns:
        numbers = listed(turn.number for turn in origin.turns)
        raise UsageError(
            f"conversation {origin.name} has no turn {until}; its turns: {numbers}",
            next_steps=_lines(name, None, "To copy all of them: "),
        )
    found = [turn for turn in origin.visible if until is None or turn.number <= until]
    if not found:
        line = option("-c", "--conversation", name)
        raise UsageError(
            f"conversation {origin.name} has no turns to copy",
            next_steps=(f"To begin {name} without earlier turns: `%%minimax {line}`",) * bool(line),
        )
    return found


def _copy(turn: Turn, name: str, cell: CellRun) -> Turn:
    """The turn as one of this cell, with the one answer that is sent; it gets its number later.

    Numbers of turns mean others here, so what was left out is kept only where it is a variable.
    """
    return replace(
        turn,
        conversation=name,
        key=_key(cell, turn.number, name),
        label=cell.label,
        replaces=(),
        answer=0,
        others=(),
        version=1,
        former=(),
        copy_of=turn.number,
        without=turn.without if turn.sent_prompt is not turn.prompt else None,
    )


def _key(cell: CellRun, number: int, name: str) -> TurnKey | None:
    return TurnKey(cell.cell_id, number, name) if cell.cell_id else None


def _is_own(turn: Turn, key: TurnKey | None) -> bool:
    """Whether the cell of this key forked the turn, or may have where cells have other names."""
    if key is None or turn.key is None or turn.key.fork != key.fork:
        return False
    return turn.is_of(key.cell_id) or turn.is_strange_to(key)


def _check_free(
    conversations: Mapping[str, Conversation], there: Conversation, until: int | None, cell: CellRun
) -> None:
    """Raises UsageError if a conversation has turns beside those of an earlier run of the cell."""
    number = sum(not _is_of_earlier_run(turn, cell) for turn in there.turns)
    if number:
        raise _has_others(conversations, there.name, until, counted(number, "turn"))


def _is_of_earlier_run(turn: Turn, cell: CellRun) -> bool:
    """Whether a turn that is no copy is one that this run of the cell has not made again so far."""
    key = turn.key
    return key is not None and not turn.copy_of and key.is_from(cell.cell_id, cell.begun)


def _take_out_old(
    there: Conversation, had: Sequence[Turn], kept: Sequence[Turn], cell: CellRun
) -> None:
    """Take out the copies that are not made again; where there were none, what the cell asked."""
    again = {copy.copy_of for copy in kept}
    old = [turn for turn in had if turn.copy_of not in again]
    asked = [] if had else [turn for turn in there.turns if _is_of_earlier_run(turn, cell)]
    there.remove_keys({turn.key for turn in (*old, *asked)})


def _has_others(
    conversations: Mapping[str, Conversation], name: str, until: int | None, what: str
) -> UsageError:
    return UsageError(
        f"conversation {name} already has {what}",
        next_steps=_lines(_free(conversations, name), until, "Begin another one: "),
    )


def _free(conversations: Mapping[str, Conversation], name: str) -> str:
    """A name like this one that is not taken: after "idea" comes "idea-2"."""
    stem, _, number = name.rpartition("-")
    stem = stem if stem and number.isdecimal() else name
    return next(
        each for n in count(2) if (each := f"{stem}-{n}") not in conversations and each != name
    )


def _lines(name: str, until: int | None, told: str = "") -> tuple[str, ...]:
    """The next step: the line that forks so, if it can be typed."""
    word = quoted(name)
    number = "" if until is None else f" {until}"
    return () if word is None else (f"{told}`%minimax fork {word}{number}`",)
