"""What a notebook shows, and asks, while code runs; nothing of it where nobody loaded it there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mm_magic.session.cell_run import CellRun
from mm_magic.session.tools.confirming import Confirm, InTerminal

if TYPE_CHECKING:
    from mm_magic.conversation.reply import Reply
    from mm_magic.conversation.rows_count import RowsCount
    from mm_magic.session.rows.view import RowsView
    from mm_magic.session.turn_request import Ask


def _nothing(_cell: CellRun) -> None:
    pass


@dataclass(slots=True, eq=False, repr=False)
class FrontEnd:
    """Whatever shows what a session does.

    `draw` runs a turn that is drawn, and `watch_rows` gives what shows how far a table is; both are
    None where IPython is not there to draw. `while_asking` is called every 50 ms while the code of
    a cell asks what is not drawn. `confirm` asks the user whether a function may be called.
    """

    draw: "Callable[[Ask], Awaitable[Reply]] | None" = None
    watch_rows: "Callable[[RowsCount], RowsView | None] | None" = None
    while_asking: Callable[[CellRun], None] = _nothing
    confirm: Confirm = field(default_factory=InTerminal)
