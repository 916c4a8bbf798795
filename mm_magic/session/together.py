"""Several runs of one cell's prompt at once: what comes of them, and which one is the turn."""

import asyncio
import copy
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from mm_magic.conversation.replies import Outcome, Replies
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Failure, Turn
from mm_magic.errors import MiniMaxError
from mm_magic.session.answerer import Saved
from mm_magic.session.notes import reused_notes
from mm_magic.session.run import Driver, Run
from mm_magic.session.variants import Variant, replies_of
from mm_magic.wording import plain, share

T = TypeVar("T")


async def merged(
    sources: Mapping[int, AsyncGenerator[T, None]],
) -> AsyncGenerator[tuple[int, T], None]:
    """Drive all sources at once; yield what each brings, with its number, as it comes.

    One that raises does not end the others: its error is raised when all have ended. When this is
    closed or cancelled, all of them are cancelled at once and waited for.
    """
    arrived: asyncio.Queue[tuple[int, T] | None] = asyncio.Queue()

    async def drive(number: int, source: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(source):
                async for each in source:
                    arrived.put_nowait((number, each))
        finally:
            arrived.put_nowait(None)

    tasks = [asyncio.create_task(drive(*each)) for each in sources.items()]
    try:
        left = len(tasks)
        while left:
            if (each := await arrived.get()) is None:
                left -= 1
            else:
                yield each
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True, eq=False)
class Together:
    """The runs of one cell that are asked at once, each for a variant; the session drives them.

    `turn` is None until they have ended, and where no request could be made.
    """

    variants: Sequence[Variant]
    runs: Sequence[Run]
    turn: Turn | None = None

    @property
    def notes(self) -> list[str]:
        """Sentences for the reader, each once."""
        return list(dict.fromkeys(note for run in self.runs for note in run.notes))

    @property
    def reused_notes(self) -> list[str]:
        """What the reader of a page should know of answers that the notebook had already."""
        reused = [run.answerer for run in self.runs if isinstance(run.answerer, Saved)]
        return [] if self.is_kept else reused_notes(reused, len(self.runs))

    @property
    def ended(self) -> int:
        """How many have ended, in whatever way."""
        return sum(run.has_ended for run in self.runs)

    def begin(self) -> None:
        """The running task drives all of them from now on."""
        driver = Driver.here()
        for run in self.runs:
            run.begin(driver)

    def keep(self) -> None:
        """Nothing is asked: the cell keeps the turn that it had."""
        self.turn = self.runs[0].turn

    @property
    def is_kept(self) -> bool:
        """Whether the cell keeps the turn that it had."""
        return self.runs[0].is_kept

    def turns(self) -> list[Turn]:
        """The turn that each run would make."""
        return list(map(_turn, self.runs))

    def replies(self) -> Replies:
        """What has come so far, with what varies and what failed."""
        if self.is_kept and self.turn is not None:
            return replies_of(self.turn)
        return Replies(
            Outcome(
                number=run.answer,
                reply=_reply(run),
                settings=variant.settings,
                label=variant.label,
                model=run.ask.options.model,
                error=run.error,
            )
            for variant, run in zip(self.variants, self.runs, strict=True)
        )

    def error(self) -> MiniMaxError | None:
        """One error for all that failed, of the first one's kind; None where none did."""
        errors = [run.error for run in self.runs if run.error is not None]
        if not errors:
            return None
        error = copy.copy(errors[0])
        which = ":" if len(errors) == 1 else "; the first error:"
        failed = share(len(errors), len(self.runs), "answer")
        error.message = f"{failed} failed{which} {error.message}"
        error.args = (plain(error.message),)
        error.retryable = len(errors) == len(self.runs) and all(e.retryable for e in errors)
        error.reply = self.turn.reply if self.turn and self.turn.reply.content else None
        error.replies = self.replies()
        return error


def _reply(run: Run) -> Reply:
    """What has come; what is unfinished and has no error was stopped."""
    return run.reply("stopped" if run.error is None else "incomplete")


def _turn(run: Run) -> Turn:
    reply, error = _reply(run), run.error
    turn = _unsent(run, reply) if run.request is None else run.request.turn(reply)
    failure = None if error is None else Failure(error.kind, error.message)
    return replace(turn, answer=run.answer, failure=failure)


def _unsent(run: Run, reply: Reply) -> Turn:
    """What was refused before it was sent."""
    return Turn(
        conversation=run.ask.conversation,
        number=0,
        key=run.key,
        prompt=run.ask.prompt,
        reply=reply,
        parameters=run.ask.parameters(),
        said=frozenset(run.ask.asked()),
        without=run.ask.without,
        context_hash="",
        turns_hash="",
    )
