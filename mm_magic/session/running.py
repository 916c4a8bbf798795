"""The runs that are in progress, and whose turn it is in each conversation."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from mm_magic.errors import UsageError
from mm_magic.session.cell_run import CellRun
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_queue import TurnQueue
from mm_magic.session.usage import Meter
from mm_magic.session.watchers import Watchers

if TYPE_CHECKING:
    from mm_magic.session.run import Run


class Running:
    """The `runs` in progress; when they have ended, the meter has counted what came."""

    def __init__(self, meter: Meter, watchers: Watchers) -> None:
        self._meter = meter
        self._watchers = watchers
        self._queues: dict[str, TurnQueue] = {}
        self.runs: list[Run] = []

    @contextmanager
    def now(self, *runs: "Run") -> Iterator[None]:
        """While the body runs, these are in progress."""
        self.runs += runs
        try:
            self._watchers.tell()
            yield
        finally:
            for run in runs:
                self.runs.remove(run)
                if run.is_reused:  # it cost nothing
                    continue
                self._meter.add(run.reply(), run.ask.options.model)
            self._watchers.tell()

    @asynccontextmanager
    async def turn_of(self, *runs: "Run") -> AsyncIterator[None]:
        """While the body runs, these are in progress, and it is their turn in the conversation.

        One turn of a conversation runs at a time; those that stand alone do not wait.
        """
        ask = runs[0].ask
        with heartbeat(), self.now(*runs):
            if ask.alone:
                yield
                return
            name = ask.options.conversation
            queue = self._queues.setdefault(name, TurnQueue())
            queue.check(name)
            async with queue.passing():
                yield

    def calling(self, run: "Run") -> AbstractContextManager[None]:
        """While the body runs, a function is called in this run, whose turn it is."""
        name = run.ask.conversation
        return nullcontext() if name is None else self._queues[name].calling()

    def stop(self, cell: CellRun) -> None:
        """Stop what a cell still asks: an interrupt does not reach its threads."""
        for run in tuple(self.runs):
            if run.cell is cell:
                run.cancel()

    def check_idle(self, name: str) -> None:
        """Raise UsageError while a turn runs in this conversation."""
        if any(run.ask.conversation == name for run in self.runs):
            raise UsageError(
                f"a turn is running in conversation {name}",
                next_steps=("Stop it, or wait until it ends.",),
            )
