"""One kernel's state: what the magics, the panel and `mm.ask` share.

The options, who answers, the conversations, the client, and the way of one turn. It draws nothing;
what it must know of the notebook (the cell, that the demo may answer) it is given.
"""

import asyncio
import math
import os
import time
import warnings
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
from functools import cached_property, partial
from typing import TYPE_CHECKING

from mm_magic.conversation.catalog import DEFAULT_MODEL, preferred
from mm_magic.conversation.history import History
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.session.cell_run import CellEnd, CellRun, running
from mm_magic.session.conversations import Conversations
from mm_magic.session.options import Options, first_options, model_in
from mm_magic.session.sync import heartbeat
from mm_magic.session.turn_queue import TurnQueue
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.session.usage import Meter
from mm_magic.session.who_answers import Environment, WhoAnswers, no_key_error
from mm_magic.transport.endpoint import OFFLINE, Endpoint

if TYPE_CHECKING:  # they come when they are needed: %load_ext is quick
    from mm_magic.session.replaying import Replaying
    from mm_magic.session.run import Run, Step
    from mm_magic.transport.client import Client, Retrying, Source, Tap
    from mm_magic.transport.demo.offline import Offline
    from mm_magic.transport.recording.recent import RecentExchanges
    from mm_magic.transport.recording.writer import Recorder, Samples

LIST_SECONDS = 10.0
"""For a list of models: nobody waits longer for it, nor for the error that it stands beside."""


def _nothing(_cell: CellRun) -> None:
    pass


class Session:
    """The state of one kernel, or of one script. `environ` is looked up at each request.

    `sources` gives what answers in the place of an endpoint, or of the demo (None). `watchers` are
    called, on any thread, when a run began or ended, a conversation changed, or another backend
    was chosen. `draw` runs a turn that is drawn; it is None where IPython is not there to draw it.
    `while_asking` is called every 50 ms while the code of a cell asks what is not drawn.
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
        self.replaying: Replaying | None = None  # it answers, whatever `who` says
        self.recorder: Recorder | None = None
        self.last: TurnRequest | None = None
        self.last_turn: Turn | None = None
        self.last_commit: float | None = None  # seconds since 1970, to compare with a file's time
        self._listed: dict[str, list[str]] = {}  # models, by the address that listed them
        self.meter = Meter()
        self.running: list[Run] = []
        self.watchers: list[Callable[[], None]] = []
        self.cells: set[str] = set()  # the ids of those that have run
        self.draw: Callable[[Ask], Awaitable[Reply]] | None = None
        self.while_asking: Callable[[CellRun], None] = _nothing
        self._set_aside: Recorder | None = None  # while a recording answers
        self._cell = CellRun()
        self._queues: dict[str, TurnQueue] = {}
        self._to_tell: set[TurnKey | None] = set()  # of turns that were hidden
        self._warned: set[str] = set()
        self._refuse_thinking: set[tuple[str, str]] = set()  # servers, with their models
        self._retired = ""  # the default model, once another one is asked in its place

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
        if hidden := self.conversations.hide(set(deleted) - {cell_id}):
            self._to_tell.update(turn.key for turn in hidden)
            self.tell()

    def end_cell(self, *, succeeded: bool) -> CellEnd:
        """The running cell has ended. One that ended well has no turns but those of this run."""
        cell = self._cell
        with self.conversations.changing:
            if cell.cell_id and succeeded and not cell.only_shows:
                self.conversations.remove_beyond(cell.cell_id, cell.begun)
            turns = self.conversations.turns()
        made = set(map(id, cell.made))
        return CellEnd(
            undrawn=[turn for turn in cell.undrawn if turn in turns],
            kept=[turn for turn in turns if turn.is_of(cell.cell_id) and id(turn) not in made],
        )

    # -- who answers --------------------------------------------------------------------------

    def answering(self) -> str:
        """Who answers now, in a few words. Raises as `WhoAnswers.endpoint` does."""
        return self.who.in_words() if self.replaying is None else self.replaying.in_words()

    async def models(self) -> list[str]:
        """The models that the server offers; none where the demo answers."""
        endpoint = self.who.endpoint()
        if endpoint is None:
            return []
        try:
            async with asyncio.timeout(LIST_SECONDS):
                listed = await self.client.models(endpoint)
        except TimeoutError:
            from mm_magic.transport.body import silent

            raise silent(f"it gave no list of models within {LIST_SECONDS:g} s") from None
        except MiniMaxError as error:
            redact(error, endpoint)
            raise
        self._listed[endpoint.base_url] = listed
        return listed

    @property
    def offered_models(self) -> list[str]:
        """The models that the server which answers now listed; none if it was not asked."""
        with suppress(MiniMaxError):
            return self._listed_by(self.who.endpoint())
        return []

    def model_note(self, model: str) -> str:
        """A sentence if nobody knows this model, "" otherwise. It asks no server."""
        if self.replaying is None:
            with suppress(MiniMaxError):
                endpoint = self.who.endpoint()
                return self._model_note(model, endpoint)
        return ""

    def _model_note(self, model: str, endpoint: Endpoint | None) -> str:
        from mm_magic.session.notes import model_note

        is_own = endpoint is not None and endpoint.backend != "minimax"
        self._warned.add(f"model {model}")
        return model_note(model, self._listed_by(endpoint), is_own=is_own)

    def _listed_by(self, endpoint: Endpoint | None) -> list[str]:
        return self._listed.get(endpoint.base_url, []) if endpoint else []

    def replay(self, replaying: "Replaying | None", recorder: "Recorder | None" = None) -> None:
        """From now on a recording answers, or none; `recorder` takes down what is missing in it.

        The recording that was being made goes on when none answers any more. What is told once is
        told again.
        """
        if self.replaying is None:
            self._set_aside = self.recorder
        if replaying is not None:
            self.recorder = recorder
            self._warned.clear()
        else:
            self.recorder, self._set_aside = self._set_aside, None
        self.replaying = replaying
        self.tell()

    @cached_property
    def client(self) -> "Client":
        from mm_magic.transport.client import Client

        return Client()

    @cached_property
    def recent(self) -> "RecentExchanges[TurnRequest]":
        """The last answers as they came, for `%minimax request --events`."""
        from mm_magic.transport.recording.recent import RecentExchanges

        return RecentExchanges()

    @cached_property
    def _demo(self) -> "Offline":
        from mm_magic.transport.demo.offline import Offline

        return Offline()

    @cached_property
    def _samples(self) -> "Samples":
        from mm_magic.transport.recording.writer import Samples

        return Samples()

    # -- one turn -----------------------------------------------------------------------------

    def build(
        self, ask: Ask, cell: CellRun | None = None, key: TurnKey | None = None
    ) -> TurnRequest:
        """The request that a turn would be now. Sends nothing, and changes nothing.

        Without a cell it is for the next turn of the running one. Raises UsageError, and as
        `WhoAnswers.endpoint` does.
        """
        from mm_magic.session.build_request import Draft

        if cell is None:
            cell = self.cell
            key = cell.key() if ask.has_key else None
        with self.conversations.changing:
            there = None if ask.alone else self.conversations.get(ask.options.conversation)
            draft = Draft.of(ask, cell, key, there, self._refuse_thinking)
            if self.replaying is None:
                request = draft.build(*self._live())
            else:
                request = self.replaying.build(draft, self._to_fill, self.who.server_name())
            name = request.counted_as
            return replace(request, sample=self.samples.place(name, cell.asker(name)))

    def history_now(self, turn: Turn) -> History:
        """What would be sent before a turn's prompt if its cell ran again now."""
        from mm_magic.session.build_request import history_now

        assert turn.conversation is not None
        there = self.conversations.named(turn.conversation)
        if self.replaying is not None:
            return self.replaying.history_now(there, turn, self.who.server_name())
        return history_now(there, turn, self._live()[1], self._refuse_thinking)

    def start(self, ask: Ask, *, is_drawn: bool = False, is_awaited: bool = False) -> "Run":
        """The run of a turn; nothing is built or sent before its `steps` are taken."""
        from mm_magic.session.run import Run

        cell = self.cell
        key = cell.take_key() if ask.has_key else None
        return Run(ask, cell, key, is_drawn, is_awaited)

    async def steps(self, run: "Run") -> "AsyncGenerator[Step | Retrying, None]":
        """Send the request and yield what arrives; commit the turn at its end.

        It waits while another turn of the same conversation runs. Raises MiniMaxError with `.reply`
        where the answer fails or breaks off. When cancelled, the connection is closed, and `stop`
        says what becomes of the part that came.
        """
        run.begin()
        with heartbeat(), self._running_now(run):
            async with self._queue(run.ask):
                request = self._begin(run)
                while not run.is_over:
                    try:
                        async with aclosing(self._answer(run, request)) as arriving:
                            async for step in arriving:
                                yield step
                        run.end()
                    except MiniMaxError as error:
                        offered = await self._offered(error, request)
                        instead = self._instead(run, request, error, offered)
                        if instead is None:
                            raise self._explained(error, run, offered) from None
                        run.again(instead)
                        self.last = request = instead
                self._commit(run, run.reply())
                run.notes += self._recording_notes(request)

    async def _answer(
        self, run: "Run", request: TurnRequest
    ) -> "AsyncGenerator[Step | Retrying, None]":
        """Send a request and yield what arrives. Raises MiniMaxError."""
        from mm_magic.transport.body import Batch

        stream = self.client.stream(
            self._source(run, request),
            request.request,
            retries=request.ask.options.retries,
            taps=self._taps(request),
        )
        async with aclosing(stream) as arriving:
            async for arrival in arriving:
                yield run.take(arrival) if isinstance(arrival, Batch) else arrival

    def stop(self, run: "Run") -> Reply:
        """The run was cancelled: keep what came, as a stopped turn if it has text."""
        reply = run.reply("stopped")
        if run.request is not None:
            self._commit(run, reply)
            run.notes += self._recording_notes(run.request, is_stopped=True)
        return reply

    async def ask_drawn(self, prompt: str, options: Options, *, alone: bool) -> Reply:
        """As `ask`, and draw it as a cell does. Raises UsageError where nothing can draw it."""
        if self.draw is None:
            raise UsageError(
                "show=True needs a notebook in which mm_magic is loaded",
                next_steps=(
                    "In a notebook: run `%load_ext mm_magic` first.",
                    "In a script: `print(mm.ask(…))`",
                ),
            )
        return await self.draw(Ask(Prompt.of_text(prompt), options, alone, is_cell=False))

    async def ask(self, prompt: str, options: Options, *, alone: bool) -> Reply:
        """Run one turn to its end without drawing it. What a cell notes below it is a warning."""
        run = self.start(Ask(Prompt.of_text(prompt), options, alone, is_cell=False))
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
                warnings.warn(note, stacklevel=2)
        return run.reply()

    @property
    def samples(self) -> "Samples":
        """Which answer to a request belongs to whom, in the recording that answers or is made."""
        if self.replaying is not None:
            return self.replaying.replay.samples
        return self.recorder.samples if self.recorder is not None else self._samples

    def _begin(self, run: "Run") -> TurnRequest:
        """The turn of a run has come: its request, built once."""
        with self.conversations.changing:  # of two threads that ask the same each gets its sample
            request = self.build(run.ask, run.cell, run.key)
            if run.ask.is_cell or self.replaying is not None or self.recorder is not None:
                name = request.counted_as
                self.samples.keep(name, run.cell.asker(name))
                run.cell.has_asked(name)
        run.request = self.last = request
        run.notes += self._notes(request)
        return request

    def _source(self, run: "Run", request: TurnRequest) -> "Source":
        """What answers a turn. The demo does not wait between words that nobody watches."""
        if request.script is not None:
            return request.script
        if self._sources is not None:
            return self._sources(request.endpoint)
        if request.endpoint is not None:
            return request.endpoint
        self._demo.speed = 1.0 if run.cell.is_watched else math.inf
        return self._demo

    def _taps(self, request: TurnRequest) -> "list[Tap]":
        """What looks on while the answer passes: the recording, and the last exchanges."""
        taps = [self.recent.tap(request)]
        if self.recorder is not None and request.script is None:
            is_left_out = partial(self._is_sent_again, request)
            key, sample = request.request_key, request.sample
            taps.insert(0, self.recorder.tap(key, sample, request.endpoint, is_left_out))
        return taps

    def _queue(self, ask: Ask) -> AbstractAsyncContextManager[None]:
        """Lets one turn of a conversation through at a time; alone ones all at once."""
        if ask.alone:
            return nullcontext()
        return self._queues.setdefault(ask.options.conversation, TurnQueue()).passing()

    def _commit(self, run: "Run", reply: Reply) -> None:
        """Put a finished turn into its conversation; a reply that may not enter changes nothing."""
        if run.turn is not None or run.request is None:
            return
        turn = run.request.turn(reply)
        if reply.may_enter():
            self._learn(run, run.request)
            turn, stale = self.conversations.commit_and_compare(turn)
            if stale and run.ask.is_cell and self.recorder is None:  # its own note says it
                from mm_magic.session.notes import stale_note

                run.notes.append(stale_note(stale))
            if turn.conversation is not None:
                self.last_commit = time.time()
                run.cell.made.append(turn)
                if not run.is_drawn:
                    run.cell.undrawn.append(turn)
        run.turn = self.last_turn = turn
        self.recent.became(run.request, turn.id)

    async def _offered(self, error: MiniMaxError, request: TurnRequest) -> list[str]:
        """The models that the server offers, where it does not know the one that was asked."""
        if error.kind != "not_found" or request.endpoint is None:
            return []
        with suppress(MiniMaxError):
            return await self.models()
        return []

    def _instead(
        self, run: "Run", request: TurnRequest, error: MiniMaxError, offered: Iterable[str]
    ) -> TurnRequest | None:
        """What to send in place of a request that was refused, None if nothing else may help."""
        if run.reply().message.content:
            return None
        if error.kind == "not_found":
            return self._of_another_model(run, request, offered)
        return request.instead(error)

    def _of_another_model(
        self, run: "Run", request: TurnRequest, offered: Iterable[str]
    ) -> TurnRequest | None:
        """The request to the best of the models on offer, where nobody chose one.

        The API page's model is reported as retired. The other one stays for the session.
        """
        options = request.ask.options
        model = preferred(name for name in offered if name != options.model)
        if model is None or not self._is_default(options):
            return None
        if "model" not in self.options.said:
            self.options = replace(self.options, model=model)
        self._retired = options.model
        ask = replace(request.ask, options=replace(options, model=model))
        return replace(self.build(ask, run.cell, run.key), sample=request.sample)

    def _is_default(self, options: Options) -> bool:
        """Whether nobody chose the model: it is this package's default."""
        is_said = "model" in options.said or self.is_model_chosen
        return options.model == DEFAULT_MODEL and not is_said

    def _is_sent_again(self, request: TurnRequest, error: MiniMaxError) -> bool:
        """Whether another request may be sent in the place of one that was refused so."""
        if error.kind == "not_found":
            return request.endpoint is not None and self._is_default(request.ask.options)
        return request.instead(error) is not None

    def _learn(self, run: "Run", request: TurnRequest) -> None:
        """What an answer tells that was sent in the place of another request; each is said once."""
        options = request.ask.options
        is_replaced = bool(self._retired and request.endpoint) and "model" not in options.said
        if is_replaced and self.once("retired model"):
            run.notes.append(f"{self._retired} is no longer served; {options.model} answered.")
        if request.history.link.with_thinking:
            return
        self._refuse_thinking.add(request.asked_of)
        if self.once("refused thinking"):
            run.notes.append(
                "The server refused the thinking of earlier turns; they were sent without it."
            )

    def _explained(self, error: MiniMaxError, run: "Run", offered: Sequence[str]) -> MiniMaxError:
        """The error with what had come, and with what to do next."""
        from mm_magic.session.next_steps import next_steps

        reply = run.reply()
        if reply.message.content:
            error.reply, error.retryable = reply, False  # to send it again would pay for it twice
        endpoint = run.request.endpoint if run.request else None
        error.next_steps = next_steps(error, endpoint, offered, run.ask.options)
        redact(error, endpoint)
        return error

    @contextmanager
    def _running_now(self, run: "Run") -> Iterator[None]:
        """While the body runs, `run` is one of those in progress."""
        self.running.append(run)
        try:
            self.tell()
            yield
        finally:
            self.running.remove(run)
            self.meter.add(run.reply(), run.ask.options.model)
            self.tell()

    def _live(self, *, demo_allowed: bool | None = None) -> tuple[Endpoint | None, str]:
        """Who answers without a recording, and the name that its history knows it by."""
        endpoint = self.who.endpoint(demo_allowed=demo_allowed)
        return endpoint, endpoint.base_url if endpoint else OFFLINE

    def _to_fill(self) -> tuple[Endpoint | None, str]:
        """Who answers what a recording lacks: the demo only where it was chosen."""
        try:
            return self._live(demo_allowed=False)
        except MiniMaxError as error:
            if error.kind == "auth":
                raise no_key_error(has_magics=True) from None
            raise

    # -- what is said of it -------------------------------------------------------------------

    def _notes(self, request: TurnRequest) -> list[str]:
        """What the reader of this turn should know; some of it is told once."""
        from mm_magic.session.notes import notes

        to_tell, self._to_tell = self._to_tell - {request.key}, set()
        with self.conversations.changing:
            found = notes(request, self.conversations, to_tell, self.options, self.once)
        model = request.ask.options.model
        if request.script is None and self.once(f"model {model}"):
            found += filter(None, [self._model_note(model, request.endpoint)])
        return found

    def _recording_notes(self, request: TurnRequest, *, is_stopped: bool = False) -> Iterable[str]:
        """What the reader of a turn that was recorded should know of that."""
        if self.recorder is None or request.script is not None:
            return ()
        from mm_magic.session.notes import recording_notes

        there = self.conversations.get(request.ask.conversation or "")
        return recording_notes(self.recorder, request, there, is_stopped=is_stopped)

    def forget(self, name: str, number: int | None = None) -> list[Turn]:
        """Drop a turn of a conversation, or all of them; return what was dropped.

        Raises UsageError while a turn runs in it.
        """
        if any(run.ask.conversation == name for run in self.running):
            raise UsageError(
                f"a turn is running in conversation {name}",
                next_steps=("Stop it, or wait until it ends.",),
            )
        gone = self.conversations.forget(name, number)
        self.tell()
        return gone

    def tell(self) -> None:
        """Something changed: call the watchers."""
        for watcher in tuple(self.watchers):
            watcher()

    def once(self, name: str) -> bool:
        """True the first time that it is asked with this name."""
        is_new = name not in self._warned
        self._warned.add(name)
        return is_new


def redact(error: MiniMaxError, endpoint: Endpoint | None) -> None:
    """A server may repeat the key that it got: no error shows it, nor leads to what held it."""
    error.__context__ = None  # its frames can hold the request's headers, or the server's words
    if endpoint is not None and endpoint.key is not None:
        error.redact(endpoint.key.reveal())
