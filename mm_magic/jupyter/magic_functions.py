"""The functions that IPython calls for `%minimax` and `%%minimax`.

What they do is imported at their first call: `%load_ext` is quick.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from IPython.core.magic import no_var_expand

from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.own_cells import AWAITED, MAGIC, SLIP
from mm_magic.jupyter.reply_display import ReplyFormatter

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mm_magic.jupyter.magics import Magics, Replied


class MagicFunctions:
    """The magic functions of one shell."""

    def __init__(self, here: Here, replies: ReplyFormatter) -> None:
        self._here = here
        self._replies = replies

    @cached_property
    def _magics(self) -> "Magics":
        from mm_magic.jupyter.magics import Magics

        return Magics(self._here, self._replies)

    def register(self) -> None:
        @no_var_expand
        def minimax(line: str, cell: str | None = None) -> "Replied | None":
            """Ask a MiniMax model. `%%minimax?` explains every option and command."""
            if cell is not None:
                return self._magics.cell(line, cell)
            self._magics.line(line)
            return None

        @no_var_expand
        def minimax_awaited(line: str, cell: str) -> "Coroutine[object, object, Replied | None]":
            """What IPython awaits for a cell that is %%minimax alone."""
            return self._magics.awaited(line, cell)

        @no_var_expand
        def minimax_slip(line: str, cell: str) -> None:
            """What runs in place of a cell with a likely mistake in it."""
            from mm_magic.jupyter import mistakes

            raise mistakes.slip(cell, line)

        minimax.getdoc = _help  # type: ignore[attr-defined]  # IPython asks it for `%%minimax?`
        register = self._here.shell.magics_manager.register_function
        register(minimax, "line_cell", MAGIC)
        register(minimax_awaited, "cell", AWAITED)
        register(minimax_slip, "cell", SLIP)

    def unregister(self) -> None:
        manager = self._here.shell.magics_manager
        for kind, name in (("line", MAGIC), *(("cell", n) for n in (MAGIC, AWAITED, SLIP))):
            manager.magics[kind].pop(name, None)
            vars(manager.user_magics).pop(name, None)  # where IPython keeps the functions, too


def _help() -> str:
    from mm_magic.jupyter.commands.table import overview
    from mm_magic.wording import in_lines

    return in_lines(overview())
