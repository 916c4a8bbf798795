"""The conversations of one kernel, by name. May be used from several threads."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from threading import RLock
from typing import TypeVar

from mm_magic.conversation.conversation import Conversation, State
from mm_magic.conversation.pick import Pick
from mm_magic.conversation.turn import Turn, TurnKey

T = TypeVar("T")


class Conversations(Mapping[str, Conversation]):
    """The conversations that have begun.

    `changing` is held where turns are placed, taken out, or read as a history. `changes_in_file` is
    the most changes of any conversation in the notebook's file, -1 if there is none: what begins
    here is later than all of them.
    """

    def __init__(self) -> None:
        self.changing = RLock()
        self.changes_in_file = -1
        self._by_name: dict[str, Conversation] = {}
        self._forgotten: list[tuple[str, list[int]]] = []  # since the last turn, to be undone

    def __getitem__(self, name: str) -> Conversation:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._by_name))

    def __len__(self) -> int:
        return len(self._by_name)

    def named(self, name: str) -> Conversation:
        """The conversation of this name; a new one if there is none."""
        with self.changing:
            if name not in self._by_name:
                self._by_name[name] = Conversation(name, changes=self.changes_in_file + 1)
            return self._by_name[name]

    def state_of(self, turn: Turn) -> State | None:
        """The state of the conversation that a turn is in, None if it is in none."""
        there = self.get(turn.conversation or "")
        return there.state if there and turn in there.turns else None

    def turns(self) -> list[Turn]:
        """The turns of all of them."""
        return [turn for each in self.values() for turn in each.turns]

    def commit(self, turn: Turn) -> Turn:
        """Put a turn into its conversation, and out of the one that its cell was in before.

        Returns the turn as it stands there; one that stands alone, as it is.
        """
        with self.changing:
            self._begin_commit({turn.key}, turn.conversation)
            return turn if turn.conversation is None else self.named(turn.conversation).commit(turn)

    def commit_and_compare(self, turn: Turn) -> tuple[Turn, list[int]]:
        """The same, with the numbers of the stale turns if it made one so by taking a place."""
        with self.changing:
            there = self.get(turn.conversation or "")
            if there is None or there.place(turn.key, turn.prompt) in (None, len(there.turns) - 1):
                return self.commit(turn), []
            return _and_stale(there, lambda: self.commit(turn))

    def hide(self, cell_ids: Iterable[str]) -> list[Turn]:
        """Keep the turns of these cells in their places, unsent; return those that were sent."""
        ids = set(cell_ids)
        with self.changing:
            return [turn for each in self.values() for turn in each.hide(ids)]

    def remove_beyond(self, cell_id: str, index: int, made: Iterable[Turn]) -> None:
        """Take out the turns of a cell from this index on: its last run made no more.

        Of copies it has those alone that this run `made`.
        """
        copies = {turn.key for turn in made if turn.copy_of}
        with self.changing:
            for each in self.values():
                each.remove_beyond(cell_id, index, copies)

    def fork(self, name: str, copies: Sequence[Turn], outdated: Container[int]) -> list[Turn]:
        """Put copies into the conversation of this name; return them as they stand there.

        They count as made with those above them, but for the copies of `outdated` turns.
        """
        with self.changing:
            self._begin_commit({copy.key for copy in copies}, name)
            there = self.named(name)
            placed = [there.commit(copy) for copy in copies]
            there.renew({turn.number for turn in placed if turn.copy_of not in outdated})
            numbers = {turn.number for turn in placed}
            return [turn for turn in there.turns if turn.number in numbers]

    def forget(self, name: str, number: int | None = None) -> list[Turn]:
        """Drop a turn of a conversation, or all of them; return what was dropped."""
        with self.changing:
            gone = self.named(name).forget(number) if name in self else []
            if gone:
                self._forgotten.append((name, [turn.number for turn in gone]))
            return gone

    def bring_back(self, name: str, number: int) -> list[Turn]:
        """Send a hidden or forgotten turn of a conversation again; return it.

        It returns nothing where there is none, or where its cell has another turn now.
        """
        with self.changing:
            there = self.get(name)
            if there is None or self.instead_of(there, number):
                return []
            back = there.unforget([number])
            return there.bring_back(number) or back

    def restore_version(
        self, name: str, number: int, version: int
    ) -> tuple[Turn, list[int]] | None:
        """Bring a former answer of a turn back; see `Conversation.restore_version`.

        Returns the turn, and the numbers of the stale turns if this made one of them so.
        """
        with self.changing:
            if (there := self.get(name)) is None:
                return None
            turn, stale = _and_stale(there, lambda: there.restore_version(number, version))
            return None if turn is None else (turn, stale)

    def instead_of(self, conversation: Conversation, number: int) -> Turn | None:
        """The turn that the cell of a forgotten one has now."""
        forgotten = (turn for turn in conversation.forgotten if turn.number == number)
        key = next((turn.key for turn in forgotten), None)
        return next((turn for turn in self.turns() if key and turn.key == key), None)

    def undo_forgetting(self) -> tuple[Conversation, list[Turn]] | None:
        """Bring back what was forgotten last, as it was; None where a turn was made since."""
        with self.changing:
            while self._forgotten:
                name, numbers = self._forgotten.pop()
                if back := self.named(name).unforget(numbers):
                    return self.named(name), back
        return None

    def take_in(
        self, name: str, turns: Sequence[Turn], state: State, picks: Sequence[Pick] = ()
    ) -> None:
        """Put turns of a file into a conversation; see `Conversation.take_in`."""
        with self.changing:
            self.named(name).take_in(turns, state, picks)

    # -- picked answers -----------------------------------------------------------------------

    def now(self, turn: Turn) -> Turn:
        """A turn as it stands now, with the answer that was picked; one that is gone, as it was."""
        there = self.get(turn.conversation or "")
        found = there.numbered(turn.number) if there else None
        return found if found and found.as_made.id == turn.as_made.id else turn

    def stands(self, turn: Turn) -> bool:
        """Whether a turn is sent now with this very answer."""
        now = self.now(turn)
        return now.answer == turn.answer and now in self.turns() and not now.is_hidden

    def pick(self, key: TurnKey | None, turn: Turn, answer: int) -> tuple[Turn, list[int]]:
        """Give a turn another of its answers, in the name of a cell.

        Returns the turn, and the numbers of the stale turns if this made one of them so.
        """
        with self.changing:
            there = self[str(turn.conversation)]
            for other in self.values():
                if other is not there:
                    other.drop_picks(lambda pick: key is not None and pick.key == key)
            return _and_stale(there, lambda: there.pick(key, turn.number, answer))

    def picks(self) -> list[tuple[Conversation, Pick]]:
        """All that was picked in each of them."""
        return [(each, pick) for each in self.values() for pick in each.picks]

    def unpick(self, cell_ids: Iterable[str]) -> list[Turn]:
        """Undo what these cells picked; return the turns that have another answer now."""
        ids = set(cell_ids)
        with self.changing:
            return [
                turn
                for each in self.values()
                for turn in each.unpick(lambda pick: bool(pick.key and pick.key.cell_id in ids))
            ]

    def drop_picks_beyond(self, cell_id: str, index: int) -> None:
        """Take out the picks of a cell from this index on: its last run made no more."""
        with self.changing:
            for each in self.values():
                each.drop_picks(lambda pick: bool(pick.key and pick.key.is_from(cell_id, index)))

    def _begin_commit(self, keys: Set[TurnKey | None], name: str | None) -> None:
        """Turns with these keys go into the conversation of this name, and out of all others."""
        self._forgotten = []
        for other in self.values():
            if other.name != name:
                other.remove_keys(keys)


def _and_stale(there: Conversation, change: Callable[[], T]) -> tuple[T, list[int]]:
    """What a change of a conversation gives, and what to tell of the turns that it made stale.

    These are the numbers of all stale turns, as the history's table has them, and none where no
    turn became stale: whoever runs all cells in order was told of them already.
    """
    before = there.stale_turns()
    made = change()
    after = there.stale_turns()
    return made, sorted(after) if after - before else []
