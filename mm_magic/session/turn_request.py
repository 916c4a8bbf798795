"""What is asked, and the request that it becomes when its turn has come."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mm_magic.conversation.history import History
from mm_magic.conversation.reply import Origin, Reply
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import MiniMaxError
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.failure import may_refuse_thinking
from mm_magic.protocol.request import Request
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.cell_run import CellRun
from mm_magic.session.options import Options
from mm_magic.transport.endpoint import OFFLINE, Backend, Endpoint
from mm_magic.wording import json_text

if TYPE_CHECKING:
    from mm_magic.transport.client import Script


@dataclass(frozen=True, slots=True)
class Ask:
    """What a cell or a program asks.

    `alone` leaves the conversations out. A cell that asks alone takes its turn out of the
    conversation that it was in; a call from Python (`is_cell` false) does not.
    """

    prompt: Prompt
    options: Options
    alone: bool = False
    is_cell: bool = True

    @property
    def conversation(self) -> str | None:
        """The conversation that the turn belongs to, None if it stands alone."""
        return None if self.alone else self.options.conversation

    @property
    def has_key(self) -> bool:
        """Whether its turn is one of its cell's."""
        return self.is_cell or not self.alone


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """A request that is ready, where it goes, and the place of its turn.

    A turn that stands alone has the number 0. `endpoint` is None for the demo and a recording.
    `to_demo`: it carries turns of the demo, as only the demo's own requests do. In replay `script`
    answers; `origin` says where its answer came from. `sample` counts the answers to this same
    request, from 0, under the name `counted_as`.
    """

    ask: Ask
    cell: CellRun
    key: TurnKey | None
    number: int
    history: History
    request: Request
    request_key: RequestKey
    endpoint: Endpoint | None
    to_demo: bool
    counted_as: str
    sample: int = 0
    script: "Script | None" = None
    origin: Origin | None = None

    @property
    def backend(self) -> Backend:
        if self.script is not None:
            return "recorded"
        return self.endpoint.backend if self.endpoint else OFFLINE

    @property
    def asked_of(self) -> tuple[str, str]:
        """The server and the model that it goes to."""
        return self.endpoint.base_url if self.endpoint else OFFLINE, self.ask.options.model

    def instead(self, error: MiniMaxError) -> "TurnRequest | None":
        """What to send in its place where it was refused so, None if nothing else may help."""
        if may_refuse_thinking(error) and self.history.carries_thinking:
            return self.without_thinking()
        return None

    def without_thinking(self) -> "TurnRequest":
        """The same request without the thinking of earlier turns."""
        history = self.history.without_thinking()
        messages = [*history.messages, self.ask.prompt.encode()]
        return replace(self, history=history, request=replace(self.request, messages=messages))

    @property
    def same_prompt(self) -> int | None:
        """The number of the latest turn, sent along, that has the same prompt."""
        numbers = [t.number for t in self.history.turns() if t.prompt.asks_as(self.ask.prompt)]
        return numbers[-1] if numbers else None

    def turn(self, reply: Reply) -> Turn:
        """The turn that this request and a reply make."""
        options = self.ask.options
        return Turn(
            conversation=self.ask.conversation,
            number=self.number,
            key=self.key,
            prompt=self.ask.prompt,
            reply=reply,
            parameters=self.request.parameters,
            said=frozenset(self.request_key.options),
            request_key=self.request_key.hash,
            sample=self.sample,
            context_hash=self.history.context_hash,
            turns_hash=self.history.turns_hash,
            sent=self.history.sent,
            link=self.history.link,
            label=self.cell.label,
            hides_thinking=options.hide_thinking,
        )

    def in_words(self) -> str:
        """The request as it goes over the wire, without its headers, where the key is."""
        return f"{self._where()}\n{json_text(self.request.to_body())}"

    def _where(self) -> str:
        if self.backend == "minimax" and self.endpoint is not None:
            return f"POST {self.endpoint.base_url}/v1/messages"
        if self.endpoint is not None:  # whose address is not for the readers of a shared notebook
            return "To your own server: POST /v1/messages"
        return "To the offline demo:" if self.script is None else "To the recording:"
