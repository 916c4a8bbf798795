"""A turn that is drawn: of a `%%minimax` cell, from its prompt to the reply, or of `mm.ask`."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError
from mm_magic.jupyter.arguments import Arguments
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.mistakes import check_one_cell
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.jupyter.views.choose import View, view
from mm_magic.jupyter.views.finished import status_of, thinking_title
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.template import braces_hint, fill
from mm_magic.session.run import Run, Step
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_request import Ask

if TYPE_CHECKING:
    from mm_magic.transport.client import Retrying

QUIET_SECONDS = 1.0
"""After so long without anything new, the page says how long it has been waiting."""


def cell_turn(here: Here, arguments: Arguments, body: str) -> "DrawnTurn":
    """The turn of a cell, with its prompt filled in. Raises UsageError; sends nothing."""
    prompt, notes = body.strip("\r\n"), []
    if not arguments.literal:
        check_one_cell(body)
        hint = braces_hint(prompt, here.shell.user_ns)
        if hint and here.session.once(hint):
            notes.append(hint)
        prompt, left_out = fill(prompt, here.last_error.variables(prompt))
        notes += left_out
    options = arguments.options(here.session.options)
    ask = Ask(Prompt.of_text(prompt), options, alone=arguments.alone)
    return DrawnTurn(here, ask, notes, to=arguments.to)


class DrawnTurn:
    """A turn that is drawn as it runs. `reply` is what came, also where it was stopped.

    `notes` are sentences for the reader, and `to` is the variable that gets the reply, if any.
    """

    def __init__(self, here: Here, ask: Ask, notes: Sequence[str] = (), *, to: str = "") -> None:
        self._shell = here.shell
        self._session = here.session
        self._to = to
        self._notes = notes
        self.ask = ask
        self.reply: Reply | None = None

    def dry_run(self) -> str:
        """What would be sent, as JSON text."""
        return self._session.build(self.ask).in_words()

    async def run(self, *, is_awaited: bool = False) -> Reply:
        """Send the request and draw what comes.

        `is_awaited` tells that the kernel's loop is free meanwhile. Raises MiniMaxError. When
        cancelled, what arrived stays under the cell, marked "stopped".
        """
        cell = running_cell(self._shell)
        run = self._session.start(self.ask, is_drawn=not cell.is_captured, is_awaited=is_awaited)
        hide = self.ask.options.hide_thinking
        drawn = view(self._shell, cell.audience, hide_thinking=hide)
        try:
            await self._draw(run, drawn)
        except asyncio.CancelledError:
            self._keep(drawn, run, self._session.stop(run))
            raise
        except MiniMaxError as error:
            # With nothing to show and nothing to note the error says it all.
            if error.reply is not None or run.notes or not drawn.is_blank:
                self._keep(drawn, run, run.reply())
            raise error.with_traceback(None)  # noqa: B904 (it is this very error)
        return self._keep(drawn, run, run.reply())

    async def _draw(self, run: Run, drawn: View) -> None:
        progress = _Progress(drawn, asyncio.get_running_loop().time)
        try:
            with heartbeat(progress.tick):
                async with aclosing(self._session.steps(run)) as steps:
                    async for step in steps:
                        progress.take(step, run.thinking_seconds)
        finally:
            progress.end_thinking(run.thinking_seconds)

    def _keep(self, drawn: View, run: Run, reply: Reply) -> Reply:
        """Draw the last form, and put the reply where the user asked for it."""
        notes = [*run.notes, *self._notes]
        if (request := run.request) is None:  # it was stopped while another turn was running
            from mm_magic.rendering.bundles import line_bundle

            drawn.finish(line_bundle("stopped"))
            return reply
        turn = run.turn or request.turn(reply)
        if (same := request.same_prompt) is not None:
            notes.append(
                f"Same prompt as turn {same}. "
                "With `--alone`, earlier turns do not influence the answer."
            )
        state = self._session.conversations.state_of(turn)
        drawn.finish(status_of(turn, state, notes, to=self._to))
        self.reply = reply
        if self._to:
            self._shell.user_ns[self._to] = reply
        return reply


class _Progress:
    """Hands on to a view what comes, and says what is being waited for, and for how long."""

    def __init__(self, drawn: View, clock: Callable[[], float]) -> None:
        self._drawn = drawn
        self._clock = clock
        self._since = clock()
        self._retry: Retrying | None = None
        self._is_thinking = False

    def take(self, step: "Step | Retrying", thinking_seconds: float | None) -> None:
        """Something came."""
        self._since = self._clock()
        if not isinstance(step, Step):
            self._retry = step
            return
        self._retry = None
        if step.growth.thinking:
            self._is_thinking = True
            self._drawn.update(step.growth.thinking, "")
        if step.growth.text:
            self.end_thinking(thinking_seconds)
            self._drawn.update("", step.growth.text)

    def end_thinking(self, seconds: float | None) -> None:
        """The text begins, or nothing more comes."""
        if self._is_thinking:
            self._is_thinking = False
            self._drawn.thinking_done(thinking_title(seconds))

    def tick(self) -> None:
        """Some time has passed."""
        self._drawn.tick(self._waiting())

    def _waiting(self) -> str:
        seconds = self._clock() - self._since
        retry = self._retry
        if retry is not None and seconds < retry.delay:
            left = math.ceil(retry.delay - seconds)
            return f"busy, trying again in {left} s ({retry.attempt} of {retry.retries})"
        return f"waiting, {int(seconds)} s" if seconds >= QUIET_SECONDS else ""
