"""Where several answers are drawn: the notebook page, a headless run's outputs, or the terminal."""

from collections.abc import Sequence
from typing import Protocol

from mm_magic.jupyter.views.budget import Screen
from mm_magic.jupyter.views.terminal import Terminal
from mm_magic.rendering.bundles import Bundle


class AnswersView(Protocol):
    """Draws the answers of one cell, numbered from 1. There is one for each audience."""

    @property
    def is_blank(self) -> bool: ...
    def update(self, number: int, thinking: str, text: str) -> None: ...
    def thinking_done(self, number: int, title: str) -> None: ...
    def failed(self, number: int, card: Bundle) -> None: ...
    def tick(self, waiting: str) -> None: ...
    def finish(self, bundles: Sequence[Bundle]) -> None: ...


class AnswersAtEnd:
    """The answers under a cell that nobody watches, drawn when all have ended."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    @property
    def is_blank(self) -> bool:
        """Whether nothing was drawn yet."""
        return True

    def update(self, number: int, thinking: str, text: str) -> None:
        """Draw nothing: it is in the last form."""

    def thinking_done(self, number: int, title: str) -> None:
        """Draw nothing."""

    def failed(self, number: int, card: Bundle) -> None:
        """Draw nothing."""

    def tick(self, waiting: str) -> None:
        """Draw nothing."""

    def finish(self, bundles: Sequence[Bundle]) -> None:
        """Show each bundle in a display of its own."""
        for number, bundle in enumerate(bundles, start=1):
            self._screen.show(f"part-{number}", bundle, update=False)


class AnswersInTerminal(AnswersAtEnd):
    """The answers as plain text, one below the other; until then a line says how many came."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    @property
    def is_blank(self) -> bool:
        """Whether nothing was printed yet."""
        return self._terminal.is_blank

    def tick(self, waiting: str) -> None:
        """Show the line, where it can be wiped."""
        self._terminal.tick(waiting)

    def finish(self, bundles: Sequence[Bundle]) -> None:
        """Print the plain form of each."""
        *parts, last = bundles
        for part in parts:
            self._terminal.update("", f"{part['text/plain']}\n\n")
        self._terminal.finish(last)
