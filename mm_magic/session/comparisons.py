"""Asks for several answers at once, of which one is the turn of their cell."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from mm_magic.conversation.replies import Replies
from mm_magic.errors import MiniMaxError
from mm_magic.prompt.prompt import Asked
from mm_magic.session.cells import Cells
from mm_magic.session.commits import Commits
from mm_magic.session.front_end import FrontEnd
from mm_magic.session.run import Run, Step
from mm_magic.session.running import Running
from mm_magic.session.sender import Arriving, Sender
from mm_magic.session.sync import heartbeat
from mm_magic.session.together import Together, merged
from mm_magic.session.turn_request import Ask, TurnRequest, TypeOrTools, from_python
from mm_magic.session.variants import Variant
from mm_magic.session.warn import warn
from mm_magic.transport.client import Retrying


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparisons:
    """Runs the variants of a turn side by side. It draws nothing."""

    cells: Cells
    running: Running
    commits: Commits
    sender: Sender
    front_end: FrontEnd

    def start(
        self,
        ask: Ask,
        variants: Sequence[Variant],
        *,
        is_drawn: bool = False,
        is_awaited: bool = False,
    ) -> Together:
        """The runs of a turn that asks for several answers; nothing is built or sent yet."""
        cell = self.cells.here
        key = cell.take_key() if ask.has_key else None
        asks = [variant.of(ask) for variant in variants]
        runs = [
            Run(each, cell, key, is_drawn, is_awaited, n, patience=each.options.retries)
            for n, each in enumerate(asks, start=1)
        ]
        return Together(variants, runs)

    async def steps(self, several: Together) -> AsyncGenerator[tuple[int, Step | Retrying], None]:
        """Send all requests at once; yield what arrives, with the number of its answer.

        The first complete answer, in the order of the variants, is committed. One that fails keeps
        its error and the others go on; at the end one MiniMaxError stands for all. When cancelled,
        all connections are closed, and `Commits.commit_together` keeps what came.
        """
        several.begin()
        async with self.running.turn_of(*several.runs):
            requests = self.commits.begin_together(several)
            sources = {run.answer: self._kept_error(run, each) for run, each in requests.items()}
            asked = {run.request.endpoint for run in several.runs if run.request}
            with self.sender.client.wanting(next(iter(asked), None), max(1, len(sources))):
                async with aclosing(merged(sources)) as arriving:
                    async for step in arriving:
                        yield step
            self.commits.commit_together(several)
        if (error := several.error()) is not None:
            raise error

    async def _kept_error(self, run: Run, request: TurnRequest) -> Arriving:
        """What arrives of one answer; an error is kept in the run."""
        try:
            async with aclosing(self.sender.typed(run, request)) as arriving:
                async for step in arriving:
                    yield step
        except MiniMaxError as error:
            run.error = error.with_traceback(None)

    async def ask(
        self,
        prompt: Asked,
        variants: Sequence[Variant],
        *,
        alone: bool,
        wanted: TypeOrTools | None = None,
    ) -> Replies:
        """Ask for several answers without drawing them; what a cell notes below is a warning."""
        several = self.start(
            from_python(prompt, variants[0].options, alone=alone, wanted=wanted), variants
        )
        try:
            with self._counting(several):
                async with aclosing(self.steps(several)) as steps:
                    async for _ in steps:
                        pass
        except asyncio.CancelledError:
            self.commits.commit_together(several)
            raise
        finally:
            for note in several.notes:
                warn(note)
        return several.replies()

    @contextmanager
    def _counting(self, several: Together) -> Iterator[None]:
        """While the body runs, the cell counts these answers, which nobody sees, among its own."""
        cell, ended = several.runs[0].cell, 0
        for _ in several.runs:
            cell.begin_ask(time.monotonic())

        def count(number: int) -> None:
            nonlocal ended
            while ended < number:
                cell.end_ask()
                ended += 1

        def beat() -> None:
            count(several.ended)
            self.front_end.while_asking(cell)

        try:
            with heartbeat(beat):
                yield
        finally:
            count(len(several.runs))
