"""Where a turn is drawn: the notebook page, a headless run's outputs, or the terminal."""

import sys
import time
from typing import TYPE_CHECKING, Protocol

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.jupyter.running_cell import Audience
from mm_magic.jupyter.views.finished import Page

if TYPE_CHECKING:
    from mm_magic.jupyter.views.terminal import Terminal
    from mm_magic.rendering.bundles import Bundle


class View(Protocol):
    """Draws one reply. There is one for each audience."""

    @property
    def is_blank(self) -> bool: ...
    def draw_at_end(self) -> None: ...
    def update(self, thinking: str, text: str) -> None: ...
    def end_text(self) -> None: ...
    def tick(self, waiting: str) -> None: ...
    def thinking_done(self, title: str) -> None: ...
    def finish(self, status: "Bundle", value: "Bundle | None" = None) -> None: ...


def view(shell: InteractiveShell, audience: Audience, *, hide_thinking: bool) -> View:
    """The view for this audience. The Markdown parser is imported here, at the first drawing."""
    from mm_magic.jupyter.views.page import Final, Live

    if audience == "page":
        return Live(Page(shell), clock=time.monotonic, hide_thinking=hide_thinking)
    if audience == "nobody":
        return Final(Page(shell), hide_thinking=hide_thinking)
    return terminal_view(hide_thinking=hide_thinking)


def terminal_view(*, hide_thinking: bool) -> "Terminal":
    """The view that prints."""
    from mm_magic.jupyter.views.terminal import Terminal

    is_tty = sys.stdout.isatty()
    return Terminal(_print, colour=is_tty, tty=is_tty, hide_thinking=hide_thinking)


def _print(text: str) -> None:
    # A file on Windows holds no emoji: a "?" there is better than a broken-off answer.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
