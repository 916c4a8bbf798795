"""A `%%minimax --rows` cell: its prompt is asked for each row of a table."""

import asyncio
from typing import Any

from mm_magic.errors import MiniMaxError, Stopped
from mm_magic.jupyter.arguments import Arguments
from mm_magic.jupyter.cell_turn import type_of
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.mistakes import check_one_cell, holds_key
from mm_magic.jupyter.named_variable import named_variable
from mm_magic.jupyter.views.rows import rows_view
from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.wording import counted


class RowsTurn:
    """A table that a cell asks about, ready to run."""

    def __init__(self, here: Here, arguments: Arguments, body: str) -> None:
        """Check the cell, and make all prompts. Raises MiniMaxError; sends nothing."""
        self._shell = here.shell
        self._arguments = arguments
        check_one_cell(body)
        prompt = body.strip("\r\n")
        options = arguments.options(here.session.options)
        how = RowsOptions(
            options,
            is_fresh=arguments.fresh,
            budget=arguments.budget or None,
            type=type_of(arguments, here.shell.user_ns),
            in_cell=True,
        )
        variables = here.last_error.variables(prompt)
        rows = named_variable(arguments.rows, variables, "--rows")
        self._job = RowsJob(here.session, prompt, rows, how, variables)
        if not arguments.alone:
            self._job.notes += _not_sent(here, options.conversation)

    def dry_run(self) -> str:
        """What would be sent: how many requests, a forecast, and the first of them."""
        return self._job.dry_run()

    def check_number(self, options: str, prompt: str) -> None:
        """Raise UsageError for too many requests; `options` and `prompt` are the cell's line."""
        if not self._arguments.yes:
            shown = "…" if holds_key(options) else options.strip()
            self._job.check_number(f"%%minimax {shown} --yes {prompt}".rstrip())

    def stopped(self) -> Stopped:
        """What is raised where the cell was stopped."""
        return Stopped(rows=self._job.rows())

    async def run(self, *, is_awaited: bool = False) -> Any:
        """Ask for every row; return the table. Where it ends early, the variable has the rest.

        Raises MiniMaxError with `.rows`.
        """
        to = self._arguments.to
        try:
            table = await self._job.run(
                lambda count: rows_view(self._shell, count, to=to), is_awaited=is_awaited
            )
        except (asyncio.CancelledError, MiniMaxError):
            self._store(self._job.rows())
            raise
        self._store(table)
        return table

    def _store(self, table: object) -> None:
        if self._arguments.to:
            self._shell.user_ns[self._arguments.to] = table


def _not_sent(here: Here, name: str) -> list[str]:
    """A sentence on the earlier turns, which no row is sent with."""
    there = here.session.conversations.get(name)
    turns = len(there.visible) if there else 0
    if not turns:
        return []
    are = "is" if turns == 1 else "are"
    return [f"Each row stands alone: {counted(turns, 'earlier turn')} {are} not sent."]
