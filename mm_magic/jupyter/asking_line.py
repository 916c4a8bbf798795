"""The line under a cell whose code asks with `mm.ask`: that it runs, for how long, how far it is.

It is there while the cell runs, on a page that somebody watches, and only if that takes a while.
The file keeps nothing of it.
"""

import threading
import time

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.jupyter.running_cell import running_cell
from mm_magic.jupyter.views.finished import Page
from mm_magic.session.cell_run import CellRun
from mm_magic.session.session import Session

FIRST_SECONDS = 2.0
"""What is answered sooner leaves no trace."""
PERIOD = 1.0
_SLOT = "asking"


class AskingLine:
    """The line of the cell that runs now, in one shell."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        self._shell = shell
        self._session = session
        self._page: Page | None = None
        self._due = 0.0

    def register(self) -> None:
        self._session.front_end.while_asking = self._beat

    def unregister(self) -> None:
        self._session.front_end.while_asking = lambda _cell: None

    def end_cell(self) -> None:
        """The cell has ended: its line goes."""
        if self._page is not None:
            self._page.show(_SLOT, {"text/plain": ""}, update=True)
        self._page = None

    def _beat(self, cell: CellRun) -> None:
        asking, now = cell.asking, time.monotonic()
        if asking is None or now < max(asking.since + FIRST_SECONDS, self._due):
            return
        self._due = now + PERIOD
        is_here = cell is self._session.cells.here and cell.is_watched
        # A thread's displays may go to another cell.
        if not is_here or threading.current_thread() is not threading.main_thread():
            return
        if running_cell(self._shell).audience == "page":
            self._show(asking.in_words(now))

    def _show(self, line: str) -> None:
        from mm_magic.rendering.bundles import line_bundle

        is_new = self._page is None
        self._page = self._page or Page(self._shell)
        self._page.show(_SLOT, line_bundle(line), update=not is_new)
