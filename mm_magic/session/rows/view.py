"""What shows how far a table is; the notebook layer gives one."""

from collections.abc import Sequence
from typing import Protocol


class RowsView(Protocol):
    """Shows the count of the rows that it was made for."""

    def tick(self) -> None:
        """Some time has passed, and the count may be another."""

    def finish(self, notes: Sequence[str]) -> None:
        """Nothing more comes: the last form, and sentences for the reader."""
