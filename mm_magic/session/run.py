"""One turn on its way: what has come of the answer so far. It sends nothing."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from mm_magic.conversation.reply import Reply, Status
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.protocol.accumulate import Accumulator, Growth
from mm_magic.session.cell_run import CellRun
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.transport.body import Batch
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.wording import counted


class Step(NamedTuple):
    """What one read brought: the growth, and the seconds since the request was sent."""

    seconds: float
    growth: Growth


@dataclass(slots=True, eq=False)
class Run:
    """One turn on its way; the session drives it. `reply` is what has come so far.

    `is_drawn` says that the reader sees it grow, `is_awaited` that the event loop is free
    meanwhile. `request` is None until its turn has come, `turn` until it has ended. `notes` are
    sentences for the reader. `thinking_seconds` is how long it has thought, None if it has not, or
    if that can't be told. `seconds` is when the latest of the answer came, after the request.
    """

    ask: Ask
    cell: CellRun
    key: TurnKey | None
    is_drawn: bool = False
    is_awaited: bool = False
    request: TurnRequest | None = None
    turn: Turn | None = None
    notes: list[str] = field(default_factory=list)
    thinking_seconds: float | None = None
    seconds: float | None = None
    _accumulator: Accumulator = field(default_factory=Accumulator)
    _is_thinking: bool = False
    _driver: tuple[asyncio.AbstractEventLoop, "asyncio.Task[object]"] | None = None

    def begin(self) -> None:
        """The running task drives it from now on."""
        task = asyncio.current_task()
        assert task is not None
        self._driver = asyncio.get_running_loop(), task

    def cancel(self) -> None:
        """Stop it, from any thread: the task that drives it is cancelled."""
        if self._driver is not None:
            loop, task = self._driver
            with suppress(RuntimeError):  # the loop is closed: it has ended
                loop.call_soon_threadsafe(task.cancel)

    def take(self, batch: Batch) -> Step:
        """Take the events of one read."""
        growth = self._accumulator.add(batch.events)
        self.seconds = batch.seconds
        # Thinking lasts until the first text; unknown if both came in one read.
        if self._is_thinking or (growth.thinking and not growth.text):
            self._is_thinking = not growth.text
            self.thinking_seconds = batch.seconds
        return Step(batch.seconds, growth)

    def again(self, request: TurnRequest) -> None:
        """Nothing came, and this request is sent in its place."""
        self.ask, self.request = request.ask, request
        self._accumulator = Accumulator()
        self.seconds = None

    @property
    def is_over(self) -> bool:
        """Whether a complete answer has come, and its last event was taken."""
        return self._accumulator.state == "complete"

    def end(self) -> None:
        """The answer has ended. Raises MiniMaxError if it is no complete one."""
        self._accumulator.end()
        if skipped := self._accumulator.skipped:
            events = counted(skipped, "event")
            self.notes.append(f"{events} of the answer could not be read.")
        if (error := self._accumulator.error()) is not None:
            raise error

    def reply(self, unfinished: Status = "incomplete") -> Reply:
        """What has come so far: complete, or `unfinished` if something is missing."""
        is_complete = self._accumulator.state == "complete"
        origin = self.request.origin if self.request else None
        return Reply(
            message=self._accumulator.message(),
            status="complete" if is_complete else unfinished,
            backend=self.request.backend if self.request else OFFLINE,
            thinking_seconds=self.thinking_seconds,
            origin=origin,
            seconds=origin.seconds if origin else self.seconds,
        )
