"""The earlier turns as a request carries them: JSON that is written once, and a fingerprint.

Each turn is encoded when it is sent first; later requests join the same bytes, also those of
another chain.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, call, is_
from weakref import ref

from mm_magic.conversation.catalog import weight
from mm_magic.conversation.turn import NOTHING, Link, Turn
from mm_magic.protocol.json_values import fingerprint


@dataclass(frozen=True, slots=True)
class History:
    """The earlier turns as they will be sent.

    `turns` are those that are sent, oldest first, and `sent` counts them; `turns_hash` is the
    fingerprint of the turns above. `demo_left_out`, `untrusted_left_out` and `too_long` count what
    stays out: turns of the demo, those of an untrusted file, and the oldest where there is no room.
    """

    link: Link
    turns: Sequence[Turn] = ()
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
            link.messages != turn.encoded(in_context=False)
            for link, turn in zip(self.links(), self.turns, strict=True)
        )

    def without_thinking(self) -> "History":
        """The same turns without their thinking, for a server that refuses it."""
        links = self.links()
        first = (links[0].before or self.link) if links else self.link
        return replace(self, link=chained(self.turns, replace(first, with_thinking=False))[-1])

    def links(self) -> list[Link]:
        """The links of the turns, oldest first."""
        return links_of(self.link)


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
        there = map(call, map(_TURN, known[1:]))
        holds = [*map(is_, there, turns)]  # each request asks this of all turns
        links = [*known[: holds.index(False) + 1 if False in holds else len(holds) + 1]]
    for turn in turns[len(links) - 1 :]:
        links.append(_link(links[-1], turn))
    return links


def begins_alike(link: Link, other: Link) -> bool:
    """Whether two first links begin the same chain."""
    return (link.context_hash, link.with_thinking) == (other.context_hash, other.with_thinking)


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
        turn=ref(turn),
        messages=encoded,
        context_hash=hashlib.sha256(before.context_hash.encode() + encoded).hexdigest()[:16],
        turns_hash=turn.hash_behind(before.turns_hash),
        size=before.size + weight(len(encoded), pictures) + 1,
        with_thinking=before.with_thinking,
        pictures=before.pictures + len(pictures),
    )
