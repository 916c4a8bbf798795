"""The conversations of one kernel, by name. May be used from several threads."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import RLock

from mm_magic.conversation.conversation import Conversation, State
from mm_magic.conversation.turn import Turn


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
            self._forgotten = []
            for name, other in self.items():
                if turn.key is not None and name != turn.conversation:
                    other.remove_key(turn.key)
            return turn if turn.conversation is None else self.named(turn.conversation).commit(turn)

    def commit_and_compare(self, turn: Turn) -> tuple[Turn, list[int]]:
        """The same, with the numbers of the later turns that it made stale by taking a place."""
        with self.changing:
            there = self.get(turn.conversation or "")
            if there is None or there.place(turn.key, turn.prompt) in (None, len(there.turns) - 1):
                return self.commit(turn), []
            before = there.stale_turns()
            placed = self.commit(turn)
            return placed, sorted(there.stale_turns() - before)

    def hide(self, cell_ids: Iterable[str]) -> list[Turn]:
        """Keep the turns of these cells in their places, unsent; return those that were sent."""
        ids = set(cell_ids)
        with self.changing:
            return [turn for each in self.values() for turn in each.hide(ids)]

    def remove_beyond(self, cell_id: str, index: int) -> None:
        """Take out the turns of a cell from this index on: its last run made no more."""
        with self.changing:
            for each in self.values():
                each.remove_beyond(cell_id, index)

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

    def take_in(self, name: str, turns: Sequence[Turn], state: State) -> None:
        """Put turns of a file into a conversation; see `Conversation.take_in`."""
        with self.changing:
            self.named(name).take_in(turns, state)
