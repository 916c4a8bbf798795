"""Who answers a request: a server, the demo, a recording, the notebook, or nobody.

Each has `server`, the name by which the history knows who is asked, or was; `endpoint`, the server
that would be asked for a new answer, None for the demo and where nobody can be; and `backend`, as
its reply has it. All but a server and the demo play what is there: nothing is sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from mm_magic.conversation.reply import Origin
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError
from mm_magic.transport.endpoint import OFFLINE, Backend, Endpoint

if TYPE_CHECKING:
    from mm_magic.transport.exchange import Exchange
    from mm_magic.transport.recording.player import Playback


@dataclass(frozen=True, slots=True)
class Server:
    """A server is asked."""

    endpoint: Endpoint

    @property
    def server(self) -> str:
        return self.endpoint.base_url

    @property
    def backend(self) -> Backend:
        return self.endpoint.backend


@dataclass(frozen=True, slots=True)
class Demo:
    """The offline demo is asked."""

    server: ClassVar[str] = OFFLINE
    endpoint: ClassVar = None
    backend: ClassVar[Backend] = OFFLINE


@dataclass(frozen=True, slots=True)
class Nobody:
    """There is no answer, and nobody is asked for one: `why` makes the error that says so."""

    server: str
    why: Callable[[], MiniMaxError]
    endpoint: ClassVar = None
    backend: ClassVar[Backend] = "recorded"

    def answer(self, _body: Mapping[str, object]) -> "Exchange":
        raise self.why()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording has the answer, which came from `origin`."""

    server: str
    playback: "Playback"
    origin: Origin
    endpoint: ClassVar = None
    backend: ClassVar[Backend] = "recorded"

    def answer(self, body: Mapping[str, object]) -> "Exchange":
        return self.playback.answer(body)


@dataclass(frozen=True, slots=True)
class _InNotebook:
    """The notebook has a turn; `instead` is who would be asked for a new answer."""

    turn: Turn
    instead: Server | Demo | Nobody

    @property
    def server(self) -> str:
        return self.instead.server

    @property
    def endpoint(self) -> Endpoint | None:
        return self.instead.endpoint

    @property
    def backend(self) -> Backend:
        return self.turn.reply.backend

    def answer(self, body: Mapping[str, object]) -> "Exchange":
        from mm_magic.session.saved_answers import playback  # few play one

        return playback(self.turn).answer(body)


@dataclass(frozen=True, slots=True)
class Saved(_InNotebook):
    """The notebook has the answer to this very request: `turn` has it."""


@dataclass(frozen=True, slots=True)
class Kept(_InNotebook):
    """A cell keeps the `turn` that it had, an answer to something else: nobody can be asked."""


Answerer: TypeAlias = Server | Demo | Nobody | Recorded | Saved | Kept
