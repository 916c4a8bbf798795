"""A turn's request, ready to be sent."""

import json
from typing import TYPE_CHECKING

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.protocol.json_values import JsonObject
from mm_magic.wording import plain

if TYPE_CHECKING:
    pass

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mm_magic.conversation.history import History
from mm_magic.conversation.reply import Origin
from mm_magic.conversation.turn import TurnKey
from mm_magic.protocol.request import Request
from mm_magic.session.cell_run import CellRun
from mm_magic.session.options import Options
from mm_magic.transport.endpoint import OFFLINE, Backend, Endpoint

if TYPE_CHECKING:
    from mm_magic.transport.client import Script


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready, and where it goes.

    `server` is the name by which its history knows who answers. A turn that stands alone has no
    `conversation`, and the number 0. In replay `script` answers; `origin` tells of its answer.
    """

    prompt: str
    options: Options
    request: Request
    endpoint: Endpoint | None  # None: the offline demo, or a recording
    server: str
    conversation: str | None
    number: int
    cell: CellRun
    key: TurnKey | None
    history: History
    script: "Script | None" = None
    origin: Origin | None = None

    @property
    def backend(self) -> Backend:
        if self.script is not None:
            return "recorded"
        return self.endpoint.backend if self.endpoint else OFFLINE

    @property
    def same_prompt(self) -> int | None:
        """The number of the latest turn, sent along, that has the same prompt."""
        link = self.history.link
        while link.turn is not None and link.before is not None:
            if link.turn.prompt == self.prompt:
                return link.turn.number
            link = link.before
        return None

    def turn(self, reply: Reply) -> Turn:
        """The turn that this request and a reply make."""
        return Turn(
            conversation=self.conversation,
            number=self.number,
            key=self.key,
            prompt=self.prompt,
            reply=reply,
            asked=self.request.parameters(),
            context=self.history.context,
            knew=self.history.knew,
            sent=self.history.sent,
            link=self.history.link,
            label=self.cell.label,
            hides_thinking=self.options.hide_thinking,
        )


def request_text(prepared: Prepared) -> str:
    """The request as it goes over the wire, without its headers, where the key is."""
    endpoint = prepared.endpoint
    where = "To the offline demo:" if prepared.script is None else "To the recording:"
    if endpoint is not None:
        where = f"POST {endpoint.base_url}/v1/messages"
    return f"{where}\n{json_text(prepared.request.to_body())}"


def json_text(value: JsonObject) -> str:
    """Exact JSON that is fit for a terminal: what would act there is written as an escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(char if plain(char) == char else json.dumps(char)[1:-1] for char in text)
