"""One kernel's state, and the way of one turn through the layers.

What the magics and `mm.ask` share: the options, the choice of backend, the conversations and the
client. It draws nothing; what it must know of the notebook (the cell, that the demo may answer)
is told to it.
"""

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mm_magic.advice import next_steps
from mm_magic.conversation import (
    Conversation,
    History,
    Reply,
    Status,
    Turn,
    TurnKey,
    history,
    may_enter,
)
from mm_magic.errors import MiniMaxError
from mm_magic.heartbeat import heartbeat
from mm_magic.protocol.accumulate import Accumulator, Growth
from mm_magic.protocol.request import Request, max_tokens_warning, user_message
from mm_magic.settings import Choice, Environment, Options, TypedKey, choose_endpoint, first_options
from mm_magic.transport.endpoint import Backend, Endpoint
from mm_magic.transport.reading import Batch, silent

if TYPE_CHECKING:  # httpx comes at the first request, not at import
    from mm_magic.transport.client import Client, Retrying, Source
    from mm_magic.transport.offline import Offline

OFFLINE: Final = "offline"
LIST_SECONDS = 10.0
"""For a list of models: nobody waits longer for it, nor for the error that it stands beside."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready, and where it goes. `notes` are sentences for the reader."""

    prompt: str
    options: Options
    request: Request
    endpoint: Endpoint | None  # None: the offline demo
    conversation: Conversation | None  # None: alone
    key: TurnKey | None
    number: int | None
    history: History
    notes: tuple[str, ...]

    @property
    def backend(self) -> Backend:
        return self.endpoint.backend if self.endpoint else OFFLINE


@dataclass(frozen=True, slots=True)
class Step:
    """What one read brought: the growth, and the seconds since the request was sent."""

    seconds: float
    growth: Growth


class Session:
    """The state of one kernel, or of one script. `environ` is looked up at each request."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = Environment(environ)
        self.options = first_options(environ)
        self.choice: Choice = "auto"
        self.typed_key: TypedKey | None = None
        self.demo_allowed = False
        self.conversations: dict[str, Conversation] = {}
        self.last: Prepared | None = None
        self.last_reply: Reply | None = None
        self.offered_models: list[str] = []  # as the server listed them, when it was asked
        self.cell_id: str | None = None
        self._turns_of_cell = 0
        self._warned: set[str] = set()
        self._client: Client | None = None
        self._offline: Offline | None = None

    def begin_cell(self, cell_id: str | None) -> None:
        """A cell begins to run; None where the front end does not tell which."""
        self.cell_id = cell_id
        self._turns_of_cell = 0

    def endpoint(self) -> Endpoint | None:
        """Who would answer now; None for the demo. Raises as `choose_endpoint` does."""
        return choose_endpoint(
            self.environ, self.choice, self.typed_key, demo_allowed=self.demo_allowed
        )

    def conversation(self, name: str) -> Conversation:
        return self.conversations.setdefault(name, Conversation(name))

    def prepare(
        self, prompt: str, options: Options, *, alone: bool = False, is_cell: bool = True
    ) -> Prepared:
        """Build the request of the next turn. Sends nothing; raises UsageError for bad values.

        `alone` leaves the conversations out. A cell that runs alone takes its turn out of the one
        it was in; a call from Python (`is_cell` false) does not.
        """
        endpoint = self.endpoint()
        name = options.conversation
        conversation = None if alone else self.conversations.get(name) or Conversation(name)
        key = self._next_key() if conversation or is_cell else None
        earlier = history(
            conversation.before(key) if conversation else (),
            model=options.model,
            server=endpoint.base_url if endpoint else OFFLINE,
            system=options.system,
        )
        request = Request(
            model=options.model,
            messages=[*earlier.messages, user_message(prompt)],
            system=options.system or None,
            stream=options.stream,
            max_tokens=options.max_tokens,
            temperature=options.temperature,
            top_p=options.top_p,
            thinking=options.thinking,
        )
        return Prepared(
            prompt=prompt,
            options=options,
            request=request,
            endpoint=endpoint,
            conversation=conversation,
            key=key,
            number=conversation.number_of(key) if conversation else None,
            history=earlier,
            notes=tuple(self._notes(options, earlier)),
        )

    def start(self, prepared: Prepared) -> "Run":
        """The run of a prepared turn; nothing is sent before its steps are taken."""
        self.last = prepared
        if prepared.key is not None:
            self._turns_of_cell += 1
        return Run(self, prepared)

    async def ask(self, prompt: str, options: Options, *, alone: bool) -> Reply:
        """Run one turn to its end without drawing it. What a cell notes below it is a warning."""
        prepared = self.prepare(prompt, options, alone=alone, is_cell=False)
        for note in prepared.notes:
            warnings.warn(note, stacklevel=2)
        run = self.start(prepared)
        async with aclosing(run.steps()) as steps:
            async for _ in steps:
                pass
        return run.reply()

    async def models(self) -> list[str]:
        """The models that the server offers; none where the demo answers."""
        endpoint = self.endpoint()
        if endpoint is None:
            return []
        try:
            async with asyncio.timeout(LIST_SECONDS):
                return await self.client().models(endpoint)
        except TimeoutError:
            raise silent(f"it gave no list of models within {LIST_SECONDS:g} s") from None
        except MiniMaxError as error:
            _redact(error, endpoint)
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
            from mm_magic.transport.offline import Offline

            self._offline = Offline()
        return self._offline

    def commit(self, prepared: Prepared, reply: Reply) -> None:
        """Put a finished turn into its conversation, and out of the one its cell was in before."""
        self.last_reply = reply
        own = prepared.conversation
        if prepared.key is not None:
            for name, other in self.conversations.items():
                if own is None or name != own.name:
                    other.remove(prepared.key)
        if own is None or prepared.number is None or not may_enter(reply):
            return
        self.conversations.setdefault(own.name, own).commit(
            Turn(
                number=prepared.number,
                key=prepared.key,
                prompt=prepared.prompt,
                reply=reply,
                request=prepared.request.to_body(),
                context=prepared.history.context,
            )
        )

    def once(self, name: str) -> bool:
        """True the first time that it is asked with this name."""
        is_new = name not in self._warned
        self._warned.add(name)
        return is_new

    def _next_key(self) -> TurnKey | None:
        return TurnKey(self.cell_id, self._turns_of_cell) if self.cell_id else None

    def _notes(self, options: Options, earlier: History) -> list[str]:
        notes = []
        warning = max_tokens_warning(options.max_tokens)
        if warning and self.once("max_tokens"):
            notes.append(warning)
        if earlier.demo_left_out and self.once(f"demo turns of {options.conversation}"):
            notes.append(
                "Turns of the offline demo are never sent to a model: "
                f"{earlier.demo_left_out} left out."
            )
        return notes


@dataclass(slots=True)
class Run:
    """One turn on its way. `steps` drives it; `reply` is what has come so far.

    `thinking_seconds` is how long it has thought, None if it has not, or nobody can tell.
    """

    session: Session
    prepared: Prepared
    thinking_seconds: float | None = None
    _accumulator: Accumulator = field(default_factory=Accumulator)
    _is_thinking: bool = False

    async def steps(self) -> AsyncGenerator["Step | Retrying", None]:
        """Send the request and yield what arrives; commit the turn at its end.

        Raises MiniMaxError with `.reply` where the answer fails or breaks off. When cancelled,
        the connection is closed, and `stop` says what becomes of the part that came.
        """
        prepared = self.prepared
        stream = self.session.client().stream(
            self.session.source(prepared.endpoint),
            prepared.request,
            retries=prepared.options.retries,
        )
        try:
            with heartbeat():
                async with aclosing(stream) as arriving:
                    async for arrival in arriving:
                        if not isinstance(arrival, Batch):
                            yield arrival
                            continue
                        growth = self._accumulator.add(arrival.events)
                        self._time_thinking(arrival.seconds, growth)
                        yield Step(arrival.seconds, growth)
        except MiniMaxError as error:
            raise await self._failed(error) from None
        self._accumulator.end()
        if (failure := self._accumulator.error()) is not None:
            raise await self._failed(failure)
        self.session.commit(prepared, self.reply())

    def reply(self, status: Status = "complete") -> Reply:
        """What has come so far."""
        return Reply(
            message=self._accumulator.message(),
            status=status,
            backend=self.prepared.backend,
            thinking_seconds=self.thinking_seconds,
        )

    def stop(self) -> Reply:
        """The run was cancelled: keep what came, as a stopped turn if it has text."""
        reply = self.reply("complete" if self._accumulator.state == "complete" else "stopped")
        self.session.commit(self.prepared, reply)
        return reply

    async def _failed(self, error: MiniMaxError) -> MiniMaxError:
        """The error with what had come, and with what to do next."""
        reply = self.reply("incomplete")
        error.reply = reply if reply.message.content else None
        endpoint = self.prepared.endpoint
        offered: list[str] = []
        if error.kind == "not_found" and endpoint is not None:
            with suppress(MiniMaxError):
                offered = await self.session.models()
        error.next_steps = next_steps(error, endpoint, offered)
        if endpoint is not None:
            _redact(error, endpoint)
        return error

    def _time_thinking(self, seconds: float, growth: Growth) -> None:
        """Thinking lasts from the request to the first text; unknown if both came in one read."""
        if self._is_thinking or (growth.thinking and not growth.text):
            self._is_thinking = not growth.text
            self.thinking_seconds = seconds


def _redact(error: MiniMaxError, endpoint: Endpoint) -> None:
    """A server may repeat the key that it got: no error shows it."""
    if endpoint.key is not None:
        error.redact(endpoint.key.reveal())
