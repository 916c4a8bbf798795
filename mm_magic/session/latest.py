"""What was sent, answered and compared last in a session."""

from typing import TYPE_CHECKING

from mm_magic.conversation.turn import Turn
from mm_magic.session.conversations import Conversations
from mm_magic.transport.made_once import made_once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mm_magic.session.turn_request import TurnRequest
    from mm_magic.transport.recording.recent import RecentExchanges


class Latest:
    """The latest of each kind, None before the first.

    `request` was sent, `made` the turn that ended, as it was then, and `compare` that with several
    answers. `commit` is when a conversation got a turn, in seconds since 1970, to compare with a
    file's time.
    """

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self.request: TurnRequest | None = None
        self.made: Turn | None = None
        self.compare: Turn | None = None
        self.commit: float | None = None

    @property
    def turn(self) -> Turn | None:
        """The turn that ended last, as it stands now."""
        return self.made and self._conversations.now(self.made)

    @made_once
    def exchanges(self) -> "RecentExchanges[TurnRequest]":
        """The last answers as they came, for `%minimax request --events`."""
        from mm_magic.transport.recording.recent import RecentExchanges

        return RecentExchanges()

    def became(self, requests: "Iterable[TurnRequest]", turn: Turn) -> None:
        """What came for these requests was for this turn."""
        for each in requests:
            self.exchanges.became(each, turn.id)

    def follow(self, before: Turn, picked: Turn) -> None:
        """Where nothing was sent since, what was sent last is the request of the picked answer."""
        old, new = self.exchanges.of_turn(before.id), self.exchanges.of_turn(picked.id)
        if old and new and old.of is self.request:
            self.request = new.of
