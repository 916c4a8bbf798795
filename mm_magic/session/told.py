"""What the reader was told, and what the next answer is to tell."""

from collections.abc import Iterable

from mm_magic.conversation.turn import Turn, TurnKey


class Told:
    """Remembers what is told once, and what happened since the last answer.

    `hidden` are the keys of turns that were hidden since, and `unpicked` the turns that have
    another answer, as the cells that picked were deleted.
    """

    def __init__(self) -> None:
        self._once: set[str] = set()
        self.hidden: set[TurnKey | None] = set()
        self.unpicked: list[Turn] = []

    def once(self, name: str) -> bool:
        """True the first time that it is asked with this name."""
        is_new = name not in self._once
        self._once.add(name)
        return is_new

    def forget(self) -> None:
        """What is told once is told again."""
        self._once.clear()

    def deleted(self, hidden: Iterable[Turn], unpicked: Iterable[Turn]) -> None:
        """Cells were deleted, which hid some turns, and gave others another answer."""
        self.hidden.update(turn.key for turn in hidden)
        self.unpicked += unpicked

    def take_hidden(self, but: TurnKey | None) -> set[TurnKey | None]:
        """The keys of the turns that were hidden, `but` one of them; they are told now."""
        found, self.hidden = self.hidden - {but}, set()
        return found

    def take_unpicked(self) -> list[Turn]:
        """The turns that have another answer; they are told now."""
        found, self.unpicked = self.unpicked, []
        return found
