"""Shows how far a table is: on a notebook page, in a headless run's outputs, or in a terminal."""

import threading
import time
from collections.abc import Callable, Sequence

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.rows_count import RowsCount
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.jupyter.views.budget import Screen
from mm_magic.jupyter.views.choose import terminal_view
from mm_magic.jupyter.views.finished import Page
from mm_magic.jupyter.views.terminal import Terminal
from mm_magic.rendering.rows_line import ended_bundle, growing_bundle, growing_line
from mm_magic.session.rows.view import RowsView
from mm_magic.wording import shortened, window_width

INTERVAL = 0.25
"""Seconds between two drawings."""
FIRST_SECONDS = 0.5
"""What has ended sooner shows its end alone."""
_SLOT = "rows"


def rows_view(shell: InteractiveShell, count: RowsCount, *, to: str = "") -> RowsView | None:
    """The view for whoever watches the running cell; `to` is the variable that gets the table.

    None in a thread: its displays may go to another cell.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    audience = running_cell(shell).audience
    if audience == "terminal":
        return RowsInTerminal(
            count, terminal_view(hide_thinking=False), clock=time.monotonic, to=to
        )
    if audience == "nobody":
        return RowsAtEnd(count, Page(shell), to=to)
    return RowsOnPage(count, Page(shell), clock=time.monotonic, to=to)


class RowsAtEnd:
    """Shows nothing before the end."""

    def __init__(self, count: RowsCount, screen: Screen, *, to: str = "") -> None:
        self._count = count
        self._screen = screen
        self._to = to
        self._is_drawn = False

    def tick(self) -> None:
        """Draw nothing."""

    def finish(self, notes: Sequence[str]) -> None:
        """The static line, in the place of what grew."""
        self._show(notes)

    def _show(self, notes: Sequence[str] | None = None) -> None:
        count = self._count
        is_over = notes is not None
        bundle = ended_bundle(count, notes or (), to=self._to) if is_over else growing_bundle(count)
        self._screen.show(_SLOT, bundle, update=self._is_drawn)
        self._is_drawn = True


class RowsOnPage(RowsAtEnd):
    """One line that grows, drawn four times a second at most."""

    def __init__(
        self, count: RowsCount, screen: Screen, *, clock: Callable[[], float], to: str = ""
    ) -> None:
        super().__init__(count, screen, to=to)
        self._due = _Due(clock)

    def tick(self) -> None:
        """Draw the line if it is due."""
        if self._due.is_due():
            self._show()


class RowsInTerminal:
    """One line that is written over, and the end in its place."""

    def __init__(
        self, count: RowsCount, terminal: Terminal, *, clock: Callable[[], float], to: str = ""
    ) -> None:
        self._count = count
        self._terminal = terminal
        self._to = to
        self._due = _Due(clock)

    def tick(self) -> None:
        """Write the line if it is due."""
        if self._due.is_due():
            self._terminal.tick(shortened(growing_line(self._count), window_width() - 1))

    def finish(self, notes: Sequence[str]) -> None:
        """Wipe the line, and print the end."""
        self._terminal.finish(ended_bundle(self._count, notes, to=self._to))


class _Due:
    """Says when the next drawing is due."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = clock() + FIRST_SECONDS

    def is_due(self) -> bool:
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + INTERVAL
        return True
