"""Asks in a notebook whether a function may be called: two buttons, and else `input()`.

A click reaches a cell that is awaited, from ipykernel 7 on. While the buttons are there, a file
that is saved has nothing of them but the name of a widget; when they were clicked they are gone.
"""

import asyncio

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.jupyter.running_cell import running_cell
from mm_magic.jupyter.views.finished import Page
from mm_magic.protocol.messages import ToolUseBlock
from mm_magic.session.session import Session
from mm_magic.session.tools.confirming import InTerminal, ask_in_line, nobody
from mm_magic.web_page import in_page

_VIEW = "application/vnd.jupyter.widget-view+json"
_SLOT = "confirm"


class InNotebook:
    """Asks below the running cell of one shell."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        self._shell = shell
        self._session = session

    def register(self) -> None:
        self._session.front_end.confirm = self

    def unregister(self) -> None:
        self._session.front_end.confirm = InTerminal()

    def check(self) -> None:
        """Raise UsageError where nobody can be asked."""
        if running_cell(self._shell).audience == "nobody" or in_page():
            raise nobody()

    async def allows(self, use: ToolUseBlock, *, is_awaited: bool) -> bool:
        """Whether the user allows this call."""
        self.check()
        is_page = running_cell(self._shell).audience == "page"
        if is_page and is_awaited and self._reaches_cell():
            return await self._clicked()
        return await ask_in_line(use, is_shown=is_page)

    def _reaches_cell(self) -> bool:
        """Whether a click reaches a cell that is awaited."""
        from mm_magic.jupyter.panel.panel import reach_of  # widgets, which few need

        return reach_of(self._shell) != "none"

    async def _clicked(self) -> bool:
        """Whether the first of two buttons is clicked, or the second."""
        from ipywidgets import Button, HBox

        from mm_magic.jupyter.views.page import EMPTY

        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        buttons = [Button(description=name) for name in ("Run", "Refuse")]
        for button in buttons:  # a click may come on another thread
            button.on_click(
                lambda each: loop.call_soon_threadsafe(_settle, answer, each is buttons[0])
            )
        box, page = HBox(buttons), Page(self._shell)
        view = {"model_id": box.model_id, "version_major": 2, "version_minor": 0}
        page.show(_SLOT, {_VIEW: view, "text/plain": ""}, update=False)
        try:
            return await answer
        finally:
            page.show(_SLOT, EMPTY, update=True)
            for widget in (*buttons, box):
                widget.close()


def _settle(answer: "asyncio.Future[bool]", allows: bool) -> None:
    if not answer.done():
        answer.set_result(allows)
