"""`%load_ext mm_magic` and `%unload_ext mm_magic`: what is put into IPython, and taken out."""

import re
from typing import TYPE_CHECKING

import IPython
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell
from traitlets.config import Configurable

from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError
from mm_magic.jupyter import completion
from mm_magic.jupyter.asking_line import AskingLine
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.config import MiniMax
from mm_magic.jupyter.confirming import InNotebook
from mm_magic.jupyter.last_error import LastError
from mm_magic.jupyter.magic_functions import MagicFunctions
from mm_magic.jupyter.own_cells import OwnCells
from mm_magic.jupyter.own_notebook import own_path
from mm_magic.jupyter.reply_display import ReplyFormatter
from mm_magic.jupyter.running_cell import Cell, is_running_cell, running_cell
from mm_magic.jupyter.views.finished import leave_in_file
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.session.api import forget_session
from mm_magic.session.api import session as shared_session
from mm_magic.session.cell_run import running
from mm_magic.session.session import Session
from mm_magic.session.who_answers import anthropic_hint
from mm_magic.wording import plain

if TYPE_CHECKING:
    from mm_magic.conversation.rows_count import RowsCount
    from mm_magic.session.rows.view import RowsView
    from mm_magic.session.turn_request import Ask

MODULE = "mm_magic"
_USES = re.compile(rf"\b(?:minimax|{MODULE})\b")
_LOADS = re.compile(rf"\b(un|re|)load_ext\s+{MODULE}\b")
_loaded: dict[InteractiveShell, "Extension"] = {}


class Extension:
    """All that this extension adds to one shell."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        self._shell = shell
        self._session = session
        self._settings = MiniMax(session, config=shell.config)
        self._replies = ReplyFormatter(shell, session)
        self._here = Here(shell, session, self._settings, LastError(shell))
        self._magics = MagicFunctions(self._here, self._replies)
        self._cells = OwnCells(shell)
        self._asking = AskingLine(shell, session)
        self._confirm = InNotebook(shell, session)
        self._complete = completion.matcher(self._here)
        self._is_introduced = False
        self._page: str | None = None

    def put_in(self) -> None:
        shell = self._shell
        self._session.who.demo_allowed = True
        self._configurables.append(self._settings)
        shell.events.register("pre_run_cell", self._begin_cell)
        shell.events.register("post_run_cell", self._end_cell)
        self._magics.register()
        self._cells.register()
        self._replies.register()
        self._asking.register()
        self._confirm.register()
        self._session.front_end.draw = self._draw
        self._session.front_end.watch_rows = self._watch_rows
        completion.register(shell, self._complete)
        self._begin()

    def take_out(self) -> None:
        shell = self._shell
        while self._here.panels:
            self._here.panels.popitem()[1].close()  # its summary stays on the page
        self._session.who.demo_allowed = False
        self._configurables.remove(self._settings)
        shell.events.unregister("pre_run_cell", self._begin_cell)
        shell.events.unregister("post_run_cell", self._end_cell)
        self._magics.unregister()
        self._cells.unregister()
        self._replies.unregister()
        self._asking.unregister()
        self._confirm.unregister()
        self._session.front_end.draw = self._session.front_end.watch_rows = None
        completion.unregister(shell, self._complete)
        running.set(None)  # the kernel keeps what a cell has set, and the session with it

    def introduce(self) -> None:
        """Print, once, where prompts go, and what was resumed from the notebook's file."""
        if self._is_introduced:
            return
        self._is_introduced = True
        lines = [*filter(None, [self._settings.problem]), self.greeting()]
        if own_path(self._shell, running_cell(self._shell).id) is not None:
            from mm_magic.jupyter.resume import at_load  # only where there is a file to look into

            lines += at_load(self._shell, self._session)
        for line in lines:
            print_lines(line)

    def greeting(self) -> str:
        """One line: where prompts go, and how to write one."""
        session = self._session
        try:
            line = f"mm_magic is ready: `%%minimax` asks {session.answering()}"
            is_demo = session.who.endpoint() is None
        except MiniMaxError as error:
            return f"mm_magic: {error.card()}"
        if not is_demo:
            return plain(f"{line}; model {session.options.model}.")
        hint = anthropic_hint(session.who.environ)
        return f"{line}.\n{hint}" if hint else f"{line}."

    async def _draw(self, ask: "Ask") -> Reply:
        """Run a turn of `mm.ask` and draw it."""
        from mm_magic.jupyter.cell_turn import DrawnTurn

        reply = await DrawnTurn(self._here, ask).run()
        self._replies.was_drawn_by_ask(reply)
        return reply

    def _watch_rows(self, count: "RowsCount") -> "RowsView | None":
        """What shows how far a table of `mm.map` is."""
        from mm_magic.jupyter.views.rows import rows_view

        return rows_view(self._shell, count)

    @property
    def _configurables(self) -> list[Configurable]:
        configurables: list[Configurable] = self._shell.configurables  # type: ignore[assignment]
        return configurables  # what `%config` lists; IPython's annotation is too narrow

    def _begin_cell(self, info: ExecutionInfo) -> None:
        # A cell that a running cell starts, by `ip.run_cell`, is a part of that one.
        if is_running_cell(self._shell):
            return
        self._begin()
        if not self._is_introduced and _USES.search(info.raw_cell or ""):
            self._introduce_in(str(info.raw_cell))

    def _introduce_in(self, cell: str) -> None:
        """The first cell that uses us, where we were loaded at the kernel's start: see `load`.

        `%load_ext` is to do there what it does without an autoload: IPython calls `load` again.
        """
        if (loads := _LOADS.search(cell)) is None:
            self.introduce()
        elif loads[1] != "un":
            assert self._shell.extension_manager is not None
            self._shell.extension_manager.loaded.discard(MODULE)

    def _begin(self) -> None:
        cell = running_cell(self._shell)
        # Headless, cells are not always counted: nbval calls each of them [1].
        label = "" if cell.audience == "nobody" else f"[{self._running_count()}]"
        if cell.audience == "page":
            self._tell_lost(cell)
        self._session.cells.begin(cell.id, label, cell.deleted, is_watched=cell.is_watched)

    def _tell_lost(self, cell: Cell) -> None:
        """On the first cell of a page that was loaded again: say which answers it lost."""
        before, self._page = self._page, cell.page
        if before not in (None, cell.page) and self._session.conversations:
            from mm_magic.jupyter.lost_turns import tell_lost

            tell_lost(self._shell, self._session, cell)

    def _running_count(self) -> int:
        """The number beside the cell that runs: since IPython 9.8 the shell has the next one."""
        return self._shell.execution_count - (IPython.version_info >= (9, 8))

    def _end_cell(self, result: ExecutionResult) -> None:
        self._here.last_error.take()
        if is_running_cell(self._shell):
            return
        self._asking.end_cell()
        if isinstance(result.error_in_exec, KeyboardInterrupt):
            self._session.running.stop(self._session.cells.latest)
        end = self._session.cells.end(succeeded=bool(result.success))
        if running_cell(self._shell).audience != "terminal":
            leave_in_file(self._shell, self._session, end)


def load(shell: InteractiveShell) -> None:
    """Put the extension into the shell, unless it is there, and introduce it.

    At the start of a kernel no cell is running, so nobody would read that, and the notebook's file
    is not known: it waits for the first cell that uses us.
    """
    if shell not in _loaded:
        _loaded[shell] = Extension(shell, shared_session())
        _loaded[shell].put_in()
    if is_running_cell(shell):
        _loaded[shell].introduce()


def unload(shell: InteractiveShell) -> None:
    """Take it out again, key, settings and turns included.

    Only the nesting of event loops, if it was needed, stays.
    """
    extension = _loaded.pop(shell, None)
    if extension is not None:
        extension.take_out()
        forget_session()
