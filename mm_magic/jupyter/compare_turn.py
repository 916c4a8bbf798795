"""One `%%minimax` cell that asks for several answers at once."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from itertools import islice

from mm_magic.conversation.replies import Replies
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError, Stopped
from mm_magic.jupyter.arguments import Arguments
from mm_magic.jupyter.cell_turn import ask_of, once_more_text, same_prompt_note
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.left_out import left_out_of
from mm_magic.jupyter.mistakes import holds_key
from mm_magic.jupyter.running_cell import Audience, running_cell
from mm_magic.jupyter.views.answers import AnswersAtEnd, AnswersInTerminal, AnswersView
from mm_magic.jupyter.views.choose import terminal_view
from mm_magic.jupyter.views.columns import Columns
from mm_magic.jupyter.views.comparison import running_table
from mm_magic.jupyter.views.finished import (
    Page,
    answer_bundles,
    picture_bundles,
    replies_bundles,
    show_pictures,
    status_of,
)
from mm_magic.rendering.bundles import Bundle, line_bundle
from mm_magic.rendering.comparison import answer_label, error_card, thinking_title
from mm_magic.session.forecast import Forecast
from mm_magic.session.left_out import check_sent
from mm_magic.session.notes import continues_note
from mm_magic.session.run import Run, Step
from mm_magic.session.sync import heartbeat
from mm_magic.session.together import Together
from mm_magic.session.variants import Variant, variants
from mm_magic.transport.client import Retrying

_LABELS_SHOWN = 12


class CompareTurn:
    """Several answers to one cell, ready to run. `replies` is what came, also if it was stopped."""

    def __init__(self, here: Here, arguments: Arguments, body: str) -> None:
        """Check the cell and fill in its prompt. Raises UsageError; sends nothing."""
        self._shell = here.shell
        self._session = here.session
        self._arguments = arguments
        self.ask, self._notes = ask_of(here, arguments, body)
        self._left_out = left_out_of(here, arguments, self.ask, body)
        if self._left_out:
            once = islice(self._variants(n=1), 1 + len(self._left_out))
            check_sent(self._session.requests, self._session.cells.here, self.ask, list(once))
        self.replies: Replies | None = None
        self._turn: Turn | None = None

    def dry_run(self) -> str:
        """What would be sent: how many requests, what varies, and the first of them."""
        labels = _labels(islice(self._variants(), _LABELS_SHOWN))
        more = self._arguments.answers - len(labels)
        shown = "\n".join(f"  {label}" for label in [*labels, *[f"and {more:,} more"] * bool(more)])
        foreseen = self._forecast()
        first = foreseen.first.in_words()
        return f"{foreseen.in_words()}\n{shown}\n\nThe first request:\n{first}"

    def check_number(self, options: str, prompt: str) -> None:
        """Raise UsageError if too many requests would be sent.

        The line that goes ahead is made of the `options`, and of a `prompt` that follows them.
        """
        limit = self.ask.options.confirm_above
        if self._arguments.answers > limit and not self._arguments.yes:
            shown = "…" if holds_key(options) else options.strip()
            line = f"%%minimax {shown} --yes {prompt}".rstrip()
            self._forecast().check(limit, line)

    def _variants(self, n: int | None = None) -> Iterator[Variant]:
        """What is asked for, each `n` times or as often as the line says."""
        given, options = self._arguments, self.ask.options
        return variants(options, given.varying, n or given.n, self._left_out)

    def _forecast(self) -> Forecast:
        given = self._arguments
        asks = ((each.of(self.ask), given.n) for each in self._variants(n=1))
        return Forecast(
            given.answers, self._session.requests.foresee(asks, self._session.cells.here)
        )

    def stopped(self) -> Stopped:
        """What is raised where the cell was stopped."""
        return Stopped(self._turn.reply if self._turn else None, self.replies)

    async def run(self, *, is_awaited: bool = False) -> Replies:
        """Send all requests at once, and draw the answers when they have ended.

        Raises one MiniMaxError for all that failed. When cancelled, what came stays under the cell.
        """
        cell = running_cell(self._shell)
        if self.ask.prompt.pictures:
            show_pictures(self._shell, [each for each, _ in self._forecast().found])
        several = self._session.comparisons.start(
            self.ask, list(self._variants()), is_drawn=not cell.is_captured, is_awaited=is_awaited
        )
        view = self._view(several, cell.audience)
        try:
            await self._wait(several, view)
        except asyncio.CancelledError:
            self._session.commits.commit_together(several)
            self._keep(several, view)
            raise
        except MiniMaxError as error:
            if several.turn is not None or not view.is_blank:
                self._keep(several, view)
            raise error.with_traceback(None)  # noqa: B904 (it is this very error)
        return self._keep(several, view)

    def _view(self, several: Together, audience: Audience) -> AnswersView:
        """Draws them for whoever watches."""
        if audience == "terminal":
            return AnswersInTerminal(terminal_view(hide_thinking=False))
        if audience == "nobody":
            return AnswersAtEnd(Page(self._shell))
        return Columns(
            Page(self._shell),
            _labels(several.variants),
            clock=time.monotonic,
            table=lambda: running_table(several.replies(), _states(several)),
            hide_thinking=self.ask.options.hide_thinking,
        )

    async def _wait(self, several: Together, view: AnswersView) -> None:
        progress = _Progress(several, view)
        with heartbeat(progress.tick):
            async with aclosing(self._session.comparisons.steps(several)) as steps:
                async for number, step in steps:
                    progress.take(number, step)

    def _keep(self, several: Together, view: AnswersView) -> Replies:
        """Draw the last form, and put the replies where the user asked for them."""
        replies, turn = self.replies, self._turn = several.replies(), several.turn
        if turn is None:  # nothing was sent: another turn was running
            was_stopped = several.error() is None
            view.finish([line_bundle("stopped" if was_stopped else "no answer")])
            return replies
        hide = self.ask.options.hide_thinking
        if several.is_kept:
            line = line_bundle(several.notes[0])
            pictures = picture_bundles(turn.prompt)
            bundles = [line, *pictures, *answer_bundles(self._shell, turn, hide_thinking=hide)]
        else:
            bundles = replies_bundles(self._shell, replies, hide_thinking=hide)
        view.finish([*bundles, self._status(several, turn)])
        if self._arguments.to:
            self._shell.user_ns[self._arguments.to] = replies
        return replies

    def _status(self, several: Together, turn: Turn) -> Bundle:
        notes = [*several.reused_notes, *several.notes[several.is_kept :], *self._notes]
        if turn.others and turn.conversation is not None and turn.reply.may_enter():
            notes.insert(0, continues_note(turn))
        request = None if several.is_kept else several.runs[turn.answer - 1].request
        same = request.same_prompt if request and not self._left_out else None
        if same is not None:
            notes.append(same_prompt_note(same))
        state = self._session.conversations.state_of(turn)
        return status_of(turn, state, notes, to=self._arguments.to)


class _Progress:
    """Hands on to a view what comes of each answer."""

    def __init__(self, several: Together, view: AnswersView) -> None:
        self._runs = {run.answer: run for run in several.runs}
        self._several = several
        self._view = view
        self._since = time.monotonic()
        self._thinking: set[int] = set()
        self._failed: set[int] = set()
        self._again: set[int] = set()

    def take(self, number: int, step: Step | Retrying) -> None:
        """Something came."""
        if not isinstance(step, Step):
            return
        first = self._runs[number].first
        if first is not None and number not in self._again:
            self._again.add(number)
            self._view.update(number, "", once_more_text(first))
        if step.growth.thinking:
            self._thinking.add(number)
            self._view.update(number, step.growth.thinking, "")
        if step.growth.text:
            self._end_thinking(self._runs[number])
            self._view.update(number, "", step.growth.text)

    def tick(self) -> None:
        """Some time has passed."""
        for run in self._runs.values():
            if run.has_ended:
                self._end_thinking(run)
            if run.error is not None and run.answer not in self._failed:
                self._failed.add(run.answer)
                self._view.failed(run.answer, error_card(run.error))
        seconds = int(time.monotonic() - self._since)
        several = self._several
        self._view.tick(f"{several.ended} of {len(several.runs)} answered, {seconds} s")

    def _end_thinking(self, run: Run) -> None:
        if run.answer in self._thinking:
            self._thinking.discard(run.answer)
            self._view.thinking_done(run.answer, thinking_title(run.answer, run.thinking_seconds))


def _labels(variants: Iterable[Variant]) -> list[str]:
    """What stands above each answer."""
    return [answer_label(number, each.label) for number, each in enumerate(variants, start=1)]


def _states(several: Together) -> dict[int, str]:
    """What those do that have not ended, by their numbers."""
    return {run.answer: _state(run) for run in several.runs if not run.has_ended}


def _state(run: Run) -> str:
    reply = run.reply()
    if reply.text.strip():
        return "answering…"
    return "thinking…" if reply.thinking.strip() else "waiting…"
