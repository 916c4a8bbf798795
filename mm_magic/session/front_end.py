"""What a notebook shows, and asks, while code runs; nothing of it where nobody loaded it there."""

from typing import TYPE_CHECKING

from mm_magic.session.cell_run import CellRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mm_magic.conversation.reply import Reply
    from mm_magic.conversation.rows_count import RowsCount
    from mm_magic.session.rows.view import RowsView
    from mm_magic.session.tools.confirming import Confirm
    from mm_magic.session.turn_request import Ask


def _nothing(_cell: CellRun) -> None:
    pass


class FrontEnd:
    """Whatever shows what a session does.

    `draw` runs a turn that is drawn, and `watch_rows` gives what shows how far a table is; both are
    None where IPython is not there to draw. `while_asking` is called every 50 ms while the code of
    a cell asks what is not drawn.
    """

    def __init__(self) -> None:
        self.draw: Callable[[Ask], Awaitable[Reply]] | None = None
        self.watch_rows: Callable[[RowsCount], RowsView | None] | None = None
        self.while_asking: Callable[[CellRun], None] = _nothing
        self._confirm: Confirm | None = None

    @property
    def confirm(self) -> "Confirm":
        """Asks the user whether a function may be called: with `input()`, unless it is set."""
        if self._confirm is None:
            from mm_magic.session.tools.confirming import InTerminal

            self._confirm = InTerminal()
        return self._confirm

    @confirm.setter
    def confirm(self, confirm: "Confirm") -> None:
        self._confirm = confirm
