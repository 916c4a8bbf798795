"""A turn in which the model calls functions: answer, results, next request, until it just answers.

A call is made once: what is sent again after an error is the request with its result. Each call
gets a result, so that the server takes the next request. Where a recording or the notebook has the
answer that calls, it has the results, too, and nothing is called.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from mm_magic.conversation.sent_messages import id_as_sent
from mm_magic.conversation.steps import answered
from mm_magic.protocol.accumulate import Growth
from mm_magic.protocol.messages import Message, ToolResultBlock
from mm_magic.session.run import Call, Calling, Run, Step
from mm_magic.session.running import Running
from mm_magic.session.sender import Sender
from mm_magic.session.tools.calling import ToolResult, call, refused, unknown
from mm_magic.session.turn_request import TurnRequest
from mm_magic.transport.client import Retrying
from mm_magic.wording import counted

if TYPE_CHECKING:
    from mm_magic.session.tools.confirming import Confirm
    from mm_magic.session.tools.tool import Tool

MOST_STEPS = 10
"""Requests of one turn."""


async def answer_in_steps(
    sender: Sender, running: Running, confirm: "Confirm | None", run: Run, request: TurnRequest
) -> AsyncGenerator[Step | Retrying | Calling, None]:
    """Send a request and those behind its calls; yield what arrives, and the calls.

    `confirm` is None where calls are made without a question. Raises MiniMaxError with `.reply`. A
    call that is interrupted raises CancelledError.
    """
    if confirm is not None and request.script is None:  # else nothing is called
        confirm.check()
    if request.saved is not None:
        for earlier in saved_steps(request.saved.reply.earlier_steps):
            yield earlier
    for step in range(1, MOST_STEPS + 1):
        async with aclosing(sender.whole(run, request)) as arriving:
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
        async with aclosing(_called(sender, running, confirm, run)) as calling:
            async for state in calling:
                yield state
        run.end_calls()
        request = sender.go_on(run)


async def _called(
    sender: Sender, running: Running, confirm: "Confirm | None", run: Run
) -> AsyncGenerator[Calling, None]:
    """Make the calls of the latest answer, one after the other; yield before and after each."""
    recorded = sender.requests.recorded_results(run)
    for each in run.calls:
        yield Calling(run.calls)
        if recorded is not None:
            each.result = _of_block(recorded[id_as_sent(each.use)])
            continue
        try:
            each.result = await _result(running, confirm, run, each)
        except KeyboardInterrupt:  # the function was interrupted, and with it the turn
            raise asyncio.CancelledError from None
    yield Calling(run.calls)


async def _result(running: Running, confirm: "Confirm | None", run: Run, made: Call) -> ToolResult:
    tools: Mapping[str, Tool] = {tool.name: tool for tool in run.ask.tools}
    tool = tools.get(made.use.name)
    if tool is None:
        return unknown(made.use.name, [*tools])
    if confirm is not None:
        allows = await confirm.allows(made.use, is_awaited=run.is_awaited)
        if not allows:
            return refused()
    with running.calling(run):
        return await call(tool, made.use.input)


def saved_steps(steps: tuple[Message, ...]) -> Iterator[Step | Calling]:
    """Steps that were made before, as they would come again."""
    for message, calls in answered(steps):
        yield Step(0.0, Growth(message.thinking, message.text))
        yield Calling(tuple(Call(use, _of_block(result)) for use, result in calls if result))


def _of_block(block: ToolResultBlock) -> ToolResult:
    return ToolResult(block.text, block.is_error)
