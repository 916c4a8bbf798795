"""Turns and their order: one turn a cell, in order of first run.

Pure values and one list. It sends nothing and draws nothing.
"""

from collections.abc import Callable, Container, Iterable, Sequence, Set
from dataclasses import replace
from operator import is_
from typing import NamedTuple, TypeAlias

from mm_magic.conversation.history import History, chained, first_link
from mm_magic.conversation.knowing import Reader, known_now, renamed
from mm_magic.conversation.number_ranges import Ranges, missing, ranges
from mm_magic.conversation.pick import Pick
from mm_magic.conversation.turn import Link, Turn, TurnKey
from mm_magic.conversation.versions import former_version, succeeding
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import fingerprint
from mm_magic.transport.endpoint import OFFLINE

_Chain: TypeAlias = tuple[str, bool, int | None]
"""Who reads a chain, whether its turns have their thinking, and the turn that is left out."""
_MAX_REPLACED = 50  # ids of older turns that a turn remembers
_MAX_CHAINS = 8  # of other models, servers and system prompts, that may come back


class State(NamedTuple):
    """What a file must know of a conversation beside its turns.

    `begins` identifies the conversation, whatever its name. `changes` grows with each turn that is
    hidden, forgotten or brought back, with each pick that is made or undone, and when a kernel
    takes the conversation in from a file: the state with the most is the last one. `gone`, `hidden`
    and `untrusted` are numbers of turns, `last` is the highest number that was given. `picks` are
    the changes that were picks which still count.
    """

    begins: str
    changes: int = 0
    gone: Ranges = ()
    hidden: Ranges = ()
    last: int = 0
    picks: Ranges = ()
    untrusted: Ranges = ()


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
        self._as_taken_in: tuple[list[Turn], list[Pick]] | None = None
        self._picks: list[Pick] = []  # by time
        self._forgotten: dict[int, Turn] = {}
        self._chains: dict[_Chain, list[Link]] = {}  # as they were sent last, or further
        self._known: dict[Reader, tuple[list[Turn], list[Turn]]] = {}  # of all turns, those
        self._prints: tuple[list[Turn], tuple[tuple[str, ...], ...]] = [], ()

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
            picks=ranges(pick.change for pick in self.picks if not pick.is_undone),
            untrusted=ranges(turn.number for turn in self.turns if turn.is_untrusted),
        )

    def place(self, key: TurnKey | None, prompt: Prompt | None = None) -> int | None:
        """Where the turn with this key stands in `turns`.

        A turn of a file whose cells have other names here is known by its prompt, a copy by the
        number of what it copies.
        """
        if key is None:
            return None
        keys = [turn.key for turn in self.turns]
        if key in keys:
            return keys.index(key)
        if not self.is_from_file:
            return None
        strange = (place for place, turn in enumerate(self.turns) if turn.is_strange_to(key))
        if key.fork:
            return next((p for p in strange if self.turns[p].copy_of == key.index_in_cell), None)
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

    def before(
        self, place: int | None = None, *, to_demo: bool, with_untrusted: bool = False
    ) -> list[Turn]:
        """The turns that a turn in this place may send; None is the end.

        A demo turn goes to nobody but the demo, and one of a file to nobody if no server takes it.
        `with_untrusted` are those of an untrusted file, too: not sent, but shown above.
        """
        return self._known_to(Reader(to_demo, with_untrusted), place)

    def _known_to(self, reader: Reader, place: int | None) -> list[Turn]:
        """The same; only turns that were not there the last time are looked at."""
        above = self.turns[:place]
        seen, known = self._known.get(reader, ([], []))
        if not _begins_with(above, seen):
            seen, known = [], []
        if len(seen) < len(above):
            known = [*known, *reader.known_among(above[len(seen) :])]
        self._known[reader] = above, known
        return [*known]

    def prints_before(
        self, place: int | None, *, to_demo: bool, with_untrusted: bool
    ) -> tuple[tuple[str, ...], ...]:
        """The fingerprints of these turns; only those of new ones are looked up."""
        known = self.before(place, to_demo=to_demo, with_untrusted=with_untrusted)
        turns, prints = self._prints
        if not _begins_with(known, turns):
            turns, prints = [], ()
        if len(turns) < len(known):
            prints = (*prints, *(turn.prints for turn in known[len(turns) :]))
        self._prints = known, prints
        return prints

    def earlier_of(self, turn: Turn) -> list[Turn]:
        """The turns above one that stands here, as it knows them."""
        which = {"to_demo": turn.is_demo, "with_untrusted": turn.is_untrusted}
        return self.before(self.turns.index(turn), **which)

    def history(  # noqa: PLR0913 - who will read it, by name
        self,
        place: int | None = None,
        *,
        model: str,
        server: str,
        system: str,
        room: int | None = None,
        with_thinking: bool = True,
        with_untrusted: bool = False,
        without: int | None = None,
    ) -> History:
        """What a turn in this place would send before its prompt; None is the end.

        `server` names who will read it: a base URL, or "offline". `room` is the number of bytes
        that there is for it, None for any. Not `with_thinking` is for a server that refuses the
        thinking of earlier turns. `without` is the number of a turn that is left out this once: it
        counts as known, and keeps its room, so that no older turn comes in its place.
        """
        to_demo = server == OFFLINE
        known = self.before(place, to_demo=to_demo, with_untrusted=with_untrusted)
        shown = self.before(place, to_demo=True, with_untrusted=True)
        left_out = len(shown) - len(known)
        of_demo = sum(turn.is_demo for turn in shown) if left_out and not to_demo else 0
        first = first_link(model, server, system, with_thinking=with_thinking)
        links = self._chained(known, first)
        known_hash, skipped = links[-1].turns_hash, 0
        if room is not None and links[-1].size > room:
            limit = links[-1].size - room
            skipped = next(i for i, link in enumerate(links) if link.size >= limit)
        turns = known[skipped:]
        if without is not None:
            turns = [turn for turn in turns if turn.number != without]
        if len(turns) < len(known):
            links = chained(turns, first) if skipped else self._chained(turns, first, without)
        return History(
            link=links[-1],
            turns=turns,
            sent=len(turns),
            turns_hash=known_hash,
            demo_left_out=of_demo,
            untrusted_left_out=left_out - of_demo,
            too_long=skipped,
        )

    def commit(self, turn: Turn) -> Turn:
        """Put a turn in the place of the one with its key, or at the end; return it so placed."""
        place = self.place(turn.key, turn.prompt)
        if place is None:
            self.last_number += 1
            turn = replace(turn, number=self.last_number)
            self.begins = self.begins or fingerprint([turn.id, self._changes])
            self._changes += turn.is_untrusted
            self.turns.append(turn)
            return turn
        old = self.turns[place]
        self._changes += old.is_hidden or old.is_untrusted != turn.is_untrusted
        return self._put(place, turn)

    def restore_version(self, number: int, version: int) -> Turn | None:
        """Bring a former answer of a turn back into its place, and return the turn.

        The answer that stood there becomes a former one. None if there is no such answer.
        """
        old = self.numbered(number)
        former = former_version(old, version) if old else None
        if old is None or former is None:
            return None
        self._changes += 1
        back = replace(former, key=old.key, label=old.label, is_hidden=False)
        return self._put(self.turns.index(old), back)

    def _put(self, place: int, turn: Turn) -> Turn:
        """Put a turn in the place of another one; return it so placed."""
        old = self.turns[place]
        turn = succeeding(replace(turn, number=old.number), old)
        made = old.as_made.id  # as the file knows it
        replaced = [made] if turn.as_made.id != made else []
        turn = replace(turn, replaces=(*old.replaces, *replaced)[-_MAX_REPLACED:])
        self.turns[place] = turn
        self.unpick(lambda pick: pick.number == turn.number)
        return turn

    def remove_keys(self, keys: Container[TurnKey | None]) -> None:
        """Take out the turns with these keys. Their numbers are not used again."""
        self._take_out(lambda turn: turn.key is not None and turn.key in keys)

    def remove_beyond(self, cell_id: str, index: int, copies: Container[TurnKey | None]) -> None:
        """Take out the turns of a cell from this index on, and all copies but these."""
        self._take_out(
            lambda turn: (
                turn.key is not None
                and turn.key.cell_id == cell_id
                and (turn.key not in copies if turn.copy_of else turn.key.index_in_cell >= index)
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

    def trust(self, number: int | None = None) -> list[Turn]:
        """Send a turn of an untrusted file from now on, or all of them; return those.

        The earlier answers of a turn may be sent, too, once they are brought back.
        """
        is_as_taken_in = self._standing == self._as_taken_in
        asked = [turn for turn in self.turns if number in (None, turn.number)]
        meant = {turn.number for turn in asked if turn.is_untrusted}
        waiting = {t.number for t in asked if any(each.is_untrusted for each in (t, *t.former))}
        self.turns = [trusted(turn) if turn.number in waiting else turn for turn in self.turns]
        self._changes += bool(meant)
        if is_as_taken_in:
            turns, picks = self._standing
            self._as_taken_in = [*turns], picks
        return [turn for turn in self.turns if turn.number in meant]

    @property
    def picks(self) -> list[Pick]:
        """What was picked for the turns that are here or may come back, by time."""
        return self._picks_of([*(turn.number for turn in self.turns), *self._forgotten])

    def _picks_of(self, numbers: Iterable[int]) -> list[Pick]:
        wanted = set(numbers)
        return [pick for pick in self._picks if pick.number in wanted]

    def pick(self, key: TurnKey | None, number: int, answer: int) -> Turn:
        """Give a turn another of its answers, in the name of a cell; return it so.

        What the cell picked before counts no more.
        """
        self._changes += 1
        self.drop_picks(lambda pick: key is not None and pick.key == key)
        self._picks.append(Pick(key, number, answer, self._changes))
        self._settle({number})
        return self.turns[[turn.number for turn in self.turns].index(number)]

    def drop_picks(self, is_meant: Callable[[Pick], bool]) -> None:
        """Take out picks: their cells ran again, and picked nothing here."""
        self.unpick(is_meant)
        self._picks = [pick for pick in self._picks if not is_meant(pick)]

    def unpick(self, is_meant: Callable[[Pick], bool]) -> list[Turn]:
        """Undo picks; return the turns that have another answer now."""
        undone = {id(pick): pick for pick in self._picks if is_meant(pick) and not pick.is_undone}
        if not undone:
            return []
        self._picks = [
            replace(pick, is_undone=True) if id(pick) in undone else pick for pick in self._picks
        ]
        self._changes += 1
        return self._settle({pick.number for pick in undone.values()})

    def _settle(self, numbers: Set[int]) -> list[Turn]:
        """Let these turns have the answer that was picked last; return those that changed."""
        before, picks = self.turns, self._picks_of(numbers)
        self.turns = _settled(before, numbers, picks)
        forgotten = _settled(self._forgotten.values(), numbers, picks)
        self._forgotten = {turn.number: turn for turn in forgotten}
        return [now for now, old in zip(self.turns, before, strict=True) if now is not old]

    @property
    def is_from_file(self) -> bool:
        """Whether it was taken in from a file, and not begun in this kernel."""
        return self._as_taken_in is not None

    def take_in(self, turns: Iterable[Turn], state: State, picks: Sequence[Pick] = ()) -> None:
        """Become an earlier conversation, as a file holds it.

        It does nothing where turns would be lost: those of another conversation, or what happened
        here since this very conversation was taken in.
        """
        is_same = state.begins == self.begins
        if (self._standing != self._as_taken_in) if is_same else self.turns:
            return
        used = self.last_number if is_same else 0  # no number is used twice
        self.turns = renamed(picked(turns, picks), self.name)
        here = {turn.number for turn in self.turns}
        kept = self._forgotten.items() if is_same else ()
        self._forgotten = {number: turn for number, turn in kept if number not in here}
        self.last_number = max([used, state.last, *(turn.number for turn in self.turns)])
        self.begins = state.begins
        self._changes = max(self._changes, state.changes) + 1
        self._as_taken_in = list(self.turns), list(picks)
        self._picks = [*picks, *self._picks_of(self._forgotten)]

    @property
    def _standing(self) -> tuple[list[Turn], list[Pick]]:
        return self.turns, self._picks_of(turn.number for turn in self.turns)

    def stale_turns(self) -> set[int]:
        """The numbers of the turns that were made with other turns above than stand there now."""
        now = known_now(self.turns)
        return {
            turn.number
            for turn, known in zip(self.turns, now, strict=True)
            if not turn.is_hidden and turn.turns_hash != known
        }

    def renew(self, numbers: Container[int]) -> None:
        """Let the turns with these numbers count as made with those that stand above them now."""
        now = known_now(self.turns)
        self.turns = [
            replace(turn, turns_hash=known) if turn.number in numbers else turn
            for turn, known in zip(self.turns, now, strict=True)
        ]

    def _chained(self, turns: list[Turn], first: Link, without: int | None = None) -> list[Link]:
        """The chain of these turns; what is known of it is used again, and kept."""
        name = first.context_hash, first.with_thinking, without
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


def trusted(turn: Turn, *, is_trusted: bool = True) -> Turn:
    """The turn, with all its answers, as one that may be sent, or that may not."""
    others = tuple(replace(each, is_untrusted=not is_trusted) for each in turn.others)
    former = tuple(replace(each, is_untrusted=not is_trusted) for each in turn.former)
    return replace(turn, is_untrusted=not is_trusted, others=others, former=former)


def untrusted(turn: Turn) -> Turn:
    """The turn, with all its answers, as one of a file that Jupyter does not trust."""
    return trusted(turn, is_trusted=False)


def picked(turns: Iterable[Turn], picks: Iterable[Pick]) -> list[Turn]:
    """The turns, each with the answer that was picked last for it, or else as it was made."""
    answers = {pick.number: pick.answer for pick in picks if not pick.is_undone}
    return [
        turn.with_answer(answers[turn.number]) if turn.number in answers else turn.as_made
        for turn in turns
    ]


def _settled(turns: Iterable[Turn], numbers: Set[int], picks: Sequence[Pick]) -> list[Turn]:
    """The turns, those with these numbers as picked."""
    return [picked([turn], picks)[0] if turn.number in numbers else turn for turn in turns]


def _begins_with(turns: Sequence[Turn], first: Sequence[Turn]) -> bool:
    """Whether the turns begin with these very objects; none of them is looked into."""
    return len(first) <= len(turns) and all(map(is_, first, turns))
