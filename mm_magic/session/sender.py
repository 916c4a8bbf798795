"""Sends the requests of a run, and yields what arrives."""

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from mm_magic.errors import MiniMaxError
from mm_magic.session.answerer import Demo, Server
from mm_magic.session.latest import Latest
from mm_magic.session.models import Models
from mm_magic.session.refusals import Refusals
from mm_magic.session.requests import Requests
from mm_magic.session.run import Run, Step
from mm_magic.session.turn_request import TurnRequest
from mm_magic.session.who_answers import redact
from mm_magic.transport.body import Batch
from mm_magic.transport.client import Client, Retrying, Source, Tap
from mm_magic.transport.endpoint import Endpoint
from mm_magic.transport.made_once import made_once

if TYPE_CHECKING:
    from mm_magic.session.values import WrongValue
    from mm_magic.transport.demo.offline import Offline

Sources: TypeAlias = Callable[[Endpoint | None], Source]
"""What answers in the place of an endpoint, or of the demo (None)."""
Arriving: TypeAlias = AsyncGenerator[Step | Retrying, None]


@dataclass(frozen=True, eq=False, repr=False)
class Sender:
    """Gets answers. It knows no conversation: what becomes of an answer is not its matter."""

    client: Client
    requests: Requests
    models: Models
    refusals: Refusals
    latest: Latest
    sources: Sources | None

    @made_once
    def demo(self) -> "Offline":
        from mm_magic.transport.demo.offline import Offline  # few ask both it and a server

        return Offline()

    async def typed(self, run: Run, request: TurnRequest) -> Arriving:
        """As `whole`. An answer that is not of the requested type is asked for once more.

        Raises MiniMaxError of the kind `value` if the second one is not, either.
        """
        async with aclosing(self.whole(run, request)) as arriving:
            async for step in arriving:
                yield step
        wrong = run.read_value() if run.ask.type else None
        if wrong is not None and (again := self._once_more(run, wrong)) is not None:
            async with aclosing(self.whole(run, again)) as arriving:
                async for step in arriving:
                    yield step
            wrong = run.read_value()
        if wrong is not None and (kind := run.ask.type) is not None:
            from mm_magic.session.values import wrong_value  # few ask for a type

            model, limit = run.ask.options.model, int(str(run.ask.parameters()["max_tokens"]))
            raise wrong_value(kind, run.reply(), wrong, model=model, max_tokens=limit)

    def _once_more(self, run: Run, wrong: "WrongValue") -> TurnRequest | None:
        """The request that quotes what was wrong with an answer; None if it would not help."""
        from mm_magic.session.values import may_ask_again

        assert run.request is not None
        turn = run.request.turn(replace(run.reply(), problem=""))
        if not may_ask_again(turn, wrong):
            return None
        request = self.requests.once_more(run, turn, str(wrong))
        run.once_more()
        return request

    def go_on(self, run: Run) -> TurnRequest:
        """The request behind the calls of a run, which is the latest now."""
        request = self.latest.request = self.requests.behind_calls(run)
        run.later.append(request)
        return request

    async def whole(self, run: Run, request: TurnRequest) -> Arriving:
        """Send a request, or what takes its place where it is refused, and yield what arrives.

        Raises MiniMaxError with `.reply`.
        """
        while not run.is_over:
            refusals = self.models.refusals
            try:
                async with aclosing(self._answer(run, request)) as arriving:
                    async for step in arriving:
                        yield step
                run.end()
            except MiniMaxError as error:
                offered: list[str] = []
                if error.kind == "not_found" and isinstance(asked := request.answerer, Server):
                    listing = self.models.ask_after_refusal(self.client, asked.endpoint, refusals)
                    offered = await listing
                instead = self.refusals.instead(run, request, error, offered)
                if instead is None:
                    raise self._explained(error, run, offered) from None
                run.again(instead)
                self.latest.request = request = instead

    async def _answer(self, run: Run, request: TurnRequest) -> Arriving:
        """Send a request and yield what arrives. Raises MiniMaxError."""
        stream = self.client.stream(
            self._source(run, request),
            request.request,
            retries=request.ask.options.retries,
            taps=self._taps(run, request),
            patience=run.patience,
        )
        async with aclosing(stream) as arriving:
            async for arrival in arriving:
                yield run.take(arrival) if isinstance(arrival, Batch) else arrival

    def _source(self, run: Run, request: TurnRequest) -> Source:
        """What answers a turn. The demo does not wait between words that nobody watches."""
        answerer = request.answerer
        if not isinstance(answerer, Server | Demo):
            return answerer
        if self.sources is not None:
            return self.sources(answerer.endpoint)
        if isinstance(answerer, Server):
            return answerer.endpoint
        self.demo.speed = run.pace if run.cell.is_watched else math.inf
        return self.demo.beside_others(run.answer) if run.answer else self.demo

    def _taps(self, run: Run, request: TurnRequest) -> list[Tap]:
        """What looks on while the answer passes: the recording, and the last exchanges."""
        endpoint = request.answerer.endpoint
        taps = [self.latest.exchanges.tap(request, endpoint.key if endpoint else None)]
        recorder = run.recorder or self.requests.recordings.recorder
        if recorder is not None and request.is_recordable:
            is_left_out = partial(self.refusals.may_send_instead, request)
            key, sample = request.request_key, request.sample
            taps.insert(0, recorder.tap(key, sample, endpoint, is_left_out))
        return taps

    def _explained(self, error: MiniMaxError, run: Run, offered: Sequence[str]) -> MiniMaxError:
        """The error with what had come, and with what to do next."""
        from mm_magic.session.next_steps import next_steps

        reply, request = run.reply(), run.request
        if reply.message.content or reply.earlier_steps:
            error.reply, error.retryable = reply, False  # to send it again would pay for it twice
        if run.later and request is not None:  # they belong together, though no turn came of it
            self.latest.became((request, *run.later), request.turn(reply))
        endpoint = run.answerer.endpoint if run.answerer else None
        error.next_steps = next_steps(error, endpoint, offered, run.ask.options)
        redact(error, endpoint)
        return error
