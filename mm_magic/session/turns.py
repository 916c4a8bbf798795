"""Asks for one answer: a turn, from its cell to its place in a conversation."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from mm_magic.conversation.reply import Reply
from mm_magic.prompt.prompt import Asked
from mm_magic.session.cells import Cells
from mm_magic.session.commits import Commits
from mm_magic.session.front_end import FrontEnd
from mm_magic.session.options import Options
from mm_magic.session.run import Calling, Run, Step
from mm_magic.session.running import Running
from mm_magic.session.sender import Sender
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_request import Ask, TurnRequest, TypeOrTools, from_python
from mm_magic.session.warn import warn
from mm_magic.transport.client import Retrying


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Turns:
    """Runs turns, one at a time in a conversation. It draws nothing."""

    cells: Cells
    running: Running
    commits: Commits
    sender: Sender
    front_end: FrontEnd

    def start(self, ask: Ask, *, is_drawn: bool = False, is_awaited: bool = False) -> Run:
        """The run of a turn; nothing is built or sent before its `steps` are taken."""
        cell = self.cells.here
        return Run(ask, cell, cell.take_key() if ask.has_key else None, is_drawn, is_awaited)

    def request(self, ask: Ask) -> TurnRequest:
        """The request that the next turn of the running cell would be now. Sends nothing.

        Raises UsageError, and as `WhoAnswers.endpoint` does.
        """
        return self.sender.requests.build_next(ask, self.cells.here)

    async def steps(self, run: Run) -> AsyncGenerator[Step | Retrying | Calling, None]:
        """Send the request and yield what arrives; commit the turn at its end.

        It waits while another turn of the same conversation runs. Raises MiniMaxError with `.reply`
        where the answer fails or breaks off. When cancelled, the connection is closed, and `stop`
        says what becomes of the part that came.
        """
        run.begin()
        async with self.running.turn_of(run):
            if (request := self.commits.begin(run)) is None:
                return
            arriving: AsyncGenerator[Step | Retrying | Calling, None]
            if run.ask.tools:
                from mm_magic.session.tool_steps import answer_in_steps  # few name functions

                confirm = self.front_end.confirm if run.ask.confirms else None
                arriving = answer_in_steps(self.sender, self.running, confirm, run, request)
            else:
                arriving = self.sender.typed(run, request)
            async with aclosing(arriving):
                async for step in arriving:
                    yield step
            self.commits.commit(run, run.reply())

    def stop(self, run: Run) -> Reply:
        """The run was cancelled: keep what came, as a stopped turn if it has text."""
        run.stop_calls()
        reply = run.reply("stopped")
        self.commits.commit(run, reply, is_stopped=True)
        return reply

    async def ask(
        self, prompt: Asked, options: Options, *, alone: bool, wanted: TypeOrTools | None = None
    ) -> Reply:
        """Run one turn to its end without drawing it. What a cell notes below it is a warning."""
        run = self.start(from_python(prompt, options, alone=alone, wanted=wanted))
        run.cell.begin_ask(time.monotonic())
        try:
            with heartbeat(partial(self.front_end.while_asking, run.cell)):
                async with aclosing(self.steps(run)) as steps:
                    async for _ in steps:
                        pass
        except asyncio.CancelledError:
            self.stop(run)
            raise
        finally:  # they are told once, also where no answer came
            run.cell.end_ask()
            for note in run.notes:
                warn(note)
        return run.reply()
