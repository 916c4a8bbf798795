"""One kernel's state: what the magics, the panel and `mm.ask` share.

The options, the choice of backend, the conversations and the client. It draws nothing; what it
must know of the notebook (the cell, that the demo may answer) is told to it.
"""

import asyncio
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property, partial
from threading import RLock
from typing import TYPE_CHECKING

from mm_magic.conversation.conversation import Conversation, State
from mm_magic.conversation.history import History
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.session.build_request import history_again, prepare
from mm_magic.session.cell_run import CellEnd, CellRun, running
from mm_magic.session.notes import notes
from mm_magic.session.options import Options, first_options
from mm_magic.session.run import Run, redact
from mm_magic.session.turn_queue import Turnstile
from mm_magic.session.turn_request import Prepared
from mm_magic.session.usage import Meter
from mm_magic.session.who_answers import (
    Choice,
    Environment,
    TypedKey,
    choose_endpoint,
    no_key_error,
    server_name,
)
from mm_magic.transport.endpoint import OFFLINE, Endpoint

if TYPE_CHECKING:  # they come when they are needed: %load_ext is quick
    from mm_magic.session.replaying import Replaying
    from mm_magic.transport.client import Client, Source, Tap
    from mm_magic.transport.demo.offline import Offline
    from mm_magic.transport.recording.recent import LastExchanges
    from mm_magic.transport.recording.writer import Recorder

LIST_SECONDS = 10.0
"""For a list of models: nobody waits longer for it, nor for the error that it stands beside."""


class Session:
    """The state of one kernel, or of one script. `environ` is looked up at each request.

    `watchers` are called, on any thread, when a run began or ended, a conversation changed, or
    another backend was chosen.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = Environment(environ)
        self.options = first_options(environ)
        self.choice: Choice = "auto"
        self.typed_key: TypedKey | None = None
        self.demo_allowed = False
        self.replaying: Replaying | None = None  # it answers, whatever `choice` says
        self.recorder: Recorder | None = None
        self._set_aside: Recorder | None = None  # while a recording answers
        self.conversations: dict[str, Conversation] = {}
        self.changes_in_file = -1  # the most of any conversation there; what begins here is later
        self.last: Prepared | None = None
        self.last_turn: Turn | None = None
        self.last_commit: float | None = None  # seconds since 1970, to compare with a file's time
        self.offered_models: list[str] = []  # as the server listed them, when it was asked
        self.meter = Meter()
        self.running: list[Run] = []
        self.watchers: list[Callable[[], None]] = []
        self._changing = RLock()  # held where turns are placed, taken out, or read as a history
        self._cell = CellRun()
        self._turnstiles: dict[str, Turnstile] = {}
        self._to_tell: set[TurnKey | None] = set()  # of turns that were hidden
        self._warned: set[str] = set()
        self._client: Client | None = None
        self._offline: Offline | None = None

    # -- cells --------------------------------------------------------------------------------

    @property
    def cell(self) -> CellRun:
        """The cell whose code runs here; a thread that knows none counts to the latest cell."""
        here = running.get()
        return here if here is not None and here.owner is self else self._cell

    def begin_cell(self, cell_id: str | None, label: str = "", deleted: Iterable[str] = ()) -> None:
        """A cell begins to run; None where the front end does not tell which.

        The turns of the cells in `deleted` are hidden: kept in their places and not sent.
        """
        self._cell = CellRun(self, cell_id, label)
        running.set(self._cell)
        gone = set(deleted) - {cell_id}
        with self._changing:
            hidden = [turn for each in self.conversations.values() for turn in each.hide(gone)]
        self._to_tell.update(turn.key for turn in hidden)
        if hidden:
            self.tell()

    def end_cell(self, *, succeeded: bool) -> CellEnd:
        """The running cell has ended. One that ended well has no turns but those of this run."""
        cell = self._cell
        with self._changing:
            if cell.cell_id and succeeded and not cell.only_shows:
                for conversation in self.conversations.values():
                    conversation.remove_beyond(cell.cell_id, cell.begun)
            turns = [turn for each in self.conversations.values() for turn in each.turns]
        made = set(map(id, cell.made))
        return CellEnd(
            undrawn=[turn for turn in cell.undrawn if turn in turns],
            kept=[turn for turn in turns if turn.is_of(cell.cell_id) and id(turn) not in made],
        )

    # -- who answers --------------------------------------------------------------------------

    def endpoint(self) -> Endpoint | None:
        """Who would answer now, but for a recording; None for the demo.

        Raises as `choose_endpoint` does.
        """
        return self._live(self.demo_allowed)[0]

    async def models(self) -> list[str]:
        """The models that the server offers; none where the demo answers."""
        endpoint = self.endpoint()
        if endpoint is None:
            return []
        try:
            async with asyncio.timeout(LIST_SECONDS):
                return await self.client().models(endpoint)
        except TimeoutError:
            from mm_magic.transport.body import silent

            raise silent(f"it gave no list of models within {LIST_SECONDS:g} s") from None
        except MiniMaxError as error:
            redact(error, endpoint)
            raise

    def client(self) -> "Client":
        if self._client is None:
            from mm_magic.transport.client import Client

            self._client = Client()
        return self._client

    def source(self, endpoint: Endpoint | None) -> "Source":
        if endpoint is not None:
            return endpoint
        if self._offline is None:
            from mm_magic.transport.demo.offline import Offline

            self._offline = Offline()
        return self._offline

    @cached_property
    def last_exchanges(self) -> "LastExchanges[Prepared]":
        """The last answers as they came, for `%minimax request --events`."""
        from mm_magic.transport.recording.recent import LastExchanges

        return LastExchanges()

    def source_for(self, prepared: Prepared) -> "Source":
        """Who answers a turn."""
        return prepared.script or self.source(prepared.endpoint)

    def taps(self, prepared: Prepared) -> "list[Tap]":
        """What looks on while the answer passes: the last exchanges, and the recording."""
        taps = [self.last_exchanges.tap(prepared)]
        if self.recorder is not None and prepared.script is None:
            from mm_magic.session.replaying import recording_tap

            taps.insert(0, recording_tap(self.recorder, prepared))
        return taps

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

    # -- one turn -----------------------------------------------------------------------------

    def prepare(
        self, prompt: str, options: Options, *, alone: bool = False, is_cell: bool = True
    ) -> Prepared:
        """Build the request of the next turn. Sends nothing; raises UsageError for bad values.

        `alone` leaves the conversations out. A cell that runs alone takes its turn out of the one
        it was in; a call from Python (`is_cell` false) does not.
        """
        key = self.cell.key() if is_cell or not alone else None
        name = None if alone else options.conversation
        return self._prepared(prompt, options, name, key, self.cell)

    def history_now(self, turn: Turn) -> History:
        """What would be sent before a turn's prompt if its cell ran again now."""
        assert turn.conversation is not None
        if self.replaying is None:
            names = [self._live(self.demo_allowed)[1]]
        else:
            names = self.replaying.names(server_name(self.environ))
        return history_again(self.conversation(turn.conversation), turn, names, self.options)

    def start(self, prepared: Prepared, *, is_drawn: bool = False, is_awaited: bool = False) -> Run:
        """The run of a prepared turn; nothing is sent before its steps are taken."""
        if prepared.key is not None:
            prepared = replace(prepared, key=prepared.cell.take_key())
        return Run(self, prepared, is_drawn, is_awaited)

    async def ask(self, prompt: str, options: Options, *, alone: bool) -> Reply:
        """Run one turn to its end without drawing it. What a cell notes below it is a warning."""
        run = self.start(self.prepare(prompt, options, alone=alone, is_cell=False))
        try:
            async with aclosing(run.steps()) as steps:
                async for _ in steps:
                    pass
        except asyncio.CancelledError:
            run.stop()
            raise
        finally:  # they are told once, also where no answer came
            for note in run.notes:
                warnings.warn(note, stacklevel=2)
        return run.reply()

    def turnstile(self, prepared: Prepared) -> AbstractAsyncContextManager[None]:
        """Lets one turn of a conversation through at a time; alone ones all at once."""
        if prepared.conversation is None:
            return nullcontext()
        return self._turnstiles.setdefault(prepared.conversation, Turnstile()).passing()

    def settle(self, prepared: Prepared) -> Prepared:
        """The same turn, prepared anew after the one that it waited for."""
        self.last = self._prepared(
            prepared.prompt,
            prepared.options,
            prepared.conversation,
            prepared.key,
            prepared.cell,
            takes=True,
        )
        return self.last

    def notes(self, prepared: Prepared) -> list[str]:
        """What the reader of this turn should know; some of it is told once."""
        to_tell, self._to_tell = self._to_tell - {prepared.key}, set()
        with self._changing:
            return notes(prepared, self.conversations, to_tell, self.options, self.once)

    def recording_notes(self, prepared: Prepared, *, is_stopped: bool = False) -> Iterable[str]:
        """What the reader of a turn that was recorded should know of that."""
        if self.recorder is None or prepared.script is not None:
            return ()
        from mm_magic.session.replaying import recording_notes

        conversation = self.conversations.get(prepared.conversation or "")
        return recording_notes(self.recorder, prepared, conversation, is_stopped=is_stopped)

    def commit(self, prepared: Prepared, reply: Reply, *, is_drawn: bool) -> Turn:
        """Put a finished turn into its conversation, and out of the one its cell was in before.

        A reply that may not enter changes nothing. Returns the turn as it stands.
        """
        turn, cell = prepared.turn(reply), prepared.cell
        self.last_turn = turn
        if not reply.may_enter():
            return turn
        with self._changing:
            for name, other in self.conversations.items():
                if turn.key is not None and name != turn.conversation:
                    other.remove_key(turn.key)
            if turn.conversation is not None:
                self.last_turn = turn = self.conversation(turn.conversation).commit(turn)
                self.last_commit = time.time()
                cell.made.append(turn)
                if not is_drawn:
                    cell.undrawn.append(turn)
        return turn

    @contextmanager
    def running_now(self, run: Run) -> Iterator[None]:
        """While the body runs, `run` is one of those in progress."""
        self.running.append(run)
        try:
            self.tell()
            yield
        finally:
            self.running.remove(run)
            self.meter.add(run.reply(), run.prepared.options.model)
            self.tell()

    # -- conversations ------------------------------------------------------------------------

    def conversation(self, name: str) -> Conversation:
        """The conversation of this name; a new one if there is none."""
        with self._changing:
            if name not in self.conversations:
                changes = self.changes_in_file + 1
                self.conversations[name] = Conversation(name, changes=changes)
            return self.conversations[name]

    def state_of(self, turn: Turn) -> State | None:
        """The state of the conversation that a turn is in, None if it is in none."""
        conversation = self.conversations.get(turn.conversation or "")
        return conversation.state if conversation and turn in conversation.turns else None

    def forget(self, name: str, number: int | None = None) -> list[Turn]:
        """Drop a turn of a conversation, or all of them; return what was dropped.

        Raises UsageError while a turn runs in it.
        """
        if any(run.prepared.conversation == name for run in self.running):
            raise UsageError(
                f"a turn is running in conversation {name}",
                next_steps=("Stop it, or wait for its end.",),
            )
        with self._changing:
            gone = self.conversation(name).forget(number) if name in self.conversations else []
        self.tell()
        return gone

    def bring_back(self, name: str, number: int) -> list[Turn]:
        """Send a hidden turn of a conversation again; see `Conversation.bring_back`."""
        with self._changing:
            back = self.conversation(name).bring_back(number) if name in self.conversations else []
        self.tell()
        return back

    def take_in(self, name: str, turns: Iterable[Turn], state: State) -> None:
        """Put turns of a file into a conversation; see `Conversation.take_in`."""
        with self._changing:
            self.conversation(name).take_in(turns, state)
        self.tell()

    def tell(self) -> None:
        """Something changed: call the watchers."""
        for watcher in tuple(self.watchers):
            watcher()

    def once(self, name: str) -> bool:
        """True the first time that it is asked with this name."""
        is_new = name not in self._warned
        self._warned.add(name)
        return is_new

    def _prepared(
        self,
        prompt: str,
        options: Options,
        name: str | None,
        key: TurnKey | None,
        cell: CellRun,
        *,
        takes: bool = False,
    ) -> Prepared:
        """A turn for who answers now. With `takes` its recorded answer is that cell's for good."""
        with self._changing:
            conversation = self.conversations.get(name) if name is not None else None
            build = partial(prepare, prompt, options, name, conversation, key, cell)
            if self.replaying is None:
                return build(*self._live(self.demo_allowed))
            would = server_name(self.environ)
            return self.replaying.prepared(build, cell, self._to_fill, would, takes=takes)

    def _to_fill(self) -> tuple[Endpoint | None, str]:
        """Who answers what a recording lacks: the demo only where it was chosen."""
        try:
            return self._live(demo_allowed=False)
        except MiniMaxError as error:
            if error.kind == "auth":
                raise no_key_error(has_magics=True) from None
            raise

    def _live(self, demo_allowed: bool) -> tuple[Endpoint | None, str]:
        """Who answers without a recording, and the name by which the history knows it."""
        endpoint = choose_endpoint(
            self.environ, self.choice, self.typed_key, demo_allowed=demo_allowed
        )
        return endpoint, endpoint.base_url if endpoint else OFFLINE
