"""One kernel's state: what the magics, the panel and `mm.ask` share.

The options, who answers, the conversations, the client, and the way of one turn. It draws nothing;
what it must know of the notebook (the cell, that the demo may answer) it is given.
"""

import asyncio
import math
import os
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mm_magic.conversation.catalog import DEFAULT_MODEL, preferred
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn, TurnKey, first_choice, with_others
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.prompt import Asked
from mm_magic.session.cell_run import CellEnd, CellRun, running
from mm_magic.session.conversations import Conversations
from mm_magic.session.offered_models import OfferedModels
from mm_magic.session.options import Options, first_options, model_in
from mm_magic.session.recordings import Recordings
from mm_magic.session.requests import Requests
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_queue import TurnQueue, check_not_called
from mm_magic.session.usage import Meter
from mm_magic.session.warn import warn
from mm_magic.session.who_answers import Environment, WhoAnswers, redact
from mm_magic.transport.endpoint import Endpoint
from mm_magic.transport.made_once import made_once

if TYPE_CHECKING:  # they come when they are needed: %load_ext is quick
    from mm_magic.conversation.replies import Replies
    from mm_magic.conversation.rows_count import RowsCount
    from mm_magic.protocol.messages import ToolResultBlock
    from mm_magic.session.fork import Forked
    from mm_magic.session.replaying import Replaying
    from mm_magic.session.rows.answers import RowAnswer
    from mm_magic.session.rows.view import RowsView
    from mm_magic.session.run import Calling, Run, Step
    from mm_magic.session.saved_answers import SavedAnswers
    from mm_magic.session.together import Together
    from mm_magic.session.tools.confirming import Confirm
    from mm_magic.session.turn_request import Ask, How, TurnRequest
    from mm_magic.session.values import WrongValue
    from mm_magic.session.variants import Variant
    from mm_magic.transport.client import Client, Retrying, Source, Tap
    from mm_magic.transport.demo.offline import Offline
    from mm_magic.transport.recording.recent import RecentExchanges
    from mm_magic.transport.recording.writer import Recorder


def _nothing(_cell: CellRun) -> None:
    pass


class Session:
    """The state of one kernel, or of one script. `environ` is looked up at each request.

    `sources` gives what answers in the place of an endpoint, or of the demo (None). `watchers` are
    called, on any thread, when a run began or ended, a conversation changed, or another backend
    was chosen. `draw` runs a turn that is drawn, and `watch_rows` gives what shows how far a table
    is; both are None where IPython is not there to draw. `while_asking` is called every 50 ms while
    the code of a cell asks what is not drawn.
    """

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        *,
        sources: "Callable[[Endpoint | None], Source] | None" = None,
    ) -> None:
        self._sources = sources
        self.who = WhoAnswers(Environment(environ))
        self.options = first_options(environ)
        self.is_model_chosen = bool(model_in(environ))  # IPython's configuration may choose, too
        self.conversations = Conversations()
        self.recordings = Recordings()
        self.requests = Requests(self.who, self.conversations, self.recordings)
        self._models = OfferedModels()
        self.last: TurnRequest | None = None
        self._last_turn: Turn | None = None
        self.last_compare: Turn | None = None
        self.last_commit: float | None = None  # seconds since 1970, to compare with a file's time
        self.meter = Meter()
        self.running: list[Run] = []
        self.watchers: list[Callable[[], None]] = []
        self.cells: set[str] = set()  # the ids of those that have run
        self.draw: Callable[[Ask], Awaitable[Reply]] | None = None
        self.watch_rows: Callable[[RowsCount], RowsView | None] | None = None
        self.while_asking: Callable[[CellRun], None] = _nothing
        self._cell = CellRun()
        self._queues: dict[str, TurnQueue] = {}
        self._to_tell: set[TurnKey | None] = set()  # of turns that were hidden
        self._unpicked: list[Turn] = []  # to be told, too: the cells that picked were deleted
        self._warned: set[str] = set()
        self.row_answers: dict[str, dict[str, RowAnswer]] = {}  # by server, and by request
        self._confirm: Confirm | None = None
        self._retired = ""  # the default model, once another one is asked in its place
        self.trusts_file = True  # as Jupyter does, at the start

    # -- cells --------------------------------------------------------------------------------

    @property
    def cell(self) -> CellRun:
        """The cell whose code runs here; a thread that knows none counts to the latest cell."""
        here = running.get()
        return here if here is not None and here.owner is self else self._cell

    def begin_cell(
        self,
        cell_id: str | None,
        label: str = "",
        deleted: Iterable[str] = (),
        *,
        is_watched: bool = False,
    ) -> None:
        """A cell begins to run; None where the front end does not tell which.

        The turns of the cells in `deleted` are hidden: kept in their places and not sent.
        """
        if cell_id is not None:
            self.cells.add(cell_id)
        self._cell = CellRun(self, cell_id, label, is_watched=is_watched)
        running.set(self._cell)
        gone = set(deleted) - {cell_id}
        hidden, unpicked = self.conversations.hide(gone), self.conversations.unpick(gone)
        if hidden or unpicked:
            self._to_tell.update(turn.key for turn in hidden)
            self._unpicked += unpicked
            self.tell()

    def stop_cell(self) -> None:
        """Stop what the running cell still asks: an interrupt does not reach its threads."""
        for run in tuple(self.running):
            if run.cell is self._cell:
                run.cancel()

    def end_cell(self, *, succeeded: bool) -> CellEnd:
        """The running cell has ended. One that ended well has no turns but those of this run."""
        cell = self._cell
        with self.conversations.changing:
            if cell.cell_id and succeeded and not cell.only_shows:
                self.conversations.remove_beyond(cell.cell_id, cell.begun, cell.made)
                self.conversations.drop_picks_beyond(cell.cell_id, cell.picks_begun)
            turns = self.conversations.turns()
            undrawn = map(self.conversations.now, cell.undrawn)
            picks = self.conversations.picks()
        made = {turn.key for turn in cell.made}
        kept = [(there, pick) for there, pick in picks if pick.is_of(cell.cell_id)]
        return CellEnd(
            undrawn=[turn for turn in undrawn if turn in turns],
            kept=[turn for turn in turns if turn.is_of(cell.cell_id) and turn.key not in made],
            kept_picks=[(there, pick) for there, pick in kept if pick.key not in cell.picked],
        )

    @property
    def last_turn(self) -> Turn | None:
        """The turn that ended last, as it stands now."""
        return self._last_turn and self.conversations.now(self._last_turn)

    # -- who answers --------------------------------------------------------------------------

    def answering(self) -> str:
        """Who answers now, in a few words. Raises as `WhoAnswers.endpoint` does."""
        if (replaying := self.recordings.replaying) is None:
            return self.who.in_words()
        fills = replaying.fills and self.requests.can_fill
        rest = "; a model is asked for what is missing" if fills else ""
        return f"{replaying.in_words()}{rest}"

    async def models(self) -> list[str]:
        """The models that the server offers; none where the demo answers. Raises MiniMaxError."""
        endpoint = self.who.endpoint()
        return [] if endpoint is None else await self._models.ask(self.client, endpoint)

    @property
    def offered_models(self) -> list[str]:
        """The models that the server which answers now listed; none if it was not asked."""
        with suppress(MiniMaxError):
            return self._models.of(self.who.endpoint())
        return []

    @property
    def known_models(self) -> list[str]:
        """The models that are offered, and those that the recording which answers names."""
        replaying = self.recordings.replaying
        return [*self.offered_models, *(replaying.models if replaying else ())]

    def model_note(self, model: str) -> str:
        """A sentence if nobody knows this model, "" otherwise. It asks no server."""
        if self.recordings.replaying is None:
            with suppress(MiniMaxError):
                endpoint = self.who.endpoint()
                return self._model_note(model, endpoint)
        return ""

    def _model_note(self, model: str, endpoint: Endpoint | None) -> str:
        from mm_magic.session.notes import model_note

        is_own = endpoint is not None and endpoint.backend != "minimax"
        self._warned.add(f"model {model}")
        return model_note(model, self._models.of(endpoint), is_own=is_own)

    def replay(self, replaying: "Replaying | None", recorder: "Recorder | None" = None) -> None:
        """From now on a recording answers, or none; `recorder` takes down what is missing in it.

        What is told once is told again.
        """
        if replaying is not None:
            self._warned.clear()
        self.recordings.replay(replaying, recorder)
        self.tell()

    @made_once
    def client(self) -> "Client":
        from mm_magic.transport.client import Client

        return Client()

    @property
    def confirm(self) -> "Confirm":
        """Asks the user whether a function may be called: with `input()`, unless it is set."""
        if self._confirm is None:
            from mm_magic.session.tools.confirming import InTerminal

            self._confirm = InTerminal()
        return self._confirm

    @confirm.setter
    def confirm(self, confirm: "Confirm") -> None:
        self._confirm = confirm

    @property
    def saved(self) -> "SavedAnswers":
        """The answers that this notebook has."""
        return self.requests.saved

    @made_once
    def recent(self) -> "RecentExchanges[TurnRequest]":
        """The last answers as they came, for `%minimax request --events`."""
        from mm_magic.transport.recording.recent import RecentExchanges

        return RecentExchanges()

    @made_once
    def _demo(self) -> "Offline":
        from mm_magic.transport.demo.offline import Offline

        return Offline()

    # -- one turn -----------------------------------------------------------------------------

    def build(
        self, ask: "Ask", cell: CellRun | None = None, key: TurnKey | None = None
    ) -> "TurnRequest":
        """The request that a turn would be now. Sends nothing, and changes nothing.

        Without a cell it is for the next turn of the running one. Raises UsageError, and as
        `WhoAnswers.endpoint` does.
        """
        if cell is None:
            cell = self.cell
            key = cell.key() if ask.has_key else None
        return self.requests.build(ask, cell, key)

    def foresee(self, asks: "Iterable[tuple[Ask, int]]") -> "list[tuple[TurnRequest, int]]":
        """The requests that the running cell would make; see `Requests.foresee`."""
        return self.requests.foresee(asks, self.cell)

    def check_left_out(self, ask: "Ask", variants: "Sequence[Variant]") -> None:
        """Raise UsageError if a variant of `ask` leaves out a turn that would not be sent.

        The first one leaves out nothing; a cell that keeps the old answer to it sends none. What
        else is wrong with a request is told in its own place.
        """
        from mm_magic.session.build_request import NotSentError

        full, *others = variants
        with suppress(MiniMaxError):
            if self.build(full.of(ask)).keeps is not None:
                return
        for each in others:
            try:
                self.build(each.of(ask))
            except NotSentError:
                raise
            except MiniMaxError:
                continue

    def _keep_old(self, runs: "Sequence[Run]", last: "TurnRequest | None") -> bool:
        """Whether their cell keeps the answer that it had; `last` is what was sent last."""
        old = next((run.request.keeps for run in runs if run.request and run.request.keeps), None)
        if old is None:
            return False
        from mm_magic.session.reusing import keep_old

        keep_old(self.recordings.samples, runs, old)
        self.last = last
        self._put(runs[0], old)
        return True

    def start(self, ask: "Ask", *, is_drawn: bool = False, is_awaited: bool = False) -> "Run":
        """The run of a turn; nothing is built or sent before its `steps` are taken."""
        from mm_magic.session.run import Run

        cell = self.cell
        key = cell.take_key() if ask.has_key else None
        return Run(ask, cell, key, is_drawn, is_awaited)

    async def steps(self, run: "Run") -> "AsyncGenerator[Step | Retrying | Calling, None]":
        """Send the request and yield what arrives; commit the turn at its end.

        It waits while another turn of the same conversation runs. Raises MiniMaxError with `.reply`
        where the answer fails or breaks off. When cancelled, the connection is closed, and `stop`
        says what becomes of the part that came.
        """
        run.begin()
        with heartbeat(), self._running_now(run):
            async with self._queue(run.ask):
                last, request = self.last, self._begin(run)
                if self._keep_old([run], last):
                    return
                run.notes += self._notes(request)
                wanted = self._in_steps if run.ask.tools else self._wanted_answer
                async with aclosing(wanted(run, request)) as arriving:
                    async for step in arriving:
                        yield step
                self._commit(run, run.reply())
                run.notes += self._recording_notes(run.request or request)

    def _in_steps(
        self, run: "Run", request: "TurnRequest"
    ) -> "AsyncGenerator[Step | Retrying | Calling, None]":
        """As `_whole_answer`, with what the model calls meanwhile."""
        from mm_magic.session.tool_steps import Asking, answer_in_steps

        confirm = self.confirm if run.ask.confirms else None
        if confirm is not None and request.script is None:  # else nothing is called
            confirm.check()
        asking = Asking(self._whole_answer, self._recorded_results, self._go_on, confirm)
        return answer_in_steps(asking, run, request)

    def _go_on(self, run: "Run") -> "TurnRequest":
        """The request behind the steps of a run."""
        with self.conversations.changing:
            draft = self.requests.draft(run.ask, run.cell, run.key)
            assert run.request is not None
            request = self.requests.behind(draft.behind(run.earlier_steps), run.cell, run.request)
            self._count(run, request)
        run.later.append(request)
        self.last = request
        return request

    def _recorded_results(self, run: "Run") -> "Mapping[str, ToolResultBlock] | None":
        """What a recording has of the calls of its answer, None where they are to be made."""
        assert run.request is not None
        if (replaying := self.recordings.replaying) is None or run.request.script is None:
            return None
        with self.conversations.changing:
            draft = self.requests.draft(run.ask, run.cell, run.key)
        called = run.later[-1] if run.later else run.request
        return replaying.results(draft.behind(run.steps_with_calls()), called)

    async def _wanted_answer(
        self, run: "Run", request: "TurnRequest"
    ) -> "AsyncGenerator[Step | Retrying, None]":
        """As `_whole_answer`. An answer that is not of the requested type is asked for once more.

        Raises MiniMaxError of the kind `value` if the second one is not, either.
        """
        async with aclosing(self._whole_answer(run, request)) as arriving:
            async for step in arriving:
                yield step
        wrong = run.read_value() if run.ask.type else None
        if wrong is not None and (again := self._once_more(run, wrong)) is not None:
            async with aclosing(self._whole_answer(run, again)) as arriving:
                async for step in arriving:
                    yield step
            wrong = run.read_value()
        if wrong is not None and (kind := run.ask.type) is not None:
            from mm_magic.session.values import wrong_value

            model, limit = run.ask.options.model, int(str(run.ask.parameters()["max_tokens"]))
            raise wrong_value(kind, run.reply(), wrong, model=model, max_tokens=limit)

    def _once_more(self, run: "Run", wrong: "WrongValue") -> "TurnRequest | None":
        """The request that quotes what was wrong with an answer; None if it would not help."""
        from mm_magic.session.values import may_ask_again

        assert run.request is not None
        turn = run.request.turn(replace(run.reply(), problem=""))
        if not may_ask_again(turn, wrong):
            return None
        with self.conversations.changing:
            draft = self.requests.draft(run.ask, run.cell, run.key)
            request = self.requests.built(draft.once_more(turn, str(wrong)), run.cell)
            self._count(run, request)
        run.once_more()
        return request

    async def _whole_answer(
        self, run: "Run", request: "TurnRequest"
    ) -> "AsyncGenerator[Step | Retrying, None]":
        """Send a request, or what takes its place where it is refused, and yield what arrives.

        Raises MiniMaxError with `.reply`.
        """
        while not run.is_over:
            refusals = self._models.refusals
            try:
                async with aclosing(self._answer(run, request)) as arriving:
                    async for step in arriving:
                        yield step
                run.end()
            except MiniMaxError as error:
                offered = await self._offered(error, request, refusals)
                instead = self._instead(run, request, error, offered)
                if instead is None:
                    raise self._explained(error, run, offered) from None
                run.again(instead)
                self.last = request = instead

    async def _answer(
        self, run: "Run", request: "TurnRequest"
    ) -> "AsyncGenerator[Step | Retrying, None]":
        """Send a request and yield what arrives. Raises MiniMaxError."""
        from mm_magic.transport.body import Batch

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

    def stop(self, run: "Run") -> Reply:
        """The run was cancelled: keep what came, as a stopped turn if it has text."""
        run.stop_calls()
        reply = run.reply("stopped")
        if run.request is not None:
            self._commit(run, reply)
            run.notes += self._recording_notes(run.request, is_stopped=True)
        return reply

    async def ask_drawn(
        self, prompt: Asked, options: Options, *, alone: bool, how: "How | None" = None
    ) -> Reply:
        """As `ask`, and draw it as a cell does. Raises UsageError where nothing can draw it."""
        if self.draw is None:
            raise UsageError(
                "show=True needs a notebook in which mm_magic is loaded",
                next_steps=(
                    "In a notebook: run `%load_ext mm_magic` first.",
                    "In a script: `print(mm.ask(…))`",
                ),
            )
        from mm_magic.session.turn_request import from_python

        return await self.draw(from_python(prompt, options, alone=alone, how=how))

    async def ask(
        self, prompt: Asked, options: Options, *, alone: bool, how: "How | None" = None
    ) -> Reply:
        """Run one turn to its end without drawing it. What a cell notes below it is a warning."""
        from mm_magic.session.turn_request import from_python

        run = self.start(from_python(prompt, options, alone=alone, how=how))
        run.cell.begin_ask(time.monotonic())
        try:
            with heartbeat(partial(self.while_asking, run.cell)):
                async with aclosing(self.steps(run)) as steps:
                    async for _ in steps:
                        pass
        except asyncio.CancelledError:
            self.stop(run)
            raise
        finally:  # they are told once, also where no answer came
            run.cell.end_ask()
            for note in run.notes:
                warn(note)
        return run.reply()

    def _begin(self, run: "Run") -> "TurnRequest":
        """The turn of a run has come: its request, built once."""
        with self.conversations.changing:  # of two threads that ask the same each gets its sample
            request = self.build(run.ask, run.cell, run.key)
            request.check_pictures()
            self._count(run, request)
        run.request = self.last = request
        return request

    def _count(self, run: "Run", request: "TurnRequest") -> None:
        """A request is being sent: which answer to it belongs to whom is told by counting."""
        name = request.counted_as
        self.recordings.samples.keep(name, run.cell.asker(name))
        run.cell.has_asked(name)

    def _source(self, run: "Run", request: "TurnRequest") -> "Source":
        """What answers a turn. The demo does not wait between words that nobody watches."""
        if request.script is not None:
            return request.script
        if self._sources is not None:
            return self._sources(request.endpoint)
        if request.endpoint is not None:
            return request.endpoint
        self._demo.speed = run.pace if run.cell.is_watched else math.inf
        return self._demo.beside_others(run.answer) if run.answer else self._demo

    def _taps(self, run: "Run", request: "TurnRequest") -> "list[Tap]":
        """What looks on while the answer passes: the recording, and the last exchanges."""
        taps, recorder = [self.recent.tap(request)], run.recorder or self.recordings.recorder
        if recorder is not None and request.is_recordable:
            is_left_out = partial(self._is_sent_again, request)
            key, sample = request.request_key, request.sample
            taps.insert(0, recorder.tap(key, sample, request.endpoint, is_left_out))
        return taps

    def _queue(self, ask: "Ask") -> AbstractAsyncContextManager[None]:
        """Lets one turn of a conversation through at a time; alone ones all at once."""
        if ask.alone:
            return nullcontext()
        check_not_called(ask.options.conversation)
        return self._queues.setdefault(ask.options.conversation, TurnQueue()).passing()

    def _commit(self, run: "Run", reply: Reply) -> None:
        """Put a finished turn into its conversation; a reply that may not enter changes nothing."""
        if run.turn is not None or run.request is None:
            return
        if reply.may_enter():
            self._learn(run, run.request)
        turn = run.request.turn(reply)
        self.saved.add(run.request.request_key, turn)
        self._put(run, turn)

    def _put(self, run: "Run", turn: Turn) -> None:
        """Put the turn of a run into its conversation, if its reply may enter."""
        request = run.request
        assert request is not None
        if turn.reply.may_enter():
            turn, stale = self.conversations.commit_and_compare(turn)
            is_recorded = self.recordings.recorder is not None and request.is_recordable
            if stale and run.ask.is_cell and not is_recorded:  # else its own note says it
                from mm_magic.session.notes import stale_note

                run.notes.append(stale_note(stale))
            if run.ask.is_cell and turn.former:
                from mm_magic.session.notes import former_note

                run.notes.append(former_note(turn, self.conversations, self.options.conversation))
            if turn.conversation is not None:
                self.last_commit = time.time()
                run.cell.made.append(turn)
                if not run.is_drawn:
                    run.cell.undrawn.append(turn)
        run.turn = self._last_turn = turn
        self.saved.add_of_cell(turn)
        self._keep_together(run, request, turn)

    def _keep_together(self, run: "Run", request: "TurnRequest", turn: Turn) -> None:
        """What came for all requests of a run was for this turn."""
        for each in (request, *run.later):
            self.recent.became(each, turn.id)

    async def _offered(
        self, error: MiniMaxError, request: "TurnRequest", refusals: int
    ) -> list[str]:
        """The models that the server offers, where it does not know the one that was asked."""
        if error.kind != "not_found" or request.endpoint is None:
            return []
        return await self._models.ask_after_refusal(self.client, request.endpoint, refusals)

    def _instead(
        self, run: "Run", request: "TurnRequest", error: MiniMaxError, offered: Iterable[str]
    ) -> "TurnRequest | None":
        """What to send in place of a request that was refused, None if nothing else may help."""
        if run.has_content:
            return None
        if error.kind == "not_found" and run.is_first_request:
            return self._of_another_model(run, request, offered)
        return request.instead(error)

    def _of_another_model(
        self, run: "Run", request: "TurnRequest", offered: Iterable[str]
    ) -> "TurnRequest | None":
        """The request to the best of the models on offer, where nobody chose one.

        The API page's model is reported as retired. The other one stays for the session.
        """
        options = request.ask.options
        model = preferred(name for name in offered if name != options.model)
        if model is None or not self._is_default(options) or request.endpoint is None:
            return None
        if "model" not in self.options.said:
            self.options = replace(self.options, model=model)
        self._retired = options.model
        ask = replace(request.ask, options=replace(options, model=model))
        with self.conversations.changing:
            draft = self.requests.draft(ask, run.cell, run.key)
            instead = draft.build(request.endpoint, request.endpoint.base_url)
        return replace(instead, counted_as=request.counted_as, sample=request.sample)

    def _is_default(self, options: Options) -> bool:
        """Whether nobody chose the model: it is this package's default."""
        is_said = "model" in options.said or self.is_model_chosen
        return options.model == DEFAULT_MODEL and not is_said

    def _is_sent_again(self, request: "TurnRequest", error: MiniMaxError) -> bool:
        """Whether another request may be sent in the place of one that was refused so."""
        if error.kind == "not_found":
            return request.endpoint is not None and self._is_default(request.ask.options)
        return request.instead(error) is not None

    def _learn(self, run: "Run", request: "TurnRequest") -> None:
        """What an answer tells that was sent in the place of another request; each is said once."""
        options = request.ask.options
        if request.script is not None:
            return
        is_replaced = bool(self._retired and request.endpoint) and "model" not in options.said
        if is_replaced and self.once("retired model"):
            run.notes.append(f"{self._retired} is no longer served; {options.model} answered.")
        if request.history.link.with_thinking:
            return
        self.requests.refuse_thinking.add(request.asked_of)
        if self.once("refused thinking"):
            run.notes.append(
                "The server refused the thinking of earlier turns; they were sent without it."
            )

    def _explained(self, error: MiniMaxError, run: "Run", offered: Sequence[str]) -> MiniMaxError:
        """The error with what had come, and with what to do next."""
        from mm_magic.session.next_steps import next_steps

        reply = run.reply()
        if reply.message.content or reply.earlier_steps:
            error.reply, error.retryable = reply, False  # to send it again would pay for it twice
        if run.later and run.request is not None:  # they belong together, though no turn came of it
            self._keep_together(run, run.request, run.request.turn(reply))
        endpoint = run.request.endpoint if run.request else None
        error.next_steps = next_steps(error, endpoint, offered, run.ask.options)
        redact(error, endpoint)
        return error

    @contextmanager
    def _running_now(self, *runs: "Run") -> Iterator[None]:
        """While the body runs, these are in progress."""
        self.running += runs
        try:
            self.tell()
            yield
        finally:
            for run in runs:
                self.running.remove(run)
                if run.is_reused:  # it cost nothing
                    continue
                self.meter.add(run.reply(), run.ask.options.model)
            self.tell()

    # -- several answers at once --------------------------------------------------------------

    def start_together(
        self,
        ask: "Ask",
        variants: "Sequence[Variant]",
        *,
        is_drawn: bool = False,
        is_awaited: bool = False,
    ) -> "Together":
        """The runs of a turn that asks for several answers; nothing is built or sent yet."""
        from mm_magic.session.run import Run
        from mm_magic.session.together import Together

        cell = self.cell
        key = cell.take_key() if ask.has_key else None
        asks = [variant.of(ask) for variant in variants]
        runs = [
            Run(each, cell, key, is_drawn, is_awaited, n, patience=each.options.retries)
            for n, each in enumerate(asks, start=1)
        ]
        return Together(variants, runs)

    async def together(
        self, several: "Together"
    ) -> "AsyncGenerator[tuple[int, Step | Retrying], None]":
        """Send all requests at once; yield what arrives, with the number of its answer.

        The first complete answer, in the order of the variants, is committed. One that fails keeps
        its error and the others go on; at the end one MiniMaxError stands for all. When cancelled,
        all connections are closed, and `stop_together` says what becomes of what came.
        """
        from mm_magic.session.together import merged

        several.begin()
        with heartbeat(), self._running_now(*several.runs):
            async with self._queue(several.runs[0].ask):
                sources = self._begin_together(several)
                asked = {run.request.endpoint for run in several.runs if run.request}
                with self.client.wanting(next(iter(asked), None), max(1, len(sources))):
                    async with aclosing(merged(sources)) as arriving:
                        async for step in arriving:
                            yield step
                self.stop_together(several)
        if (error := several.error()) is not None:
            raise error

    def _begin_together(
        self, several: "Together"
    ) -> "dict[int, AsyncGenerator[Step | Retrying, None]]":
        """Build all requests, in order, before one is sent: so each has its own sample.

        There are none where the cell keeps what it had. Raises MiniMaxError if none can be built.
        """
        requests, last = {}, self.last
        for run in several.runs:
            try:
                requests[run] = self._begin(run)
            except MiniMaxError as error:
                run.error = error
        if not requests and (refused := [run.error for run in several.runs if run.error]):
            raise refused[0]
        if requests and self._keep_old(several.runs, last):
            several.keep()
            self.last_compare = several.turn
            return {}
        for run, request in requests.items():
            run.notes += self._notes(request)
        return {run.answer: self._kept_error(run, request) for run, request in requests.items()}

    async def _kept_error(
        self, run: "Run", request: "TurnRequest"
    ) -> "AsyncGenerator[Step | Retrying, None]":
        """As `_wanted_answer`; an error is kept in the run."""
        try:
            async with aclosing(self._wanted_answer(run, request)) as arriving:
                async for step in arriving:
                    yield step
        except MiniMaxError as error:
            run.error = error.with_traceback(None)

    def stop_together(self, several: "Together") -> None:
        """They ended or were stopped: commit one of the answers, with the others beside it."""
        if several.turn is not None:
            return
        turns = several.turns()
        begun = {run.answer: (run, run.request) for run in several.runs if run.request}
        for run, request in begun.values():
            turn = turns[run.answer - 1]
            self.saved.add(request.request_key, turn)
            if turn.reply.may_enter():
                self._learn(run, request)
        if (first := first_choice(turns[answer - 1] for answer in begun)) is not None:
            run, self.last = begun[first.answer]
            self._put(run, with_others(first, turns))
            several.turn = self.last_compare = run.turn
            self._keep_exchanges(several)
        for run, request in begun.values():
            if run.error is None:
                is_stopped = turns[run.answer - 1].reply.status == "stopped"
                run.notes += self._recording_notes(request, is_stopped=is_stopped)

    def _keep_exchanges(self, several: "Together") -> None:
        """What arrived for each answer is known by the turn that the answer would be."""
        assert several.turn is not None
        for turn in several.turn.answers:
            if (request := several.runs[turn.answer - 1].request) is not None:
                self.recent.became(request, turn.id)

    async def compare(
        self,
        prompt: Asked,
        variants: "Sequence[Variant]",
        *,
        alone: bool,
        how: "How | None" = None,
    ) -> "Replies":
        """Ask for several answers without drawing them; what a cell notes below is a warning."""
        from mm_magic.session.turn_request import from_python

        ask = from_python(prompt, variants[0].options, alone=alone, how=how)
        several = self.start_together(ask, variants)
        try:
            with self._counting(several):
                async with aclosing(self.together(several)) as steps:
                    async for _ in steps:
                        pass
        except asyncio.CancelledError:
            self.stop_together(several)
            raise
        finally:
            for note in several.notes:
                warn(note)
        return several.replies()

    @contextmanager
    def _counting(self, several: "Together") -> Iterator[None]:
        """While the body runs, the cell counts these answers, which nobody sees, among its own."""
        cell, ended = several.runs[0].cell, 0
        for _ in several.runs:
            cell.begin_ask(time.monotonic())

        def count(number: int) -> None:
            nonlocal ended
            while ended < number:
                cell.end_ask()
                ended += 1

        def beat() -> None:
            count(several.ended)
            self.while_asking(cell)

        try:
            with heartbeat(beat):
                yield
        finally:
            count(len(several.runs))

    # -- a prompt for each row of a table -------------------------------------------------------

    def row_server(self, *, fills: bool) -> tuple[Endpoint | None, str]:
        """Who is asked for rows, and its name; `fills`: for what a recording lacks.

        Raises as `WhoAnswers.endpoint` does.
        """
        return self.requests.to_fill() if fills else self.requests.live()

    def row_request(self, ask: "Ask", server: tuple[Endpoint | None, str]) -> "TurnRequest":
        """The request of one row, whatever answers are known. Raises UsageError."""
        with self.conversations.changing:
            return self.requests.draft(ask, self.cell, None).build(*server)

    def row_once_more(
        self, ask: "Ask", server: tuple[Endpoint | None, str], turn: Turn, problem: str
    ) -> "TurnRequest":
        """The request that asks once more for what the answer of this turn should have been."""
        with self.conversations.changing:
            return self.requests.draft(ask, self.cell, None).once_more(turn, problem).build(*server)

    @contextmanager
    def asking_rows(self, run: "Run", beat: Callable[[], None]) -> Iterator[None]:
        """While the body runs, `run` stands for all rows: who stops it stops them.

        `beat` is called every 50 ms.
        """
        run.begin()
        with heartbeat(beat), self._running_now(run):
            yield

    async def answer_row(
        self, run: "Run", request: "TurnRequest", on_retry: "Callable[[Retrying], None]"
    ) -> Reply:
        """Ask for one row. Raises MiniMaxError with `.reply`, and what `on_retry` raises."""
        from mm_magic.transport.client import Retrying

        run.request = self.last = request
        try:
            async with aclosing(self._whole_answer(run, request)) as arriving:
                async for step in arriving:
                    if isinstance(step, Retrying):
                        on_retry(step)
        finally:
            self.meter.add(reply := run.reply(), run.ask.options.model)
        if reply.may_enter():
            self._learn(run, run.request)
        return reply

    # -- what is said of it -------------------------------------------------------------------

    def _notes(self, request: "TurnRequest") -> list[str]:
        """What the reader of this turn should know; some of it is told once."""
        from mm_magic.session.notes import notes, unpicked_note

        to_tell, self._to_tell = self._to_tell - {request.key}, set()
        with self.conversations.changing:
            found = notes(request, self.conversations, to_tell, self.options, self.once)
            unpicked, self._unpicked = self._unpicked, []
            found += [
                unpicked_note(turn, self.options.conversation)
                for turn in unpicked
                if turn.key != request.key and self.conversations.stands(turn)
            ]
        model = request.ask.options.model
        if request.script is None and self.once(f"model {model}"):
            found += filter(None, [self._model_note(model, request.endpoint)])
        return found

    def _recording_notes(
        self, request: "TurnRequest", *, is_stopped: bool = False
    ) -> Iterable[str]:
        """What the reader of a turn that was recorded should know of that."""
        recorder = self.recordings.recorder
        if recorder is None or not request.is_recordable:
            return ()
        from mm_magic.session.notes import recording_notes

        there = self.conversations.get(request.ask.conversation or "")
        return recording_notes(recorder, request, there, is_stopped=is_stopped)

    def forget(self, name: str, number: int | None = None) -> list[Turn]:
        """Drop a turn of a conversation, or all of them; return what was dropped.

        Raises UsageError while a turn runs in it.
        """
        self._check_idle(name)
        gone = self.conversations.forget(name, number)
        self.tell()
        return gone

    def fork(self, name: str, until: int | None = None) -> "Forked":
        """Begin conversation `name` with copies of the current one's turns, up to a number.

        They belong to the running cell. Raises UsageError.
        """
        from mm_magic.session.fork import fork

        self._check_idle(name)
        forked = fork(self.conversations, self.options.conversation, name, until, self.cell)
        self.cell.made += forked.copies
        self.last_commit = time.time()
        self.tell()
        return forked

    def _check_idle(self, name: str) -> None:
        """Raise UsageError while a turn runs in this conversation."""
        if any(run.ask.conversation == name for run in self.running):
            raise UsageError(
                f"a turn is running in conversation {name}",
                next_steps=("Stop it, or wait until it ends.",),
            )

    def pick(self, answer: int, *, is_drawn: bool = False) -> tuple[Turn, list[int]]:
        """Let the running cell choose an answer of a turn that has several.

        Returns the turn, and the numbers of the stale turns if this made one so. Raises UsageError
        where there is no such answer, and while a turn runs in the conversation.
        """
        from mm_magic.session.picking import check_answer

        cell = self.cell
        key = cell.take_pick_key()
        with self.conversations.changing:
            turn = self.compare_to_pick(key)
            self._check_idle(str(turn.conversation))
            check_answer(turn, answer)
            placed = self.conversations.pick(key, turn, answer)
            self._follow(turn, placed[0])
        if key is not None and is_drawn:
            cell.picked.add(key)
        self.tell()
        return placed

    def _follow(self, before: Turn, picked: Turn) -> None:
        """Where nothing was sent since, what was sent last is the request of the picked answer."""
        old, new = self.recent.of_turn(before.id), self.recent.of_turn(picked.id)
        if old and new and old.of is self.last:
            self.last = new.of

    def compare_to_pick(self, key: TurnKey | None) -> Turn:
        """The turn whose answers the pick with this key chooses from. Raises UsageError."""
        from mm_magic.session.picking import compare_of

        current = self.options.conversation
        return compare_of(self.conversations, key, self.last_compare, current)

    def restore_version(
        self, name: str, number: int, version: int
    ) -> tuple[Turn, list[int]] | None:
        """Bring a former answer of a turn back; see `Conversations.restore_version`.

        Raises UsageError while a turn runs in the conversation.
        """
        self._check_idle(name)
        found = self.conversations.restore_version(name, number, version)
        if found is not None:
            self._last_turn = found[0]
            from mm_magic.session.reusing import save_again

            save_again(self.saved, self.recordings.samples, self.conversations, found[0])
            self.tell()
        return found

    def tell(self) -> None:
        """Something changed: call the watchers."""
        for watcher in tuple(self.watchers):
            watcher()

    def once(self, name: str) -> bool:
        """True the first time that it is asked with this name."""
        is_new = name not in self._warned
        self._warned.add(name)
        return is_new
