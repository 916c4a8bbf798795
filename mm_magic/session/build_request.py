"""From what is asked to the request: its number, the turns before it, and its key."""

from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mm_magic.conversation.catalog import check_accepted, default_max_tokens, room
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.history import History, first_link
from mm_magic.conversation.reply import Origin
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.protocol.json_values import as_count
from mm_magic.protocol.request import Request
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.cell_run import CellRun
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.transport.endpoint import OFFLINE, Endpoint

if TYPE_CHECKING:
    from mm_magic.transport.client import Script


@dataclass(frozen=True, slots=True)
class Draft:
    """A turn before it is known who answers it.

    `conversation` is None for one that stands alone, and before the first turn of its conversation.
    `place` is where its turn stands there, None for a new one. `refuse_thinking` has the servers,
    with their models, that refuse the thinking of earlier turns.
    """

    ask: Ask
    cell: CellRun
    key: TurnKey | None
    conversation: Conversation | None
    place: int | None
    refuse_thinking: Set[tuple[str, str]] = frozenset()

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
        there = self.conversation
        earlier = there.before(self.place, to_demo=to_demo) if there else []
        prints = tuple(turn.prints for turn in earlier)
        return RequestKey(self.ask.options.asked(), prints, self.ask.prompt.message())

    def build(
        self,
        endpoint: Endpoint | None,
        server: str,
        *,
        script: "Script | None" = None,
        origin: Origin | None = None,
        counted_as: str = "",
    ) -> TurnRequest:
        """The request to `endpoint`, which the history knows as `server`, or to a script.

        Raises UsageError where MiniMax's model is known to refuse it. What a server of one's own
        takes is not known, and the demo takes what MiniMax does.
        """
        ask, there = self.ask, self.conversation
        options = ask.options
        if script is None and (endpoint is None or endpoint.backend == "minimax"):
            check_accepted(options.model, options.thinking, options.effort)
        request_key = self.request_key(to_demo=server == OFFLINE)
        history = self._history(server)
        first = 0 if ask.alone else 1
        number = there.number_at(self.place) if there else first
        return TurnRequest(
            ask=ask,
            cell=self.cell,
            key=self.key,
            number=number,
            history=history,
            request=Request([*history.messages, ask.prompt.encode()], options.parameters()),
            request_key=request_key,
            endpoint=endpoint,
            to_demo=server == OFFLINE,
            counted_as=counted_as or request_key.hash,
            script=script,
            origin=origin,
        )

    def _history(self, server: str) -> History:
        options = self.ask.options
        if self.conversation is None:
            return History(first_link(options.model, server, options.system))
        limit = int(str(options.parameters()["max_tokens"]))
        return self.conversation.history(
            self.place,
            model=options.model,
            server=server,
            system=options.system,
            room=room(options.model, limit, options.system, self.ask.prompt.encode()),
            with_thinking=(server, options.model) not in self.refuse_thinking,
        )


def history_now(
    conversation: Conversation,
    turn: Turn,
    server: str,
    refuse_thinking: Set[tuple[str, str]] = frozenset(),
) -> History:
    """What would be sent before a turn's prompt if its cell ran again now."""
    max_tokens = as_count(turn.parameters.get("max_tokens")) or default_max_tokens(turn.model)
    return conversation.history(
        conversation.turns.index(turn),
        model=turn.model,
        server=server,
        system=turn.system,
        room=room(turn.model, max_tokens, turn.system, turn.prompt.encode()),
        with_thinking=(server, turn.model) not in refuse_thinking,
    )
