"""The earlier turns as a request carries them: JSON that is written once, and a fingerprint.

Each turn is encoded when it is sent first; later requests join the same bytes, also those of
another chain.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter, is_

from mm_magic.conversation.catalog import weight
from mm_magic.conversation.turn import NOTHING, Link, Turn
from mm_magic.protocol.json_values import fingerprint


@dataclass(frozen=True, slots=True)
class History:
    """The earlier turns as they will be sent.

    `sent` counts them; `turns_hash` is the fingerprint of the turns above. `demo_left_out`,
    `untrusted_left_out` and `too_long` count what stays out: turns of the demo, those of an
    untrusted file, and the oldest where there is no room.
    """

    link: Link
    sent: int = 0
    turns_hash: str = NOTHING
    demo_left_out: int = 0
    untrusted_left_out: int = 0
    too_long: int = 0

    @property
    def context_hash(self) -> str:
        return self.link.context_hash

    @property
    def messages(self) -> list[bytes]:
        """JSON, oldest first; each part holds the messages of one turn."""
        return [link.messages for link in self.links()]

    @property
    def carries_thinking(self) -> bool:
        """Whether a turn goes with what only its own model and server may get: its thinking."""
        return any(
            link.turn and link.messages != link.turn.encoded(in_context=False)
            for link in self.links()
        )

    def without_thinking(self) -> "History":
        """The same turns without their thinking, for a server that refuses it."""
        links = self.links()
        first = (links[0].before or self.link) if links else self.link
        turns = list(self.turns())
        return replace(self, link=chained(turns, replace(first, with_thinking=False))[-1])

    def links(self) -> list[Link]:
        """The links of the turns, oldest first."""
        return links_of(self.link)

    def turns(self) -> Iterator[Turn]:
        """The turns that are sent, oldest first."""
        return (link.turn for link in self.links() if link.turn is not None)


def first_link(model: str, server: str, system: str, *, with_thinking: bool = True) -> Link:
    """The beginning of a chain for this model, this server and this system prompt."""
    context_hash = fingerprint([model, server, system])
    return Link(None, None, b"", context_hash, NOTHING, 0, with_thinking)


_TURN = attrgetter("turn")


def chained(turns: Sequence[Turn], first: Link, known: Sequence[Link] = ()) -> list[Link]:
    """A link for each turn, behind `first`; those of `known` that still hold are used again.

    Thinking goes back verbatim while model, server, system and everything before it are unchanged,
    and is left out otherwise: signed blocks are rejected in another context. An answer to less than
    its prompt goes back without its thinking, too: the whole prompt stands before it here.
    """
    links = [first]
    if known and begins_alike(known[0], first):
        holds = [*map(is_, map(_TURN, known[1:]), turns)]  # each request asks this of all turns
        links = [*known[: holds.index(False) + 1 if False in holds else len(holds) + 1]]
    for turn in turns[len(links) - 1 :]:
        links.append(_link(links[-1], turn))
    return links


def begins_alike(link: Link, other: Link) -> bool:
    """Whether two first links begin the same chain."""
    return (link.context_hash, link.with_thinking) == (other.context_hash, other.with_thinking)


@lru_cache(maxsize=20_000)  # a cell that runs again asks this of all turns
def hash_with(turns_hash: str, turn_id: str) -> str:
    """The hash of some turns and the next one."""
    return fingerprint([turns_hash, turn_id])


def links_of(link: Link | None) -> list[Link]:
    """The links of the turns of a chain up to this one, oldest first."""
    found = []
    while link is not None and link.before is not None:
        found.append(link)
        link = link.before
    return found[::-1]


def _link(before: Link, turn: Turn) -> Link:
    is_same = before.with_thinking and turn.context_hash == before.context_hash
    is_same &= turn.sent_prompt is turn.prompt  # else it thought about another one
    encoded = turn.encoded(in_context=is_same)
    pictures = turn.prompt.pictures if encoded else []
    return Link(
        before=before,
        turn=turn,
        messages=encoded,
        context_hash=hashlib.sha256(before.context_hash.encode() + encoded).hexdigest()[:16],
        turns_hash=hash_with(before.turns_hash, turn.id),
        size=before.size + weight(len(encoded), pictures) + 1,
        with_thinking=before.with_thinking,
        pictures=before.pictures + len(pictures),
    )
