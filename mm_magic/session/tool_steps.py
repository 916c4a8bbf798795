"""A turn in which the model calls functions: answer, results, next request, until it just answers.

A call is made once: what is sent again after an error is the request with its result. Each call
gets a result, so that the server takes the next request. Where a recording or the notebook has the
answer that calls, it has the results, too, and nothing is called.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mm_magic.conversation.sent_messages import id_as_sent
from mm_magic.conversation.steps import answered
from mm_magic.protocol.accumulate import Growth
from mm_magic.protocol.messages import Message, ToolResultBlock
from mm_magic.session.run import Call, Calling, Run, Step
from mm_magic.session.tools.calling import ToolResult, call, refused, unknown
from mm_magic.session.turn_queue import TurnQueue
from mm_magic.session.turn_request import TurnRequest
from mm_magic.wording import counted

if TYPE_CHECKING:
    from mm_magic.session.tools.confirming import Confirm
    from mm_magic.session.tools.tool import Tool
    from mm_magic.transport.client import Retrying

MOST_STEPS = 10
"""Requests of one turn."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What the steps need of the session.

    `answer` sends a request and yields what arrives, `recorded` gives the results that a recording
    has of the calls of a run, and `go_on` the request behind its steps. `confirm` is None where
    calls are made without a question, and `queue` where the turn stands alone.
    """

    answer: "Callable[[Run, TurnRequest], AsyncGenerator[Step | Retrying, None]]"
    recorded: Callable[[Run], Mapping[str, ToolResultBlock] | None]
    go_on: Callable[[Run], TurnRequest]
    confirm: "Confirm | None"
    queue: TurnQueue | None


async def answer_in_steps(
    asking: Asking, run: Run, request: TurnRequest
) -> "AsyncGenerator[Step | Retrying | Calling, None]":
    """Send a request and those behind its calls; yield what arrives, and the calls.

    Raises MiniMaxError with `.reply`. A call that is interrupted raises CancelledError.
    """
    if request.saved is not None:
        for earlier in saved_steps(request.saved.reply.earlier_steps):
            yield earlier
    for step in range(1, MOST_STEPS + 1):
        async with aclosing(asking.answer(run, request)) as arriving:
            async for each in arriving:
                yield each
        if request.saved is not None or not run.begin_calls():
            return
        if step == MOST_STEPS:
            run.give_up_calls()
            run.notes.append(
                f"The model was still calling functions after {counted(MOST_STEPS, 'request')}; "
                "its last calls were not run."
            )
            return
        async with aclosing(_called(asking, run)) as calling:
            async for state in calling:
                yield state
        run.end_calls()
        request = asking.go_on(run)


async def _called(asking: Asking, run: Run) -> AsyncGenerator[Calling, None]:
    """Make the calls of the latest answer, one after the other; yield before and after each."""
    recorded = asking.recorded(run)
    for each in run.calls:
        yield Calling(run.calls)
        if recorded is not None:
            each.result = _of_block(recorded[id_as_sent(each.use)])
            continue
        try:
            each.result = await _result(asking, run, each)
        except KeyboardInterrupt:  # the function was interrupted, and with it the turn
            raise asyncio.CancelledError from None
    yield Calling(run.calls)


async def _result(asking: Asking, run: Run, made: Call) -> ToolResult:
    tools: Mapping[str, Tool] = {tool.name: tool for tool in run.ask.tools}
    tool = tools.get(made.use.name)
    if tool is None:
        return unknown(made.use.name, [*tools])
    if asking.confirm is not None:
        allows = await asking.confirm.allows(made.use, is_awaited=run.is_awaited)
        if not allows:
            return refused()
    with asking.queue.calling() if asking.queue else nullcontext():
        return await call(tool, made.use.input)


def saved_steps(steps: tuple[Message, ...]) -> Iterator[Step | Calling]:
    """Steps that were made before, as they would come again."""
    for message, calls in answered(steps):
        yield Step(0.0, Growth(message.thinking, message.text))
        yield Calling(tuple(Call(use, _of_block(result)) for use, result in calls if result))


def _of_block(block: ToolResultBlock) -> ToolResult:
    return ToolResult(block.text, block.is_error)
