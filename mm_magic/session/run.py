"""One turn on its way: what has come of the answer so far. It sends nothing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from mm_magic.conversation.reply import FirstTry, Reply, Status, Unread
from mm_magic.conversation.sent_messages import calls_in
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import MiniMaxError
from mm_magic.protocol.accumulate import Accumulator, Growth
from mm_magic.protocol.messages import Message, ToolResultBlock, ToolUseBlock
from mm_magic.session.answerer import Answerer, Recorded, Saved
from mm_magic.session.cell_run import CellRun
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.transport.body import Batch
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.wording import counted

if TYPE_CHECKING:
    from mm_magic.session.tools.calling import ToolResult
    from mm_magic.session.values import WrongValue
    from mm_magic.transport.recording.writer import Recorder


class Step(NamedTuple):
    """What one read brought: the growth, and the seconds since the request was sent."""

    seconds: float
    growth: Growth


@dataclass(slots=True, eq=False)
class Call:
    """A call in an answer, and what it came to; None while it has no result."""

    use: ToolUseBlock
    result: "ToolResult | None" = None

    def block(self) -> ToolResultBlock:
        """Its result as it goes to the model; it was stopped if it has none."""
        from mm_magic.session.tools.calling import stopped

        result = self.result or stopped()
        return ToolResultBlock(self.use.id, result.text, result.is_error)


class Calling(NamedTuple):
    """The calls of one answer: one begins, or has its result."""

    calls: "tuple[Call, ...]"

    @property
    def is_over(self) -> bool:
        """Whether each of them has its result."""
        return all(call.result is not None for call in self.calls)


@dataclass(slots=True, eq=False)
class Driver:
    """The task that drives a run, or several that are asked together."""

    loop: asyncio.AbstractEventLoop
    task: "asyncio.Task[object]"
    is_cancelled: bool = False

    @classmethod
    def here(cls) -> "Driver":
        """The running task."""
        task = asyncio.current_task()
        assert task is not None
        return cls(asyncio.get_running_loop(), task)

    def cancel(self) -> None:
        """Cancel it, from any thread; once, also where each of its runs is stopped."""
        if not self.is_cancelled:
            self.is_cancelled = True
            with suppress(RuntimeError):  # the loop is closed: it has ended
                self.loop.call_soon_threadsafe(self.task.cancel)


@dataclass(slots=True, eq=False)
class Run:
    """One turn on its way; the session drives it. `reply` is what has come so far.

    `is_drawn` says that the reader sees it grow, `is_awaited` that the event loop is free
    meanwhile. `request` is None until its turn has come, `turn` until it has ended. If `is_kept`,
    nothing is sent, and that is what the cell had before. `notes` are sentences for the reader.
    `thinking_seconds` is how long it has thought, None if it has not, or if that can't be told.
    `seconds` is when the latest of the answer came, after the request. Of several that are asked
    together `answer` is its number, from 1, and `error` says why it failed; 0 and None where it is
    the only one. `pace` is how many times as fast as usual the demo answers where somebody watches.
    `first` is the complete answer that was not of the requested type, once it is asked for again.
    `allows` is called before another request is sent in the place of one that was refused; what it
    raises ends the run. `earlier_steps` are the answers that called, with the results, and `calls`
    those of the latest answer, while they are made. `later` are the requests behind the first one.
    """

    ask: Ask
    cell: CellRun
    key: TurnKey | None
    is_drawn: bool = False
    is_awaited: bool = False
    answer: int = 0
    error: MiniMaxError | None = None
    patience: int | None = None
    pace: float = 1.0
    recorder: "Recorder | None" = None
    allows: Callable[[TurnRequest], None] | None = None
    request: TurnRequest | None = None
    turn: Turn | None = None
    is_kept: bool = False
    notes: list[str] = field(default_factory=list)
    thinking_seconds: float | None = None
    seconds: float | None = None
    first: Reply | None = None
    earlier_steps: tuple[Message, ...] = ()
    calls: tuple[Call, ...] = ()
    later: list[TurnRequest] = field(default_factory=list)
    _value: object = Unread.NONE
    _problem: str = ""
    _accumulator: Accumulator = field(default_factory=Accumulator)
    _is_thinking: bool = False
    _before: float = 0.0  # seconds that the requests before the latest one took
    _driver: Driver | None = None
    _latest: Reply | None = None

    def begin(self, driver: Driver | None = None) -> None:
        """The running task drives it from now on, or this one."""
        self._driver = driver or Driver.here()

    def cancel(self) -> None:
        """Stop it, from any thread: the task that drives it is cancelled."""
        if self._driver is not None:
            self._driver.cancel()

    def take(self, batch: Batch) -> Step:
        """Take the events of one read."""
        growth = self._accumulator.add(batch.events)
        self.seconds = self._before + batch.seconds
        # Thinking lasts until the first text; unknown if both came in one read.
        if self._is_thinking or (growth.thinking and not growth.text):
            self._is_thinking = not growth.text
            self.thinking_seconds = batch.seconds
        return Step(batch.seconds, growth)

    def again(self, request: TurnRequest) -> None:
        """Nothing came, and this request is sent in its place, if that is allowed."""
        if self.allows is not None:
            self.allows(request)
        if self.is_first_request:  # else the turn is still that of the request before
            self.ask, self.request = request.ask, request
        elif self.later:
            self.later[-1] = request
        self._accumulator = Accumulator()
        self.seconds = None

    def read_value(self) -> "WrongValue | None":
        """Read the complete answer as the type asked for; return what is wrong with it."""
        from mm_magic.session.values import WrongValue  # few ask for a type

        assert self.ask.type is not None
        self._value, self._problem = Unread.NONE, ""
        try:
            self._value = self.ask.type.read(self._accumulator.message().text)
        except WrongValue as wrong:
            self._problem = str(wrong)
            return wrong
        return None

    def once_more(self) -> None:
        """The answer was not of the requested type, and is asked for again."""
        self.first = self.reply()
        self._problem = ""
        self._next_request()

    def begin_calls(self) -> tuple[Call, ...]:
        """The answer is complete: the calls in it, none if it was cut off."""
        message = self._accumulator.message()
        self.calls = () if message.is_cut else tuple(map(Call, calls_in(message)))
        return self.calls

    def end_calls(self) -> None:
        """Each call has its result: the next request goes on with them."""
        self.earlier_steps = self.steps_with_calls()
        self.calls = ()
        self._next_request()

    def stop_calls(self) -> None:
        """The calls that have no result are not made any more."""
        from mm_magic.session.tools.calling import stopped

        for each in self.calls:
            each.result = each.result or stopped()

    def give_up_calls(self) -> None:
        """The calls of the latest answer are not made: it is the last one."""
        self.calls = ()

    def steps_with_calls(self) -> tuple[Message, ...]:
        """The steps so far, with the latest answer and the results of its calls."""
        results = Message(role="user", content=tuple(call.block() for call in self.calls))
        return (*self.earlier_steps, self._accumulator.message(), results)

    def _next_request(self) -> None:
        self._before = self.seconds or 0.0
        self._accumulator = Accumulator()
        self.thinking_seconds, self._is_thinking = None, False

    @property
    def is_first_request(self) -> bool:
        """Whether the answer on its way is the first one of the turn."""
        return self.first is None and not self.earlier_steps

    @property
    def has_content(self) -> bool:
        """Whether anything has come of the answer that is on its way."""
        return bool(self._accumulator.message().content)

    @property
    def is_over(self) -> bool:
        """Whether a complete answer has come, and its last event was taken."""
        return self.is_kept or self._accumulator.state == "complete"

    @property
    def has_ended(self) -> bool:
        """Whether it is over, or failed."""
        return self.is_over or self.error is not None

    @property
    def answerer(self) -> Answerer | None:
        """Who answers it, None until its turn has come."""
        return self.request.answerer if self.request else None

    @property
    def is_reused(self) -> bool:
        """Whether the notebook had its answer already."""
        return self.is_kept or isinstance(self.answerer, Saved)

    def _recorded_seconds(self) -> float | None:
        """How long its answers took when they were recorded; None if that is not known of each."""
        answerers = [each.answerer for each in (self.request, *self.later) if each]
        found = [each.origin.seconds for each in answerers if isinstance(each, Recorded)]
        known = [each for each in found if each is not None]
        return sum(known) if len(known) == len(answerers) else None

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
        if self.is_kept and self.turn is not None:
            return self.turn.reply
        is_complete = self._accumulator.state == "complete" and not self.calls
        answerer = self.answerer
        if is_complete and isinstance(answerer, Saved):
            return answerer.turn.reply
        origin = answerer.origin if isinstance(answerer, Recorded) else None
        message, earlier, first = self._accumulator.message(), self.earlier_steps, self.first
        if self.calls:  # stopped while they were made
            message, earlier = Message(), self.steps_with_calls()
        first_try = FirstTry(first.problem, first.text, first.usage) if first else None
        if first is not None and not message.content:  # what came is never lost
            return replace(first, status=unfinished, first_try=first_try, problem="")
        made = Reply(
            message=message,
            status="complete" if is_complete else unfinished,
            backend=answerer.backend if answerer else OFFLINE,
            thinking_seconds=self.thinking_seconds,
            origin=origin,
            seconds=self._recorded_seconds() if origin else self.seconds,
            first_try=first_try,
            problem=self._problem,
            earlier_steps=earlier,
            _value=self._value,
        )
        # One that is asked for again is the same object: the conversation, the saved answers and
        # IPython's `Out` keep it for long, and all of them together only once.
        if made != (latest := self._latest) or made._value is not latest._value:
            self._latest = latest = made
        return latest
