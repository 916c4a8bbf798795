"""Turns and their order: one turn a cell, in order of first run.

Pure values and one list. It sends nothing and draws nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from mm_magic.conversation.history import History, chained, first_link
from mm_magic.conversation.number_ranges import Ranges, missing, ranges
from mm_magic.conversation.turn import NOTHING, Link, Turn, TurnKey
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import fingerprint
from mm_magic.transport.endpoint import OFFLINE

_MAX_REPLACED = 50  # ids of older turns that a turn remembers
_MAX_CHAINS = 8  # of other models, servers and system prompts, that may come back


@dataclass(frozen=True, slots=True)
class State:
    """What a file must know of a conversation beside its turns.

    `begins` identifies the conversation, whatever its name. `changes` grows with each turn that is
    hidden, forgotten or brought back, and when a kernel takes the conversation in from a file: the
    state with the most is the last one. `gone` and `hidden` are numbers of turns, `last` is the
    highest number that was given.
    """

    begins: str
    changes: int = 0
    gone: Ranges = ()
    hidden: Ranges = ()
    last: int = 0


class Conversation:
    """The turns of one conversation, in order of first run.

    `changes` begins above what a file holds of earlier ones: it counts as later, and is not taken
    for one that began with the same turn.
    """

    def __init__(self, name: str, *, changes: int = 0) -> None:
        self.name = name
        self.turns: list[Turn] = []
        self.last_number = 0
        self.begins = ""
        self._changes = changes
        self._as_taken_in: list[Turn] | None = None
        self._forgotten: dict[int, Turn] = {}
        self._chains: dict[tuple[str, bool], list[Link]] = {}  # as they were sent last, or further

    @property
    def visible(self) -> list[Turn]:
        """The turns that are sent."""
        return [turn for turn in self.turns if not turn.is_hidden]

    @property
    def state(self) -> State:
        """What a file must know beside the turns.

        `last` is left out where the turns themselves tell it: else the first turn of an unchanged
        conversation would be saved otherwise when its cell runs again.
        """
        is_told = bool(self.turns) and self.turns[-1].number == self.last_number
        return State(
            begins=self.begins,
            changes=self._changes,
            gone=missing((turn.number for turn in self.turns), self.last_number),
            hidden=ranges(turn.number for turn in self.turns if turn.is_hidden),
            last=0 if is_told and not self._changes else self.last_number,
        )

    def place(self, key: TurnKey | None, prompt: Prompt | None = None) -> int | None:
        """Where the turn with this key stands in `turns`.

        A turn of a file whose cells have other names here is known by its prompt.
        """
        if key is None:
            return None
        keys = [turn.key for turn in self.turns]
        if key in keys:
            return keys.index(key)
        if not self.is_from_file:
            return None
        strange = (place for place, turn in enumerate(self.turns) if turn.is_strange_to(key))
        return next((p for p in strange if prompt and self.turns[p].prompt.asks_as(prompt)), None)

    def number_at(self, place: int | None) -> int:
        """The number of the turn in this place, or that of the next new one."""
        return self.last_number + 1 if place is None else self.turns[place].number

    def is_unrecognised(self, key: TurnKey | None, prompt: Prompt) -> bool:
        """Whether a turn becomes a new one, while its cell may have one here under another name."""
        if key is None or self.place(key, prompt) is not None:
            return False
        return any(turn.is_strange_to(key) for turn in self.turns)

    def numbered(self, number: int) -> Turn | None:
        """The turn of this number, if it is here."""
        return next((turn for turn in self.turns if turn.number == number), None)

    def before(self, place: int | None = None, *, to_demo: bool) -> list[Turn]:
        """The turns that a turn in this place may send; None is the end.

        A demo turn goes to nobody but the demo, and one of a file to nobody if no server takes it.
        """
        turns = self.turns[:place]
        return [t for t in turns if not t.is_hidden and t.prints and (to_demo or not t.is_demo)]

    def history(  # noqa: PLR0913 - who will read it, by name
        self,
        place: int | None = None,
        *,
        model: str,
        server: str,
        system: str,
        room: int | None = None,
        with_thinking: bool = True,
    ) -> History:
        """What a turn in this place would send before its prompt; None is the end.

        `server` names who will read it: a base URL, or "offline". `room` is the number of bytes
        that there is for it, None for any. Not `with_thinking` is for a server that refuses the
        thinking of earlier turns.
        """
        visible = self.before(place, to_demo=True)
        turns = visible if server == OFFLINE else [turn for turn in visible if not turn.is_demo]
        first = first_link(model, server, system, with_thinking=with_thinking)
        links = self._chained(turns, first)
        skipped = 0
        if room is not None and links[-1].size > room:
            limit = links[-1].size - room
            skipped = next(i for i, link in enumerate(links) if link.size >= limit)
        last = chained(turns[skipped:], first)[-1] if skipped else links[-1]
        return History(
            link=last,
            sent=len(turns) - skipped,
            turns_hash=links[-1].turns_hash,
            demo_left_out=len(visible) - len(turns),
            too_long=skipped,
        )

    def commit(self, turn: Turn) -> Turn:
        """Put a turn in the place of the one with its key, or at the end; return it so placed."""
        place = self.place(turn.key, turn.prompt)
        if place is None:
            self.last_number += 1
            turn = replace(turn, number=self.last_number)
            self.begins = self.begins or fingerprint([turn.id, self._changes])
            self.turns.append(turn)
            return turn
        old = self.turns[place]
        turn = replace(turn, number=old.number)
        if turn.id != old.id:
            turn = replace(turn, replaces=(*old.replaces, old.id)[-_MAX_REPLACED:])
        self._changes += old.is_hidden
        self.turns[place] = turn
        return turn

    def remove_key(self, key: TurnKey) -> None:
        """Take out the turn with this key, if there is one. Its number is not used again."""
        self._take_out(lambda turn: turn.key == key)

    def remove_beyond(self, cell_id: str, index: int) -> None:
        """Take out the turns of a cell, from the one with this index on."""
        self._take_out(
            lambda turn: (
                turn.key is not None
                and turn.key.cell_id == cell_id
                and turn.key.index_in_cell >= index
            )
        )

    def forget(self, number: int | None = None) -> list[Turn]:
        """Drop a turn, or all of them; return what was dropped. `unforget` brings it back."""
        gone = self._take_out(lambda turn: number in (None, turn.number))
        self._changes += bool(gone)
        self._forgotten |= {turn.number: turn for turn in gone}
        return gone

    @property
    def forgotten(self) -> list[Turn]:
        """The turns that were dropped since this kernel has the conversation, by number."""
        return [self._forgotten[number] for number in sorted(self._forgotten)]

    def unforget(self, numbers: Iterable[int]) -> list[Turn]:
        """Put dropped turns back into their places, as they were; return them."""
        back = [self._forgotten.pop(number) for number in numbers if number in self._forgotten]
        if back:
            self.turns = sorted([*self.turns, *back], key=lambda turn: turn.number)
            self._changes += 1
        return back

    def hide(self, cell_ids: Iterable[str]) -> list[Turn]:
        """Keep the turns of these cells in their places, unsent; return those that were sent."""
        wanted = set(cell_ids)
        for turn in self.forgotten:
            if turn.key and turn.key.cell_id in wanted:
                self._forgotten[turn.number] = replace(turn, is_hidden=True)
        return self._set_hidden(True, lambda turn: bool(turn.key and turn.key.cell_id in wanted))

    def bring_back(self, number: int) -> list[Turn]:
        """Send a hidden turn again; return it, or nothing where no hidden turn has this number."""
        return self._set_hidden(False, lambda turn: turn.number == number)

    @property
    def is_from_file(self) -> bool:
        """Whether it was taken in from a file, and not begun in this kernel."""
        return self._as_taken_in is not None

    def take_in(self, turns: Iterable[Turn], state: State) -> None:
        """Become an earlier conversation, as a file holds it.

        It does nothing where turns would be lost: those of another conversation, or what happened
        here since this very conversation was taken in.
        """
        is_same = state.begins == self.begins
        if self.turns != (self._as_taken_in if is_same else []):
            return
        used = self.last_number if is_same else 0  # no number is used twice
        self.turns = renamed(list(turns), self.name)
        here = {turn.number for turn in self.turns}
        kept = self._forgotten.items() if is_same else ()
        self._forgotten = {number: turn for number, turn in kept if number not in here}
        self.last_number = max([used, state.last, *(turn.number for turn in self.turns)])
        self.begins = state.begins
        self._changes = max(self._changes, state.changes) + 1
        self._as_taken_in = list(self.turns)

    def stale_turns(self) -> set[int]:
        """The numbers of the turns that were made with other turns above than stand there now."""
        now = _known_now(self.turns)
        return {
            turn.number
            for turn, known in zip(self.turns, now, strict=True)
            if not turn.is_hidden and turn.turns_hash != known
        }

    def _chained(self, turns: list[Turn], first: Link) -> list[Link]:
        """The chain of these turns; what is known of it is used again, and kept."""
        name = first.context_hash, first.with_thinking
        known = self._chains.pop(name, [])
        links = chained(turns, first, known)
        goes_on = known[len(links) - 1 : len(links)] == links[-1:]
        self._chains[name] = known if goes_on else links  # the latest is the last
        while len(self._chains) > _MAX_CHAINS:
            del self._chains[next(iter(self._chains))]
        return links

    def _take_out(self, is_meant: Callable[[Turn], bool]) -> list[Turn]:
        out = [turn for turn in self.turns if is_meant(turn)]
        if out:
            self.turns = [turn for turn in self.turns if not is_meant(turn)]
        return out

    def _set_hidden(self, hidden: bool, is_meant: Callable[[Turn], bool]) -> list[Turn]:
        changed = [t for t in self.turns if t.is_hidden is not hidden and is_meant(t)]
        if changed:
            ids = set(map(id, changed))
            self.turns = [replace(t, is_hidden=hidden) if id(t) in ids else t for t in self.turns]
            self._changes += 1
        return changed


def renamed(turns: Sequence[Turn], name: str) -> list[Turn]:
    """The turns in a conversation of this name, stale where they were stale before.

    `turns_hash` needs care: it is made of ids, and an id depends on the name of the conversation.
    """
    old = next((turn.conversation for turn in turns if turn.conversation != name), name)
    if old == name:
        return list(turns)
    made = [replace(turn, conversation=name) for turn in turns]
    before = _known_now([replace(turn, conversation=old) for turn in turns])
    return [
        replace(turn, turns_hash=now) if turn.turns_hash == was else turn
        for turn, was, now in zip(made, before, _known_now(made), strict=True)
    ]


def _known_now(turns: Iterable[Turn]) -> list[str]:
    """For each turn, what it would know of the turns above if its cell ran again now."""
    known = []
    with_demo = without_demo = NOTHING
    for turn in turns:
        known.append(with_demo if turn.is_demo else without_demo)
        if turn.is_hidden or not turn.prints:
            continue
        with_demo = fingerprint([with_demo, turn.id])
        if not turn.is_demo:
            without_demo = fingerprint([without_demo, turn.id])
    return known
