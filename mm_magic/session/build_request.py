"""From what is asked to the request: its number, the turns before it, and its key."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from mm_magic.conversation.catalog import (
    check_accepted,
    default_max_tokens,
    room,
    weight,
)
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.history import History, first_link
from mm_magic.conversation.left_out import turn_in
from mm_magic.conversation.steps import known_by
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.prompt.schema import REPAIR, repair_prompt
from mm_magic.protocol.json_values import as_count, encode_json
from mm_magic.protocol.messages import Message
from mm_magic.protocol.request import Request
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.answerer import Answerer, Demo, Server
from mm_magic.session.cell_run import CellRun
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.wording import turns_listed


class NotSentError(UsageError):
    """A turn is to be left out that would not be sent anyway."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A turn before it is known who answers it.

    `conversation` is None for one that stands alone, and before the first turn of its conversation.
    `place` is where its turn stands there, None for a new one. `refuse_thinking` has the servers,
    with their models, that refuse the thinking of earlier turns. `is_untrusted`: its answer is from
    a file that Jupyter does not trust, so that the other turns of such a file count as those above
    it; they are not sent.
    """

    ask: Ask
    cell: CellRun
    key: TurnKey | None
    conversation: Conversation | None
    place: int | None
    refuse_thinking: Set[tuple[str, str]] = frozenset()
    is_untrusted: bool = False

    @classmethod
    def of(
        cls,
        ask: Ask,
        cell: CellRun,
        key: TurnKey | None,
        there: Conversation | None,
        refuse_thinking: Set[tuple[str, str]] = frozenset(),
    ) -> "Draft":
        """The draft of what a cell asks in this conversation."""
        place = there.place(key, ask.prompt) if there else None
        return cls(ask, cell, key, there, place, refuse_thinking)

    def request_key(self, *, to_demo: bool) -> RequestKey:
        """The key of its request; the demo gets turns of the demo, too, and nobody else does."""
        if (left_out := turn_in(self.ask.without)) is None:
            prints = self._prints(to_demo=to_demo)
        else:
            above = self._above(to_demo=to_demo)
            prints = tuple(turn.prints for turn in above if turn.number != left_out)
        prompt = self.ask.known_as or self.ask.sent_prompt
        if self.ask.steps:
            so_far, results = known_by(prompt, self.ask.steps)
            return RequestKey(self.ask.asked(), (*prints, so_far), results)
        return RequestKey(self.ask.asked(), prints, prompt.described())

    def _above(self, *, to_demo: bool) -> list[Turn]:
        """The turns that the demo, or else a model, would be sent; all of them."""
        there, untrusted = self.conversation, self.is_untrusted
        if there is None:
            return []
        return there.before(self.place, to_demo=to_demo, with_untrusted=untrusted)

    def _prints(self, *, to_demo: bool) -> tuple[tuple[str, ...], ...]:
        """Their fingerprints."""
        there, untrusted = self.conversation, self.is_untrusted
        if there is None:
            return ()
        return there.prints_before(self.place, to_demo=to_demo, with_untrusted=untrusted)

    def behind(self, steps: Sequence[Message]) -> "Draft":
        """The draft of the request that goes on with these calls and their results."""
        return replace(self, ask=replace(self.ask, steps=tuple(steps)))

    def once_more(self, turn: Turn, problem: str) -> "Draft":
        """The draft that asks once more for what the answer of this turn should have been."""
        before = self.conversation.turns[: self.place] if self.conversation else []
        there = Conversation(str(turn.conversation))
        there.turns = [*before, replace(turn, prompt=turn.sent_prompt, without=None)]
        prompt, known_as = map(Prompt.of_text, (repair_prompt(problem), REPAIR))
        left_out = self.ask.without if turn_in(self.ask.without) else None
        ask = replace(self.ask, prompt=prompt, known_as=known_as, without=left_out)
        return replace(self, ask=ask, conversation=there, place=None)

    def build(self, answerer: Answerer, *, counted_as: str = "") -> TurnRequest:
        """The request that is answered so.

        Raises UsageError where MiniMax's model is known to refuse it, and NotSentError. What a
        server of one's own takes is not known, and the demo takes what MiniMax does.
        """
        ask, there = self.ask, self.conversation
        options, server, endpoint = ask.options, answerer.server, answerer.endpoint
        if isinstance(answerer, Server | Demo) and answerer.backend != "url":
            check_accepted(options.model, options.thinking, options.effort)
        to_demo = server == OFFLINE
        request_key = self.request_key(to_demo=to_demo)
        history = sent = self.history(server)
        if self.is_untrusted:
            sent = replace(self, is_untrusted=False).history(server)
        self._check_left_out(history, to_demo=to_demo)
        own = ask.encoded(with_thinking=sent.link.with_thinking)
        is_minimax = endpoint is not None and endpoint.backend == "minimax"
        first = 0 if ask.alone else 1
        number = there.number_at(self.place) if there else first
        return TurnRequest(
            ask=ask,
            cell=self.cell,
            key=self.key,
            number=number,
            history=history,
            request=Request([*sent.messages, *own], ask.sent_parameters(is_minimax=is_minimax)),
            request_key=request_key,
            answerer=answerer,
            counted_as=counted_as or request_key.hash,
            is_untrusted=self.is_untrusted,
        )

    def history(self, server: str) -> History:
        """The earlier turns as they go to a server."""
        options = self.ask.options
        if self.conversation is None:
            return History(first_link(options.model, server, self.ask.system))
        limit = int(str(options.parameters()["max_tokens"]))
        return self.conversation.history(
            self.place,
            model=options.model,
            server=server,
            system=self.ask.system,
            room=room(options.model, limit, self.ask.system, self._weight()),
            with_thinking=(server, options.model) not in self.refuse_thinking,
            with_untrusted=self.is_untrusted,
            without=turn_in(self.ask.without),
        )

    def _weight(self) -> int:
        """What the prompt takes of the model's window, with tools, and with steps behind it."""
        if not self.ask.tools:
            return _weight(self.ask.prompt)
        steps = self.ask.encoded()[1:]
        tools = encode_json(self.ask.parameters()["tools"])
        return _weight(self.ask.prompt) + sum(map(len, steps)) + len(tools)

    def _check_left_out(self, history: History, *, to_demo: bool) -> None:
        """Raise NotSentError where the turn that it leaves out is not among those it sends."""
        if (number := turn_in(self.ask.without)) is None:
            return
        sent = [turn.number for turn in self._above(to_demo=to_demo)]
        if number not in sent[history.too_long :]:
            raise _not_sent(number, sent[history.too_long :], self.conversation)


def _not_sent(number: int, sent: Sequence[int], there: Conversation | None) -> NotSentError:
    """The error of a turn that is to be left out and is not among those that are `sent`."""
    turn = there.numbered(number) if there else None
    why = f"there is no turn {number}"
    steps = [f"Sent with this prompt: {turns_listed(sent) if sent else 'no earlier turn'}."]
    if turn is not None:
        why = f"turn {number} is not sent with this prompt"
    if turn is not None and (turn.is_hidden or turn.is_untrusted):
        steps.append(f"To send it again: `%minimax restore {number}`")
    return NotSentError(f"{why}, so it can't be left out", next_steps=steps)


def _weight(prompt: Prompt) -> int:
    return weight(len(prompt.encode()), prompt.pictures)


def history_now(
    conversation: Conversation,
    turn: Turn,
    server: str,
    refuse_thinking: Set[tuple[str, str]] = frozenset(),
) -> History:
    """What would be sent before a turn's prompt if its cell ran again now."""
    max_tokens = as_count(turn.parameters.get("max_tokens")) or default_max_tokens(turn.model)
    tools = len(encode_json(turn.parameters.get("tools") or []))
    return conversation.history(
        conversation.turns.index(turn),
        model=turn.model,
        server=server,
        system=turn.system,
        room=room(turn.model, max_tokens, turn.system, _weight(turn.prompt) + tools),
        with_thinking=(server, turn.model) not in refuse_thinking,
        with_untrusted=turn.is_untrusted,
        without=turn_in(turn.without),
    )
