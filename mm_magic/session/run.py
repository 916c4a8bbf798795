"""One turn on its way: prepared, sent, growing, and in the end a turn of its conversation."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mm_magic.conversation.reply import Reply, Status
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError
from mm_magic.session.next_steps import next_steps
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_request import Prepared
from mm_magic.transport.body import Batch
from mm_magic.transport.endpoint import Endpoint

if TYPE_CHECKING:
    from mm_magic.protocol.accumulate import Accumulator, Growth
    from mm_magic.session.session import Session
    from mm_magic.transport.client import Retrying


class Step(NamedTuple):
    """What one read brought: the growth, and the seconds since the request was sent."""

    seconds: float
    growth: "Growth"


@dataclass(slots=True, eq=False)
class Run:
    """One turn on its way. `steps` drives it; `reply` is what has come so far.

    `is_drawn` says that the reader sees it grow, `is_awaited` that the event loop is free
    meanwhile. `notes` are sentences for the reader. `thinking_seconds` is how long it has thought,
    None if it has not, or nobody can tell.
    """

    session: "Session"
    prepared: Prepared
    is_drawn: bool = False
    is_awaited: bool = False
    notes: list[str] = field(default_factory=list)
    thinking_seconds: float | None = None
    _accumulator: "Accumulator" = field(default_factory=lambda: _new_accumulator())
    _is_thinking: bool = False
    _committed: Turn | None = None
    _driver: tuple[asyncio.AbstractEventLoop, "asyncio.Task[object]"] | None = None

    async def steps(self) -> AsyncGenerator["Step | Retrying", None]:
        """Send the request and yield what arrives; commit the turn at its end.

        It waits while another turn of the same conversation runs. Raises MiniMaxError with `.reply`
        where the answer fails or breaks off. When cancelled, the connection is closed, and `stop`
        says what becomes of the part that came.
        """
        task = asyncio.current_task()
        assert task is not None
        self._driver = asyncio.get_running_loop(), task
        session = self.session
        with heartbeat(), session.running_now(self):
            async with session.turnstile(self.prepared):
                self.prepared = session.settle(self.prepared)
                self.notes = session.notes(self.prepared)
                source = session.source_for(self.prepared)
                stream = session.client().stream(
                    source,
                    self.prepared.request,
                    retries=self.prepared.options.retries,
                    taps=session.taps(self.prepared),
                )
                try:
                    async with aclosing(stream) as arriving:
                        async for arrival in arriving:
                            if not isinstance(arrival, Batch):
                                yield arrival
                                continue
                            growth = self._accumulator.add(arrival.events)
                            self._time_thinking(arrival.seconds, growth)
                            yield Step(arrival.seconds, growth)
                except MiniMaxError as error:
                    raise await self._failed(error) from None
                self._accumulator.end()
                if skipped := self._accumulator.skipped:
                    events = "1 event" if skipped == 1 else f"{skipped} events"
                    self.notes.append(f"{events} of the answer could not be read: left out.")
                if (failure := self._accumulator.error()) is not None:
                    raise await self._failed(failure)
                self._commit(self.reply())
                self.notes += session.recording_notes(self.prepared)

    def cancel(self) -> None:
        """Stop it, from any thread: the task that drives it is cancelled."""
        if self._driver is not None:
            loop, task = self._driver
            with suppress(RuntimeError):  # the loop is closed: it has ended
                loop.call_soon_threadsafe(task.cancel)

    def reply(self, status: Status | None = None) -> Reply:
        """What has come so far; without `status`, complete only if nothing is missing."""
        if status is None:
            status = "complete" if self._accumulator.state == "complete" else "incomplete"
        return Reply(
            message=self._accumulator.message(),
            status=status,
            backend=self.prepared.backend,
            thinking_seconds=self.thinking_seconds,
            origin=self.prepared.origin,
        )

    def stop(self) -> Reply:
        """The run was cancelled: keep what came, as a stopped turn if it has text."""
        reply = self.reply("complete" if self._accumulator.state == "complete" else "stopped")
        self._commit(reply)
        self.notes += self.session.recording_notes(self.prepared, is_stopped=True)
        return reply

    def turn(self, reply: Reply) -> Turn:
        """The turn of this run: as it stands in its conversation, if it entered that."""
        return self._committed or self.prepared.turn(reply)

    def _commit(self, reply: Reply) -> None:
        if self._committed is None:
            self._committed = self.session.commit(self.prepared, reply, is_drawn=self.is_drawn)
            self.session.last_exchanges.became(self.prepared, self._committed.id)

    async def _failed(self, error: MiniMaxError) -> MiniMaxError:
        """The error with what had come, and with what to do next."""
        reply = self.reply("incomplete")
        if reply.message.content:
            error.reply, error.retryable = reply, False  # to send it again would pay for it twice
        endpoint = self.prepared.endpoint
        offered: list[str] = []
        if error.kind == "not_found" and endpoint is not None:
            with suppress(MiniMaxError):
                offered = await self.session.models()
        error.next_steps = next_steps(error, endpoint, offered)
        redact(error, endpoint)
        return error

    def _time_thinking(self, seconds: float, growth: "Growth") -> None:
        """Thinking lasts from the request to the first text; unknown if both came in one read."""
        if self._is_thinking or (growth.thinking and not growth.text):
            self._is_thinking = not growth.text
            self.thinking_seconds = seconds


def _new_accumulator() -> "Accumulator":
    from mm_magic.protocol.accumulate import Accumulator  # at the first request, not at import

    return Accumulator()


def redact(error: MiniMaxError, endpoint: Endpoint | None) -> None:
    """A server may repeat the key that it got: no error shows it, nor leads to what held it."""
    error.__context__ = None  # its frames can hold the request's headers, or the server's words
    if endpoint is not None and endpoint.key is not None:
        error.redact(endpoint.key.reveal())
