"""One choice among the answers of a turn, made by a cell with `%minimax pick`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mm_magic.conversation.turn import TurnKey


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """The answer that a cell picked for the turn with this number.

    `key` is the cell, and the place among the picks of one run of it; None where cells are not
    known. `change` is the number of the conversation's change that it was, which tells it from
    others and orders them. One that `is_undone` counts no more: its cell was deleted, or the turn
    was made again. It still says to which turn its cell keeps. `extra` are fields of its saved form
    that this release does not know.
    """

    key: TurnKey | None
    number: int
    answer: int
    change: int
    is_undone: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)

    def is_of(self, cell_id: str | None) -> bool:
        """Whether this cell made it; none is of the cell None."""
        return self.key is not None and self.key.cell_id == cell_id
