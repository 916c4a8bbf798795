"""Asks the requests of a table: some at a time, until all have ended or nothing more can come."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, field, replace

from mm_magic.conversation.catalog import dollars, price_of
from mm_magic.conversation.reply import Reply, counted_usage, has_begun
from mm_magic.conversation.rows_count import RowsCount
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.failure import is_busy
from mm_magic.protocol.request import Request
from mm_magic.session.build_request import Draft
from mm_magic.session.rows.answers import Misfit, Reading, RowAnswer
from mm_magic.session.rows.budget import Bill, RowsBudget, TooDear, may_be_charged
from mm_magic.session.rows.plan import Plan, Todo, key_of
from mm_magic.session.rows.source import Source
from mm_magic.session.run import Run
from mm_magic.session.session import Session
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_request import TurnRequest
from mm_magic.transport.client import Retrying

PATIENCE = 12
"""How often a row is sent again while the server is busy: for a minute, at the longest pauses."""
PACE = 20.0
"""How many times as fast the demo answers a row as a cell: nobody reads its words as they come."""
_OF_ALL = frozenset({"auth", "billing", "permission", "not_found", "redirect"})
"""Kinds of error that every other row would get, too."""


@dataclass(slots=True, eq=False)
class RowsRun:
    """Asks what a plan has to do. `count` is how far it is.

    `base` is the request that all others are like, to the server of the `source`; `reading` says
    how answers are read. They go into the plan, and into what the source remembers. No request is
    sent for which the `budget` may be too small. `mended` has what was wrong with the answers that
    were asked for once more, and `reused` counts the rows that another run has answered meanwhile.
    """

    session: Session
    plan: Plan
    count: RowsCount
    base: TurnRequest
    source: Source
    reading: Reading
    parallel: int
    budget: RowsBudget = field(default_factory=RowsBudget)
    raises: bool = False
    is_awaited: bool = False
    cut: int = 0
    reused: int = 0
    mended: list[str] = field(default_factory=list)
    _since: float = 0.0

    async def run(self, beat: Callable[[], None]) -> None:
        """Ask all. Raises the MiniMaxError after which nothing more is asked."""
        self._since = time.monotonic()
        lead = Run(self.base.ask, self.base.cell, None, is_awaited=self.is_awaited)

        def tick() -> None:
            self.count.seconds = time.monotonic() - self._since
            beat()

        wanting = self.session.client.wanting(self.base.answerer.endpoint, self.parallel)
        lead.begin()  # it stands for all rows: who stops it stops them
        with heartbeat(tick), self.session.running.now(lead), wanting:
            try:
                await self._work_together()
            finally:
                self.count.seconds = time.monotonic() - self._since
        if self.plan.todo:
            raise self._budget_error()

    async def _work_together(self) -> None:
        """Run the workers; the first that raises ends the others."""
        number = min(self.parallel, len(self.plan.todo))
        workers = [asyncio.create_task(self._work()) for _ in range(number)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        """Ask one row after another, as long as there are some and the budget allows it."""
        todo = self.plan.todo
        while todo:
            request = self._request(todo[0])
            bill = self.budget.reserve(request)
            if bill is None:
                return  # who is still in flight looks again when it knows what it took
            item = todo.popleft()
            with closing(bill):
                try:
                    async with self.source.asking(item.name):
                        await self._ask_or_find(item, request, bill)
                except TooDear:
                    todo.appendleft(item)
                    return

    async def _ask_or_find(self, item: Todo, request: TurnRequest, bill: Bill) -> None:
        """Ask, unless another run has had an answer since the plan was made. Raises TooDear."""
        found = self.source.find(key_of(self.base.request_key.options, item.prompt))
        if found is not None and found.is_whole:
            self._reuse(item, found)
        elif found is not None and found.to_mend and item.first is None:
            self.plan.todo.appendleft(item._replace(first=found))
        else:
            await self._ask(item, request, bill)
            self._step_aside(item.name)

    def _step_aside(self, request: str) -> None:
        """Go on elsewhere in the table where another process has asked the same just now.

        What it asks at the moment is in no file, so both would ask all rows in step.
        """
        if self.plan.todo and self.source.is_doubled(request):
            self.plan.todo.rotate(random.randrange(len(self.plan.todo)))

    def _reuse(self, item: Todo, answer: RowAnswer) -> None:
        """Take an answer for which another run asked."""
        rows = self.plan.rows_of(item.name)
        self.plan.answers[item.name] = answer
        self.reused += rows
        self.count.done += rows
        self.count.found += rows

    async def _ask(self, item: Todo, request: TurnRequest, bill: Bill) -> None:
        """Ask one row. Raises TooDear where it is not sent again, as that could cost too much."""
        done = self.count.done
        run = Run(
            request.ask, request.cell, None, answer=1, patience=PATIENCE, pace=PACE,
            recorder=self.source.recorder, allows=bill.again,
        )  # fmt: skip
        try:
            reply = await self._answer(run, request, bill)
        except MiniMaxError as error:
            self._charge(error, bill, has_begun=has_begun(run.reply()))
            self._fail(item, RowAnswer(None, error.message))
            if self._ends_all(error, done):
                raise
            return
        if item.first is None:
            self._follow(run)
        self._pay(reply, run, bill)
        answer = self.reading.answer(reply)
        self.cut += reply.stop_reason == "max_tokens" and answer.is_whole
        self._take(item, answer)

    async def _answer(self, run: Run, request: TurnRequest, bill: Bill) -> Reply:
        """Send the request of a row. Raises MiniMaxError with `.reply`, and TooDear."""
        session = self.session
        run.request = session.latest.request = request
        try:
            async with aclosing(session.sender.whole(run, request)) as arriving:
                async for step in arriving:
                    if isinstance(step, Retrying) and self._charge(step.error, bill):
                        bill.again(bill.request)
        finally:
            session.meter.add(reply := run.reply(), run.ask.options.model)
        if reply.may_enter():
            session.refusals.learn(run, run.request)
        return reply

    def _take(self, item: Todo, answer: RowAnswer) -> None:
        """Keep an answer. One that is not of the type is asked for once more, at once."""
        name, misfit = item.name, answer.misfit
        if item.first is not None:
            answer = answer.after(item.first)
        self.plan.answers[name] = answer
        self.source.remembers.add(name, answer)
        if misfit is None:
            self.count.done += self.plan.rows_of(name)
        elif answer.to_mend is not None:
            self.mended.append(str(misfit.wrong))
            self.plan.todo.appendleft(item._replace(first=answer))
        else:
            self._fail(item, answer)
            if self.raises:
                raise self.reading.error(misfit)

    def _charge(self, error: MiniMaxError, bill: Bill, *, has_begun: bool = False) -> bool:
        """Count a request that failed so, if it may have to be paid for; say whether it may."""
        is_charged = may_be_charged(error, has_begun=has_begun)
        if is_charged:
            bill.pay(None)
            self.count.uncounted += 1
        return is_charged

    def _pay(self, reply: Reply, run: Run, bill: Bill) -> None:
        """Count what an answer took."""
        self.count.tokens += _tokens(reply)
        price = price_of(reply, run.ask.options.model)
        bill.pay(price)
        if price is None or self.count.price is None:
            self.count.price = None
        else:
            self.count.price += price

    def _fail(self, item: Todo, answer: RowAnswer) -> None:
        self.plan.answers[item.name] = answer
        self.count.failed += self.plan.rows_of(item.name)

    def _ends_all(self, error: MiniMaxError, done: int) -> bool:
        """Whether every other row would fail so, too, or one failure is one too many.

        A server that is busy for as long as a row is patient, and gives no row an answer
        meanwhile, is busy for all.
        """
        is_used_up = error.kind == "rate_limit" and not error.retryable
        is_stuck = is_busy(error) and done == self.count.done
        return self.raises or error.kind in _OF_ALL or is_used_up or is_stuck

    def _follow(self, run: Run) -> None:
        """Where another model answered in place of a retired one, the next rows ask that one."""
        if run.request is not None and run.ask.options != self.base.ask.options:
            self.base = run.request

    def _request(self, item: Todo) -> TurnRequest:
        """The request of a row: like the base, but for its prompt."""
        base, asked = self.base, Prompt.of_text(item.prompt)
        request = replace(
            base,
            ask=replace(base.ask, prompt=asked),
            request=Request([asked.encode()], base.request.parameters),
            request_key=key_of(base.request_key.options, item.prompt),
            counted_as=item.name,
        )
        misfit = item.first.to_mend if item.first is not None else None
        return request if misfit is None else self._once_more(request, misfit)

    def _once_more(self, request: TurnRequest, misfit: Misfit) -> TurnRequest:
        """The request that quotes what was wrong with the answer to this one."""
        assert self.source.asked is not None
        turn = request.turn(misfit.reply)
        refused = self.session.requests.refuse_thinking
        draft = Draft.of(request.ask, request.cell, None, None, refused)
        return draft.once_more(turn, str(misfit.wrong)).build(self.source.asked)

    def _budget_error(self) -> UsageError:
        left, budget = len(self.plan.todo), self.budget
        spent = f"{'' if budget.is_exact else 'at most '}{dollars(budget.spent)} spent"
        return UsageError(
            f"stopped before the next request could exceed the budget of {dollars(budget.limit)}: "
            f"{spent}, {left:,} request{'s' * (left != 1)} not sent",
            next_steps=(
                "To send the rest, run the same line again with a budget for it. The next request "
                f"can cost up to {dollars(budget.missed)}.",
            ),
        )


def _tokens(reply: Reply) -> int:
    """The tokens in and out of an answer, as far as its server counted them."""
    usage = counted_usage(reply)
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


async def close_idle(session: Session) -> None:
    """Close what connections are left after a stop, unless others are being answered."""
    if not session.running.runs:
        with suppress(MiniMaxError):
            await session.client.aclose()
