"""A turn that is drawn: of a `%%minimax` cell, from its prompt to the reply, or of `mm.ask`."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError, Stopped
from mm_magic.jupyter.arguments import Arguments
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.mistakes import check_one_cell
from mm_magic.jupyter.running_cell import Audience, running_cell
from mm_magic.jupyter.views.choose import View, view
from mm_magic.jupyter.views.finished import (
    answer_bundles,
    picture_bundles,
    show,
    show_pictures,
    status_of,
    thinking_title,
    value_of,
)
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.template import braces_hint, fill_in
from mm_magic.session.notes import reused_notes
from mm_magic.session.run import Calling, Run, Step
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_request import Ask, TurnRequest

if TYPE_CHECKING:
    from mm_magic.jupyter.views.steps import Steps
    from mm_magic.session.tools.tool import Tool
    from mm_magic.session.values import ValueType
    from mm_magic.transport.client import Retrying

QUIET_SECONDS = 1.0
"""After so long without anything new, the page says how long it has been waiting."""


def ask_of(here: Here, arguments: Arguments, body: str) -> tuple[Ask, list[str]]:
    """What a cell asks, its prompt filled in, and notes on what was left out.

    Raises UsageError; sends nothing.
    """
    prompt, notes = body.strip("\r\n"), []
    asked = Prompt.of_text(prompt)
    if not arguments.literal:
        check_one_cell(body)
        hint = braces_hint(prompt, here.shell.user_ns)
        if hint and here.session.told.once(hint):
            notes.append(hint)
        content, left_out = fill_in(prompt, here.last_error.variables(prompt))
        asked = Prompt(content)
        notes += left_out
    options = arguments.options(here.session.options)
    ask = Ask(
        asked,
        options,
        alone=arguments.alone,
        type=type_of(arguments, here.shell.user_ns),
        is_fresh=arguments.fresh,
        tools=tools_of(arguments.tools, here.shell.user_ns),
        confirms=arguments.confirm,
    )
    return ask, notes


def tools_of(names: tuple[str, ...], variables: Mapping[str, object]) -> "tuple[Tool, ...]":
    """The functions that a cell's answer may call. Raises UsageError."""
    if not names:
        return ()
    from mm_magic.jupyter.named_tools import named_tools  # few name any

    return named_tools(names, variables)


def type_of(arguments: Arguments, variables: Mapping[str, object]) -> "ValueType | None":
    """The type that a cell's answers are read as; None for text. Raises UsageError."""
    if not arguments.type:
        return None
    from mm_magic.jupyter.named_type import named_type  # few ask for a type

    return named_type(arguments.type, variables)


def cell_turn(here: Here, arguments: Arguments, body: str) -> "DrawnTurn":
    """The turn of a cell, with its prompt filled in. Raises UsageError; sends nothing."""
    ask, notes = ask_of(here, arguments, body)
    return DrawnTurn(here, ask, notes, to=arguments.to)


def once_more_text(first: Reply) -> str:
    """What stands between an answer that was not of the requested type and the next one."""
    why = f"The answer did not fit the type: {first.problem}."
    return f"\n\n*{why} The model is being asked again.*\n\n"


def same_prompt_note(turn: int) -> str:
    """The sentence on a prompt that an earlier turn, sent along, has too."""
    return f"Same prompt as turn {turn}. With `--alone`, earlier turns do not influence the answer."


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

    def stopped(self) -> Stopped:
        """What is raised where the cell was stopped."""
        return Stopped(self.reply)

    def dry_run(self) -> str:
        """What would be sent, as JSON text."""
        return self._checked().in_words()

    def _checked(self) -> TurnRequest:
        """The request, with pictures that may be sent. Raises UsageError."""
        request = self._session.turns.request(self.ask)
        request.check_pictures()
        return request

    async def run(self, *, is_awaited: bool = False) -> Reply:
        """Send the request and draw what comes.

        `is_awaited` tells that the kernel's loop is free meanwhile. Raises MiniMaxError. When
        cancelled, what arrived stays under the cell, marked "stopped".
        """
        cell = running_cell(self._shell)
        if self.ask.prompt.pictures:
            show_pictures(self._shell, [self._checked()])
        run = self._session.turns.start(
            self.ask, is_drawn=not cell.is_captured, is_awaited=is_awaited
        )
        drawn = self._view(cell.audience)
        try:
            await self._draw(run, drawn)
        except asyncio.CancelledError:
            reply = self._session.turns.stop(run)
            self._end_calls(drawn, run)
            self._keep(drawn, run, reply)
            raise
        except MiniMaxError as error:
            # With nothing to show and nothing to note the error says it all.
            if error.reply is not None or run.notes or not drawn.is_blank:
                self._keep(drawn, run, run.reply())
            raise error.with_traceback(None)  # noqa: B904 (it is this very error)
        return self._keep(drawn, run, run.reply())

    def _view(self, audience: Audience) -> "View | Steps":
        """Where the answer is drawn; with functions to call, one answer below the other."""
        make = partial(view, self._shell, audience, hide_thinking=self.ask.options.hide_thinking)
        if not self.ask.tools:
            return make()
        from mm_magic.jupyter.views.steps import Steps

        return Steps(make, is_live=audience == "page")

    def _end_calls(self, drawn: "View | Steps", run: Run) -> None:
        """Draw the calls that were stopped."""
        if run.calls:
            from mm_magic.jupyter.views.steps import Steps, bundle_of

            assert isinstance(drawn, Steps)
            drawn.called(bundle_of(self._shell, run.calls, drawn.known))

    async def _draw(self, run: Run, drawn: "View | Steps") -> None:
        progress = _Progress(self._shell, drawn, asyncio.get_running_loop().time)
        try:
            with heartbeat(progress.tick):
                async with aclosing(self._session.turns.steps(run)) as steps:
                    async for step in steps:
                        if run.is_reused:
                            drawn.draw_at_end()
                        progress.take(step, run)
        finally:
            progress.end_thinking(run.thinking_seconds)

    def _keep(self, drawn: "View | Steps", run: Run, reply: Reply) -> Reply:
        """Draw the last form, and put the reply where the user asked for it."""
        self.reply, notes = reply, [*run.notes, *self._notes]
        if (request := run.request) is None:  # it was stopped while another turn was running
            from mm_magic.rendering.bundles import line_bundle

            drawn.finish(line_bundle("stopped"))
            return reply
        if run.is_kept and run.turn is not None:
            return self._keep_old(drawn, run.turn, notes)
        if request.saved is not None:
            notes[:0] = reused_notes([request])
        turn = run.turn or request.turn(reply)
        if (same := request.same_prompt) is not None:
            notes.append(same_prompt_note(same))
        state = self._session.conversations.state_of(turn)
        value = value_of(self._shell, reply)
        drawn.finish(status_of(turn, state, notes, to=self._to), value)
        if self._to:
            self._shell.user_ns[self._to] = reply
        return reply

    def _keep_old(self, drawn: "View | Steps", turn: Turn, notes: Sequence[str]) -> Reply:
        """Draw what the cell had before, below the line that says so."""
        from mm_magic.rendering.bundles import line_bundle

        told, *others = notes
        drawn.finish(line_bundle(told))
        hide = self.ask.options.hide_thinking
        parts = [
            *picture_bundles(turn.prompt),
            *answer_bundles(self._shell, turn, hide_thinking=hide),
        ]
        state = self._session.conversations.state_of(turn)
        show(self._shell, *parts, status_of(turn, state, others, to=self._to))
        self.reply = turn.reply
        if self._to:
            self._shell.user_ns[self._to] = turn.reply
        return turn.reply


class _Progress:
    """Hands on to a view what comes, and says what is being waited for, and for how long."""

    def __init__(
        self, shell: InteractiveShell, drawn: "View | Steps", clock: Callable[[], float]
    ) -> None:
        self._shell = shell
        self._drawn = drawn
        self._clock = clock
        self._since = clock()
        self._retry: Retrying | None = None
        self._is_thinking = False
        self._is_again = False

    def take(self, step: "Step | Retrying | Calling", run: Run) -> None:
        """Something came."""
        self._since = self._clock()
        if isinstance(step, Calling):
            self.end_thinking(run.thinking_seconds)
            self._take_calls(step, is_asked=run.ask.confirms)
            return
        if not isinstance(step, Step):
            self._retry = step
            return
        self._retry = None
        if run.first is not None and not self._is_again:
            self._is_again = True
            self._drawn.update("", once_more_text(run.first))
        if step.growth.thinking:
            self._is_thinking = True
            self._drawn.update(step.growth.thinking, "")
        if step.growth.text:
            self.end_thinking(run.thinking_seconds)
            self._drawn.update("", step.growth.text)

    def _take_calls(self, calling: Calling, *, is_asked: bool) -> None:
        from mm_magic.jupyter.views.steps import Steps, bundle_of, waiting_for

        assert isinstance(self._drawn, Steps)
        bundle = bundle_of(self._shell, calling.calls, self._drawn.known, is_asked=is_asked)
        if calling.is_over:
            self._drawn.called(bundle)
        else:
            # A question is asked below the call, and tells of it.
            self._drawn.calling(bundle, "" if is_asked else waiting_for(calling.calls))

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
