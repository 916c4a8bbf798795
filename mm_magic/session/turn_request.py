"""What is asked, and the request that it becomes when its turn has come."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mm_magic.conversation.catalog import check_pictures
from mm_magic.conversation.history import History
from mm_magic.conversation.left_out import LeftOut, prompt_without
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.steps import messages_so_far, think
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import MiniMaxError
from mm_magic.prompt.prompt import Asked, Prompt
from mm_magic.prompt.schema import with_schema
from mm_magic.protocol.json_values import JsonObject, as_text, encode_json
from mm_magic.protocol.messages import ImageBlock, Message
from mm_magic.protocol.redaction import redacted
from mm_magic.protocol.request import Request
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.answerer import Answerer, Demo, Kept, Nobody, Recorded, Saved, Server
from mm_magic.session.cell_run import CellRun
from mm_magic.session.options import Options
from mm_magic.transport.endpoint import OFFLINE, Endpoint
from mm_magic.wording import json_text

if TYPE_CHECKING:
    from mm_magic.session.tools.tool import Tool
    from mm_magic.session.values import ValueType


@dataclass(frozen=True, slots=True)
class Ask:
    """What a cell or a program asks.

    `alone` leaves the conversations out. A cell that asks alone takes its turn out of the
    conversation that it was in; a call from Python (`is_cell` false) does not. `type` is what the
    answer is read as, None for text. `known_as` is what recordings know the prompt by, where that
    is not its own text. `is_fresh`: saved and recorded answers do not count where a new one can be
    had. `without` is what this one of several requests leaves out; what is left of the prompt is
    `sent_prompt`. The model may call `tools`; if it `confirms`, the user is asked before each call.
    `steps` are the calls so far and their results, which follow the prompt.
    """

    prompt: Prompt
    options: Options
    alone: bool = False
    is_cell: bool = True
    type: "ValueType | None" = None
    known_as: Prompt | None = None
    is_fresh: bool = False
    without: LeftOut | None = None
    tools: tuple["Tool", ...] = ()
    confirms: bool = False
    steps: tuple[Message, ...] = ()

    @property
    def sent_prompt(self) -> Prompt:
        """What is sent of the prompt."""
        return prompt_without(self.prompt, self.without)

    @property
    def system(self) -> str:
        """The system prompt with what asks for the type; "" if there is none."""
        return self._with_schema(self.options.system)

    def parameters(self) -> JsonObject:
        """The request's body but for its messages, by the names of the wire."""
        return self._with_tools(self._with_system(self.options.parameters()))

    def sent_parameters(self, *, is_minimax: bool) -> JsonObject:
        """The same as it is sent: MiniMax's own hosts want tools told in another way."""
        parameters = self._with_system(self.options.parameters())
        return self._with_tools(parameters, is_minimax=is_minimax)

    def asked(self) -> JsonObject:
        """What of `parameters` the notebook said: this tells one request from another."""
        return self._with_tools(self._with_system(self.options.asked()))

    def encoded(self, *, with_thinking: bool = True) -> list[bytes]:
        """The JSON of the prompt and of the steps behind it."""
        if not self.steps:
            return [self.sent_prompt.encode()]
        sent = messages_so_far(self.sent_prompt, self.steps, in_context=with_thinking)
        return list(map(encode_json, sent))

    def _with_system(self, parameters: JsonObject) -> JsonObject:
        system = self._with_schema(as_text(parameters.get("system")))
        return {**parameters, "system": system} if system else parameters

    def _with_tools(self, parameters: JsonObject, *, is_minimax: bool = False) -> JsonObject:
        if not self.tools:
            return parameters
        tools: list[object] = [tool.to_wire(is_minimax=is_minimax) for tool in self.tools]
        return {**parameters, "tools": tools}

    def _with_schema(self, system: str) -> str:
        return system if self.type is None else with_schema(system, self.type.schema)

    @property
    def conversation(self) -> str | None:
        """The conversation that the turn belongs to, None if it stands alone."""
        return None if self.alone else self.options.conversation

    @property
    def has_key(self) -> bool:
        """Whether its turn is one of its cell's."""
        return self.is_cell or not self.alone


class TypeOrTools(NamedTuple):
    """What a call from Python wants: a value of a type, or functions that the model may call."""

    type: "ValueType | None" = None
    tools: tuple["Tool", ...] = ()
    confirms: bool = False


def from_python(
    prompt: Asked, options: Options, *, alone: bool, wanted: TypeOrTools | None = None
) -> Ask:
    """What a call from Python asks: a text as it stands, or a list of texts and pictures."""
    kind, tools, confirms = wanted or TypeOrTools()
    ask = Ask(Prompt.of(prompt), options, alone, is_cell=False, type=kind)
    return replace(ask, tools=tools, confirms=confirms)


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """A request that is ready, who answers it, and the place of its turn.

    A turn that stands alone has the number 0. `sample` counts the answers to this same request,
    from 0, under the name `counted_as`. `is_untrusted`: its answer is from a file that Jupyter does
    not trust.
    """

    ask: Ask
    cell: CellRun
    key: TurnKey | None
    number: int
    history: History
    request: Request
    request_key: RequestKey
    answerer: Answerer
    counted_as: str
    sample: int = 0
    is_untrusted: bool = False

    @property
    def is_sent(self) -> bool:
        """Whether a server or the demo is asked."""
        return isinstance(self.answerer, Server | Demo)

    @property
    def to_demo(self) -> bool:
        """Whether it carries turns of the demo, as only the demo's own requests do."""
        return self.answerer.server == OFFLINE

    @property
    def is_recordable(self) -> bool:
        """Whether a recording takes down its answer: it is no recorded one."""
        match self.answerer:
            case Saved(turn, Server() | Demo()):
                return turn.reply.backend != "recorded"
        return self.is_sent

    def instead(self, error: MiniMaxError) -> "TurnRequest | None":
        """What to send in its place where it was refused so, None if nothing else may help."""
        from mm_magic.protocol.failure import may_refuse_thinking  # what made the error loaded it

        carries_thinking = self.history.carries_thinking or think(self.ask.steps)
        is_with_it = self.history.link.with_thinking
        if may_refuse_thinking(error) and carries_thinking and is_with_it:
            return self.without_thinking()
        return None

    def without_thinking(self) -> "TurnRequest":
        """The same request without the thinking of earlier turns."""
        history = self.history.without_thinking()
        messages = [*history.messages, *self.ask.encoded(with_thinking=False)]
        return replace(self, history=history, request=replace(self.request, messages=messages))

    @property
    def pictures(self) -> list[ImageBlock]:
        """All that it carries, those of earlier turns first."""
        prompts = (*(turn.prompt for turn in self.history.turns), self.ask.sent_prompt)
        return [picture for prompt in prompts for picture in prompt.pictures]

    def check_pictures(self) -> None:
        """Raise UsageError where MiniMax's model, or the demo, is known to refuse its pictures.

        What a server of one's own sees is not known.
        """
        if self.is_sent and self.answerer.backend != "url":
            own = len(self.ask.sent_prompt.pictures)
            check_pictures(self.ask.options.model, own, self.history.link.pictures)

    @property
    def same_prompt(self) -> int | None:
        """The number of the latest turn, sent along, that has the same prompt."""
        asked = self.request_key.prompt_print
        numbers = [turn.number for turn in self.history.turns if turn.prints[0] == asked]
        return numbers[-1] if numbers else None

    def turn(self, reply: Reply) -> Turn:
        """The turn that this request and a reply make."""
        options = self.ask.options
        turn = Turn(
            conversation=self.ask.conversation,
            number=self.number,
            key=self.key,
            prompt=self.ask.prompt,
            reply=reply,
            parameters=self.ask.parameters(),
            said=frozenset(self.request_key.options),
            request_key=self.request_key.hash,
            sample=self.sample,
            without=self.ask.without,
            context_hash=self.history.context_hash,
            turns_hash=self.history.turns_hash,
            sent=self.history.sent,
            link=self.history.link,
            label=self.cell.label,
            hides_thinking=options.hide_thinking,
            is_untrusted=self.is_untrusted,
        )
        if isinstance(self.answerer, Saved):
            return self._as_saved(turn, self.answerer.turn)
        return turn

    @staticmethod
    def _as_saved(turn: Turn, saved: Turn) -> Turn:
        """The turn with what its answer was made with: its thinking belongs there alone."""
        is_same = turn.context_hash == saved.context_hash
        return replace(
            turn,
            parameters=saved.parameters,
            context_hash=saved.context_hash,
            link=turn.link if is_same else None,
            extra=saved.extra,
        )

    def in_words(self) -> str:
        """The request as it goes over the wire, without its headers, where the key is.

        One that holds the key is not sent, nor is the key shown.
        """
        shown = json_text(self.request.to_shown())
        if (endpoint := self.answerer.endpoint) is not None:
            shown = redacted(shown, endpoint.revealed_key())
        return f"{self._where()}\n{shown}"

    def _where(self) -> str:
        match self.answerer:
            case Server(Endpoint(base_url=url, backend="minimax")):
                return f"POST {url}/v1/messages"
            case Server():  # its address is not for the readers of a shared notebook
                return "To your own server: POST /v1/messages"
            case Demo():
                return "To the offline demo:"
            case Recorded() | Nobody():
                return "To the recording:"
            case Kept():
                return _not_sent("this cell keeps its old answer", "a key")
            case Saved(_, Nobody()):
                return _not_sent("this notebook has the answer", "a key and `--fresh`")
            case Saved():
                return _not_sent("this notebook has the answer", "`--fresh`")


def _not_sent(why: str, needed: str) -> str:
    return f"Nothing is sent: {why}. With {needed}, this would be sent:"
